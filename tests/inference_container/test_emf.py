"""Lines in CloudWatch's embedded metric format: valid by its specification, and with the figures of /metrics."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inference_container.emf import MOST_VALUES, EmbeddedMetrics, embedded_metrics
from inference_container.metrics import Metrics
from rerank_toolkit.contracts.settings import Settings

SERVED = {"model": "tiny", "revision": "7", "engine": "openvino", "engine_version": "1", "dtype": "bf16"}

UNITS = {"Count", "Milliseconds", "Megabytes", "Percent"}
"""Of those that CloudWatch's MetricDatum lists, the ones used here."""


def check(document: dict[str, Any]) -> None:
    """The rules of the specification, of which CloudWatch tells nobody when they are broken: it drops the line."""
    metadata = document["_aws"]
    assert set(metadata) == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(metadata["Timestamp"], int)
    assert 1.7e12 < metadata["Timestamp"] < 1e13, "milliseconds since 1970"
    for directive in metadata["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert re.fullmatch(r"[\w./#:-]{1,255}", directive["Namespace"], re.ASCII)
        assert directive["Dimensions"]
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) == len(set(dimensions)) <= 30
            for name in dimensions:
                assert 1 <= len(name) <= 250
                assert isinstance(document[name], str)
                assert 1 <= len(document[name]) <= 1024
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert set(metric) == {"Name", "Unit"}
            assert metric["Unit"] in UNITS
            value = document[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert 1 <= len(values) <= 100
            assert all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)


def served_metrics() -> Metrics:
    metrics = Metrics(keep=True)
    metrics.served = SERVED
    return metrics


def test_lines_hold_what_was_counted_since_the_last_ones() -> None:
    metrics = served_metrics()
    embedded = EmbeddedMetrics(metrics, Settings(emf_namespace="Search/Rerank"))
    metrics.documents.inc(5)
    metrics.queued_tokens.set(100)
    embedded.lines()
    metrics.documents.inc(3)
    metrics.queued_tokens.set(70)
    metrics.queue_seconds.observe(0.25)
    metrics.observe_batch(sequences=2, tokens=30, computed_tokens=40)

    [line] = embedded.lines()

    check(line)
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Search/Rerank"
    assert (line["Documents"], line["QueuedTokens"], line["PaddingTokens"]) == (3, 70, 10)
    assert (line["QueueTime"], line["BatchTokens"], line["BatchSequences"]) == ([250.0], [30], [2])
    assert line["Padding"] == [25.0]
    assert "InferenceTime" not in line, "no value is not a value of zero"
    assert {name: line[name] for name in ("Model", "Engine", "Dtype")} == {
        "Model": "tiny",
        "Engine": "openvino",
        "Dtype": "bf16",
    }


def test_outcomes_and_reasons_are_dimensions_of_lines_of_their_own() -> None:
    metrics = served_metrics()
    metrics.requests.labels("jina", "ok").inc(4)
    metrics.requests.labels("tei", "ok").inc(2)
    metrics.requests.labels("tei", "invalid").inc()
    metrics.refusals.labels("queue_full").inc(3)

    first, *others = EmbeddedMetrics(metrics, Settings()).lines()

    for line in (first, *others):
        check(line)
    assert (first["Requests"], first["Refusals"]) == (7, 3)
    assert [(line["Outcome"], line["Requests"]) for line in others if "Outcome" in line] == [("ok", 6), ("invalid", 1)]
    assert [(line["Reason"], line["Refusals"]) for line in others if "Reason" in line] == [("queue_full", 3)]
    assert all(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0][-1] in {"Outcome", "Reason"} for line in others)


def test_more_values_than_a_line_may_hold_take_several() -> None:
    metrics = served_metrics()
    seconds = [number / 1000 for number in range(2 * MOST_VALUES + 1)]
    for value in seconds:
        metrics.request_seconds.observe(value)
    for _ in range(MOST_VALUES + 1):
        metrics.batch_tokens.observe(64)

    lines = EmbeddedMetrics(metrics, Settings()).lines()

    for line in lines:
        check(line)
    assert [len(line["RequestTime"]) for line in lines] == [100, 100, 1]
    assert [len(line.get("BatchTokens", [])) for line in lines] == [100, 1, 0]
    assert [value for line in lines for value in line["RequestTime"]] == [round(value * 1000, 3) for value in seconds]
    assert ["Documents" in line for line in lines] == [True, False, False], "a total is told once"


def test_an_endpoint_s_name_tells_two_of_one_model_apart() -> None:
    [line] = EmbeddedMetrics(served_metrics(), Settings(endpoint_name="search-staging")).lines()

    check(line)
    assert line["EndpointName"] == "search-staging"
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["EndpointName", "Model", "Engine", "Dtype"]]


def test_nothing_is_written_before_it_is_known_what_is_served() -> None:
    assert EmbeddedMetrics(Metrics(keep=True), Settings()).lines() == []


@pytest.mark.parametrize(("interval_s", "lines"), [(0.0, 0), (300.0, 1)])
def test_the_last_line_comes_at_the_end_and_none_unless_asked_for(
    interval_s: float, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve() -> None:
        async with embedded_metrics(served_metrics(), Settings(emf_interval_s=interval_s)):
            pass

    with caplog.at_level(logging.INFO, logger="rerank.metrics"):
        asyncio.run(serve())

    assert len([record for record in caplog.records if hasattr(record, "document")]) == lines


def test_a_server_writes_them_whatever_its_log_level(small_bert: Path, start_server: Any) -> None:
    server = start_server(small_bert, RERANK_EMF_INTERVAL_S="0.05", RERANK_LOG_LEVEL="error")
    for _ in range(3):
        server.rerank({"query": "q", "documents": ["d", "longer than d"]})
    server.rerank({"query": "q"})
    server.signal(signal.SIGTERM)
    assert server.exit_code() == 0

    totals: defaultdict[str, float] = defaultdict(float)
    times: list[float] = []
    lines = [msgspec.json.decode(line) for line in server.log.read_bytes().splitlines()]
    for line in lines:
        check(line)
        for name in ("Documents", "Requests"):
            totals[name] += line.get(name, 0) if "Outcome" not in line else 0
        times += line.get("RequestTime", [])
    assert dict(totals) == {"Documents": 6, "Requests": 4}
    assert len(times) == 3
    assert min(times) > 0
    assert max(line.get("Memory", 0) for line in lines) > 10
