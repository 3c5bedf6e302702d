from __future__ import annotations

import httpx
import msgspec
import pytest

from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.target import Target
from rerank_toolkit.client import RerankClient
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES, encode_origin

RANKED = {"model": "tiny", "usage": {"total_tokens": 7}, "results": [{"index": 0, "relevance_score": 0.5}]}


def target_of(*attributes):
    """A target whose answers carry these Custom-Attributes, one after the other."""
    coming = iter(attributes)

    def answer(request):
        return httpx.Response(200, json=RANKED, headers={CUSTOM_ATTRIBUTES: next(coming)})

    http_client = httpx.Client(transport=httpx.MockTransport(answer))
    return Target(RerankClient.over_http("http://endpoint", http_client=http_client))


@pytest.fixture
def target_telling(jinabert):
    """Makes a target whose answers tell of a real server, changed in these ways, one after the other."""
    origin = jinabert.rerank("which?", ["this one"]).origin
    return lambda *changes: target_of(*(encode_origin(msgspec.structs.replace(origin, **change)) for change in changes))


def test_samples_carry_what_the_server_tells(jinabert):
    target = Target(jinabert)

    sample = target.ask("which one?", ["this one", "that one"])

    assert sample.documents == 2
    assert sample.truncated_documents == 0
    assert sample.latency_ms > sample.origin.inference_ms > 0
    assert target.first == sample.origin
    assert target.peak_mib == sample.origin.peak_memory_mib


def test_an_endpoint_that_hides_its_origin_is_refused():

    with pytest.raises(NotMeasurable, match="container isn't what serves there"):
        target_of("trace-id=7").ask("which?", ["first"])


def test_a_deployment_under_way_is_noticed(target_telling):
    target = target_telling({}, {"dtype": "bf16", "threads": 160})
    target.ask("which?", ["first"])

    with pytest.raises(NotMeasurable, match=r"dtype 'fp32', then 'bf16'; threads \d+, then 160"):
        target.ask("which?", ["first"])


def test_several_instances_are_told_apart_by_their_start(target_telling):
    target = target_telling({"startup_s": 1.0}, {"startup_s": 2.0})
    target.ask("which?", ["first"])

    with pytest.raises(NotMeasurable, match=r"2 processes.*1 s, 2 s"):
        target.ask("which?", ["first"])


def test_the_highest_memory_counts(target_telling):
    target = target_telling({"peak_memory_mib": 700.0}, {"peak_memory_mib": 600.0})
    target.ask("which?", ["first"])
    target.ask("which?", ["first"])

    assert target.peak_mib == 700
