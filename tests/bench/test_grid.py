from __future__ import annotations

import itertools
import math
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_toolkit.bench.grid import (
    ESSENTIAL,
    falls_in_round,
    longest_text,
    measure_grid,
    plan_samples,
    predict_seconds,
)
from rerank_toolkit.bench.target import Target
from rerank_toolkit.bench.texts import TextRuler
from rerank_toolkit.client import RerankClient, Retries


class Refusing(httpx.HTTPTransport):
    """The way to a server that, once told, refuses every third request."""

    def __init__(self):
        super().__init__()
        self.refuses = False
        self.requests = itertools.count(1)

    def handle_request(self, request):
        if self.refuses and next(self.requests) % 3 == 0:
            return httpx.Response(503, json={"detail": "full"}, request=request)
        return super().handle_request(request)


def test_refusals_between_the_rounds_cost_their_samples_and_no_more(jinabert_url):
    transport, told = Refusing(), []

    def progress(text):
        told.append(text)
        transport.refuses = text.startswith("measuring")

    http_client = httpx.Client(transport=transport, timeout=60)
    with RerankClient.over_http(jinabert_url, http_client=http_client, retries=Retries(attempts=1)) as client:
        target = Target(client)
        ruler = TextRuler.calibrate(lambda query, documents: target.ask(query, documents).origin.tokens)
        cells = measure_grid(target, ruler, seconds=3, progress=progress)
    http_client.close()

    assert len(cells) >= len(ESSENTIAL)
    assert any("lost to requests refused or not answered in time: " in text for text in told)


COSTS = st.lists(st.floats(0.0005, 60), min_size=1, max_size=28)


@given(COSTS, st.floats(0, 300))
def test_a_plan_never_takes_longer_than_it_may(costs, seconds):
    plan = plan_samples(costs, seconds, 25)

    assert sum(n * cost for n, cost in zip(plan, costs, strict=True)) <= seconds * 1.000001
    assert all(0 <= n <= 25 for n in plan)


@given(COSTS, st.floats(0, 300))
def test_what_is_cheaper_is_measured_as_often_but_for_rounding(costs, seconds):
    costs = sorted(costs)
    plan = plan_samples(costs, seconds, 25)

    assert all(dearer <= cheaper + 1 for cheaper, dearer in pairwise(plan))


def test_what_cheap_shapes_leave_over_goes_to_the_dear_ones():
    assert plan_samples([0.01, 1.0], 10, 25) == [25, 9]


@given(st.integers(1, 40), st.integers(0, 40))
def test_samples_are_spread_over_all_rounds(rounds, samples):
    samples = min(samples, rounds)
    due = [index for index in range(rounds) if falls_in_round(samples, index, rounds)]

    assert len(due) == samples
    gaps = [b - a for a, b in pairwise(due)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_more_documents_are_predicted_without_a_gain_by_batching():
    assert predict_seconds({(1, 64): 0.1, (4, 64): 0.3}, (16, 64)) == pytest.approx(1.2)


def test_longer_texts_are_predicted_between_linear_and_quadratic():
    assert 4 * 0.1 < predict_seconds({(1, 512): 0.1}, (1, 2048)) < 16 * 0.1


def test_one_slow_answer_does_not_spoil_the_prediction():
    assert predict_seconds({(1, 64): 0.1, (4, 64): 9.0}, (16, 64)) == pytest.approx(1.6)


def test_larger_shapes_tell_nothing_of_smaller_ones():
    assert predict_seconds({(4, 16): 0.1, (1, 512): 1.0}, (1, 64)) == 0


def test_the_first_shape_is_always_tried():
    assert predict_seconds({}, (1, 16)) == 0


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("ms-marco-MiniLM-L-6-v2", 512), ("jina-reranker-v1-tiny-en", 8192), ("somebody-elses", math.inf)],
)
def test_no_text_is_longer_than_the_catalogue_says_that_the_model_reads(model, tokens):
    assert longest_text(model) == tokens
