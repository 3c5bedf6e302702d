from __future__ import annotations

from statistics import median

import numpy as np
import pytest

from rerank_toolkit.bench.workload import Workload


def test_lengths_follow_the_clipped_lognormal():
    lengths = np.array(Workload().lengths(20_000))
    drawn = np.clip(np.random.default_rng(0).lognormal(np.log(120), 0.6, 1_000_000), 16, 512)

    for share in (1, 5, 25, 50, 75, 95, 99):
        assert np.percentile(lengths, share) == pytest.approx(np.percentile(drawn, share), rel=0.01, abs=0.5)
    assert (lengths.min(), lengths.max()) == (16, 512)


@pytest.mark.parametrize("documents", [1, 2, 9, 100])
def test_a_smaller_request_has_the_same_mix(documents):
    assert median(Workload().lengths(documents)) == pytest.approx(120, rel=0.1)


def test_nine_documents_weigh_as_much_as_a_hundred():
    assert np.mean(Workload().lengths(9)) == pytest.approx(Workload().mean_tokens, rel=0.05)


def test_a_seed_changes_the_order_and_nothing_else():
    first, second = Workload().lengths(100, seed=1), Workload().lengths(100, seed=2)

    assert first != second
    assert sorted(first) == sorted(second)


def test_it_says_what_it_is():
    assert str(Workload()) == (
        "100 documents, lengths lognormal with median 120 tokens and sigma 0.6, clipped to 16..512, 10-token query"
    )
