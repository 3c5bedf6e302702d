from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from rerank_toolkit.bench.agreement import agreement, require_agreement, spearman
from rerank_toolkit.bench.errors import NotComparable


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_is_scipys_ties_included(seed):
    random = np.random.default_rng(seed)
    first = random.integers(0, 20, 100) / 4.0
    second = first + random.normal(size=100).round(1)

    assert spearman(list(first), list(second)) == pytest.approx(spearmanr(first, second).statistic)


def test_a_side_that_scores_all_the_same_agrees_with_nothing():
    assert spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) == 0


def test_what_precision_loses_is_no_disagreement():
    reference = list(np.linspace(-3, 3, 50))
    rounded = list(np.float32(reference).astype(np.float16).astype(float))

    require_agreement({"theirs": ("bf16", agreement(rounded, reference))}, reference="the reference")


def test_every_side_that_scores_otherwise_is_named():
    reference = list(np.linspace(-3, 3, 50))
    shuffled = [*reference[25:], *reference[:25]]
    shifted = [score + 0.02 for score in reference]

    with pytest.raises(NotComparable) as caught:
        require_agreement(
            {
                "shuffled": ("bf16", agreement(shuffled, reference)),
                "shifted": ("fp32", agreement(shifted, reference)),
                "the same": ("fp32", agreement(reference, reference)),
            },
            reference="the reference",
        )

    assert "shuffled: Spearman -0." in str(caught.value)
    assert "shifted: Spearman 1.0000, logits up to 0.020 apart" in str(caught.value)
    assert "the same" not in str(caught.value).split("\n", 1)[1]
