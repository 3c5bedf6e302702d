"""How many documents and how long: moments against draws."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.workload import Distribution, Tokens, Workload
from cost_model.workload.distribution import whole_numbers

DRAWN = 40_000
SIGMAS = 6
"""Of the mean's standard error: less than one draw in ten million lies beyond where it is normal, and it nearly is."""


def assert_moments(drawn: np.ndarray, moments: list[float], *, rounding: float = 0.0, slices: float = 0.0) -> None:
    """The first two of the draws are within their own standard errors, which the others tell.

    rounding: units that whole numbers may be off at a cut; slices: relative, where sums stand for integrals.
    """
    count = len(drawn)
    errors = [math.sqrt(max(moments[2 * k] - moments[k] ** 2, 0.0) / count) for k in (1, 2)]
    assert moments[0] == pytest.approx(1)
    for k, off in ((1, rounding), (2, rounding * (1 + 2 * moments[1]))):
        away = abs((drawn**k).mean() - moments[k])
        assert away <= SIGMAS * errors[k - 1] + off + (k * slices + 1e-5) * moments[k]


DISTRIBUTIONS = st.one_of(
    st.builds(lambda mean, cv: Distribution(mean=mean, cv=cv), st.floats(5, 2000), st.floats(0, 1.5)),
    st.builds(
        lambda a, b, c: Distribution(quantiles={"p50": 1 + a, "p90": 1 + a + b, "p100": 1 + a + b + c}),
        st.floats(0, 500),
        st.floats(0, 500),
        st.floats(0, 500),
    ),
    st.builds(
        lambda rows: Distribution(histogram=tuple(rows)),
        st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 100)), min_size=1, max_size=12),
    ),
)


@settings(max_examples=60, deadline=None)
@given(distribution=DISTRIBUTIONS, most=st.floats(2, 4000), shift=st.floats(0, 50), seed=st.integers(0, 2**32 - 1))
def test_moments_are_those_of_the_draws(distribution, most, shift, seed):
    drawn = np.minimum(distribution.draw(np.random.default_rng(seed), DRAWN) + shift, most)

    moments = distribution.moments(most, shift=shift)

    assert_moments(drawn, moments)
    assert moments[2] >= moments[1] ** 2 * (1 - 1e-9)
    assert moments[4] <= most**4 * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(mean=st.floats(8, 1500), cv=st.floats(0, 1.2), most=st.integers(64, 8192), seed=st.integers(0, 2**32 - 1))
def test_a_workloads_draws_have_the_moments_that_service_times_are_computed_with(mean, cv, most, seed):
    workload = Workload(requests_per_second=1, documents_per_request=20, tokens_per_document=mean, tokens_cv=cv)

    drawn = workload.draw(np.random.default_rng(seed), DRAWN // 20)

    moments = workload.length_moments(most)
    assert_moments(np.minimum(drawn.tokens, most).astype(float), moments, rounding=0.5)


@settings(max_examples=40, deadline=None)
@given(query=DISTRIBUTIONS, document=DISTRIBUTIONS, most=st.integers(64, 8192), seed=st.integers(0, 2**32 - 1))
def test_pairs_of_query_and_document_have_their_moments(query, document, most, seed):
    tokens = Tokens(query=query, document=document, special=4)
    drawn = np.minimum(tokens.draw_pairs(np.random.default_rng(seed), np.ones(DRAWN, dtype=np.int64)), most)

    moments = tokens.pair_moments(most)

    assert_moments(drawn, moments, slices=0.05)
    assert tokens.pair_moments()[1] == pytest.approx(query.average + document.average + 4)


def test_the_query_is_the_same_for_all_documents_of_a_request():
    tokens = Tokens(query=Distribution(quantiles={"p100": 400}), document=Distribution(mean=100), special=0)

    drawn = tokens.draw_pairs(np.random.default_rng(1), np.array([3, 1, 2]))

    first, second, third = drawn[:3], drawn[3:4], drawn[4:]
    assert len(set(first)) == len(set(third)) == 1
    assert len({first[0], second[0], third[0]}) == 3


def test_a_seed_draws_the_same_requests_again():
    workload = Workload(
        requests_per_second=1,
        documents_per_request=12,
        tokens_per_document=150,
        documents=Distribution(mean=12, cv=0.7),
    )

    one, again = (workload.draw(np.random.default_rng(7), 500) for _ in range(2))
    other = workload.draw(np.random.default_rng(8), 500)

    assert all((left == right).all() for left, right in zip(one, again, strict=True))
    assert one.tokens[:9].tolist() != other.tokens[:9].tolist()
    assert one.offsets[-1] == one.documents.sum() == len(one.tokens)
    assert one.documents.min() >= 1


def test_more_than_fits_memory_is_not_drawn():
    workload = Workload(requests_per_second=1, documents_per_request=1_000_000, tokens_per_document=100)

    with pytest.raises(ValueError, match="1,000,000,000 documents are more than"):
        workload.draw(np.random.default_rng(0), 1000)


@given(values=st.lists(st.floats(1, 1000), min_size=1, max_size=50), seed=st.integers(0, 2**32 - 1))
def test_whole_numbers_are_neighbours(values, seed):
    array = np.array(values)

    whole = whole_numbers(np.random.default_rng(seed), array)

    assert (np.abs(whole - array) <= 1).all()
    assert (whole >= 1).all()


def test_half_documents_keep_their_mean():
    whole = whole_numbers(np.random.default_rng(3), np.full(100_000, 2.5))

    assert set(whole.tolist()) == {2, 3}
    assert whole.mean() == pytest.approx(2.5, abs=0.01)


def test_documents_that_vary_widen_a_request():
    of_one = Distribution(histogram=((10, 1), (90, 1)))
    fixed = Workload(requests_per_second=1, documents_per_request=50, tokens_per_document=100)

    varying = msgspec.structs.replace(fixed, documents=of_one)

    assert fixed.documents_cv == 0
    assert varying.documents_cv == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "no form"),
        ({"mean": 5, "histogram": ((1, 1),)}, "mean and histogram; expected one"),
        ({"histogram": ((3, 1),), "cv": 0.5}, "cv is 0.5, which only goes with mean"),
        ({"quantiles": {"p50": 5}}, "lacks p100"),
        ({"quantiles": {"p50": 9, "p100": 5}}, "falls from 9 at p50 to 5 at p100"),
        ({"quantiles": {"median": 5, "p100": 9}}, "'median'"),
        ({"quantiles": {"p50": 5, "p50.0": 6, "p100": 9}}, "p50 twice"),
        ({"quantiles": {"p101": 5, "p100": 9}}, "'p101'"),
        ({"histogram": ()}, "no row that was ever seen"),
        ({"histogram": ((4, 0),)}, "no row that was ever seen"),
        ({"mean": math.inf}, "mean is inf"),
    ],
)
def test_what_is_no_distribution_is_told(fields, told):
    with pytest.raises(ValueError, match=told):
        Distribution(**fields)


def test_the_largest_request_is_that_of_the_sample_or_drawn():
    steady = Workload(requests_per_second=1, documents_per_request=10, tokens_per_document=100, tokens_cv=0)
    spread = msgspec.structs.replace(steady, tokens_cv=1.0)
    sampled = msgspec.structs.replace(spread, largest_bytes=123_456.0)

    assert steady.largest_request_bytes == steady.request_bytes
    assert 1.5 * spread.request_bytes < spread.largest_request_bytes < 10 * spread.request_bytes
    assert sampled.largest_request_bytes == 123_456


@given(rate=st.floats(0.001, 1000))
def test_how_often_requests_come_makes_none_of_them_larger(rate):
    workload = Workload(requests_per_second=1, documents_per_request=10, tokens_per_document=100)

    assert msgspec.structs.replace(workload, requests_per_second=rate).largest_request_bytes == (
        workload.largest_request_bytes
    )


def test_requests_of_a_million_documents_can_be_drawn():
    workload = Workload(requests_per_second=1, documents_per_request=1_000_000, tokens_per_document=100)

    assert workload.largest_request_bytes == pytest.approx(workload.request_bytes, rel=0.01)
