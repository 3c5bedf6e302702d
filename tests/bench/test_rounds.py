from __future__ import annotations

import numpy as np
import pytest

from rerank_toolkit.bench.rounds import agreement_request, interleave, percentile, workload_requests
from rerank_toolkit.bench.server_process import serve
from rerank_toolkit.bench.sides import ContainerSide
from rerank_toolkit.bench.workload import Workload


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99, 1.0])
def test_percentiles_are_numpys(share):
    values = list(np.random.default_rng(1).normal(size=137))

    assert percentile(values, share) == np.quantile(values, share, method="inverted_cdf")


def test_requests_differ_and_have_the_same_lengths():
    workload = Workload(documents=9)
    first, second = workload_requests(workload, 2)

    assert first != second
    assert sorted(len(text.split()) for text in first[1]) == sorted(workload.lengths(9))
    assert sorted(len(text.split()) for text in second[1]) == sorted(workload.lengths(9))
    assert len(first[0].split()) == workload.query_tokens


def test_the_requests_that_are_compared_by_score_share_more_or_less_with_the_query():
    query, texts = agreement_request(Workload(documents=22))

    shared = [next(i for i, word in enumerate([*query.split(), None]) if word != text.split()[i]) for text in texts]
    assert set(range(11)) <= set(shared) | {10}
    assert [len(text.split()) for text in texts] == Workload(documents=22).lengths(22)


def test_each_side_answers_each_of_its_requests(small_bert):
    requests = workload_requests(Workload(documents=3, most_tokens=40), 4, tokens_per_word=5)
    with serve(small_bert) as server:
        sides = [ContainerSide(name, server.url, server.pid) for name in ("one", "other")]
        told = []
        taken = interleave(sides, {side.name: requests for side in sides}, told.append)
        for side in sides:
            side.close()

    assert [len(scored) for scored in taken.values()] == [4, 4]
    assert len(told) == 4
    for one, other in zip(taken["one"], taken["other"], strict=True):
        assert one.logits == pytest.approx(other.logits, abs=1e-5)
        assert np.ptp(one.logits) > 0.01
