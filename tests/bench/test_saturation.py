from __future__ import annotations

import httpx
import pytest

from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.saturation import saturate
from rerank_toolkit.bench.target import Target
from rerank_toolkit.client import RerankClient, Retries, ServerFailed

REQUEST = ("which one?", ["this one", "that one", "the other one"])


def target_answering(status):
    """A target that answers nothing but `status`."""
    transport = httpx.MockTransport(lambda request: httpx.Response(status, json={"detail": "so it is"}))
    client = httpx.Client(transport=transport)
    return Target(RerankClient.over_http("http://endpoint", http_client=client, retries=Retries(attempts=1)))


def test_throughput_counts_every_answer(jinabert):
    measured = saturate(Target(jinabert), [REQUEST], in_flight=3, seconds=0.5)

    assert measured.how.requests >= 3
    assert measured.how.documents_per_request == 3
    assert measured.documents_per_second == pytest.approx(3 * measured.how.requests / measured.how.seconds, rel=0.05)


def test_each_caller_sends_one_request_at_least(jinabert):
    assert saturate(Target(jinabert), [REQUEST], in_flight=3, seconds=0).how.requests == 3


def test_an_endpoint_that_takes_nothing():
    with pytest.raises(NotMeasurable, match="refused all 2 requests"):
        saturate(target_answering(503), [REQUEST], in_flight=2, seconds=0)


def test_a_failure_ends_the_measurement():
    with pytest.raises(ServerFailed, match="so it is"):
        saturate(target_answering(500), [REQUEST], in_flight=2, seconds=60)
