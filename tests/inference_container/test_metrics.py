"""The exposition at /metrics, apart from a server."""

from __future__ import annotations

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inference_container.metrics import Metrics, padding_ratio


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Value by name and label values, as Prometheus itself reads the text."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_memory_is_that_of_each_process_and_of_all() -> None:
    metrics = Metrics()
    assert samples(metrics)["rerank_process_memory_bytes", ("front",)] > 1e7

    metrics.watch_memory(lambda: {"front": 1e8, "worker-0": 2e8, "worker-1": 3e8})

    found = samples(metrics)
    assert found["rerank_process_memory_bytes", ("worker-1",)] == 3e8
    assert found["rerank_memory_bytes", ()] == 6e8


def test_padding_is_told_from_tokens() -> None:
    metrics = Metrics()
    metrics.observe_batch(sequences=4, tokens=60, computed_tokens=80)
    metrics.observe_batch(sequences=1, tokens=20, computed_tokens=20)

    found = samples(metrics)
    assert found["rerank_batch_tokens_sum", ()] == 80
    assert found["rerank_padding_tokens_total", ()] == 20
    assert found["rerank_padding_ratio_sum", ()] == pytest.approx(0.25)
    assert found["rerank_padding_ratio_bucket", ("0.0",)] == 1


def test_the_padding_ratio_of_nothing_is_none() -> None:
    assert padding_ratio(0, 0) == 0
    assert padding_ratio(3, 4) == 0.25


def test_values_are_kept_only_on_request_and_taken_once() -> None:
    kept, plain = Metrics(keep=True), Metrics()
    for metrics in (kept, plain):
        metrics.queue_seconds.observe(1.0)
        metrics.queue_seconds.observe(2.0)

    assert kept.queue_seconds.take() == [1.0, 2.0]
    assert kept.queue_seconds.take() == []
    assert plain.queue_seconds.take() == []
    assert samples(kept)["rerank_queue_seconds_sum", ()] == samples(plain)["rerank_queue_seconds_sum", ()] == 3


def test_no_value_is_lost_between_threads() -> None:
    metrics = Metrics(keep=True)
    taken: list[float] = []

    def observe() -> None:
        for _ in range(5000):
            metrics.batch_tokens.observe(1)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += metrics.batch_tokens.take()
    taken += metrics.batch_tokens.take()
    assert len(taken) == 20_000
