from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_toolkit.bench.grid import falls_in_round, plan_samples, predict_seconds

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
