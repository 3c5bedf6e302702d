"""A request that has a server to itself, however many engines that has, against the container's policy."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from cost_model.service_time import load_profiles
from cost_model.service_time.lengths import typical_requests
from cost_model.service_time.passes import load_of
from cost_model.service_time.request import MOST_LAID_OUT, Alone, request_alone
from cost_model.simulate.machine import Machine
from cost_model.simulate.policy import BatchLaw, Policy
from cost_model.workload import Distribution, Tokens, Workload
from rerank_toolkit.catalog.models import find_model

LAWS = {one.profile.model_id: one.law for one in load_profiles()[0]}
WORKLOAD = Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150)
TOKEN_BUDGET = 1024


def by_the_policy(model_name: str, workload: Workload, engines: int) -> NDArray[np.float64]:
    """Drawn requests, one at a time."""
    model = find_model(model_name)
    machine = Machine(
        law=BatchLaw.of(LAWS[model.id]),
        policy=Policy(engines=engines, token_budget=TOKEN_BUDGET),
        max_tokens=model.max_tokens,
        shape=model.shape,
    )
    requests = round(max(300, 20_000 / workload.documents_per_request))
    drawn = machine.draw(workload, np.random.default_rng(2), np.zeros(requests))
    return machine.alone(drawn)


def by_arithmetic(model_name: str, workload: Workload, engines: int) -> Alone:
    model = find_model(model_name)
    return request_alone(LAWS[model.id], workload, model.max_tokens, engines=engines, token_budget=TOKEN_BUDGET)


@pytest.mark.parametrize("engines", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("documents", [1, 5, 25, 100])
@pytest.mark.parametrize("model", ["tiny", "mxbai-base"])
def test_it_takes_what_drawn_requests_take(model: str, documents: int, engines: int) -> None:
    workload = msgspec.structs.replace(WORKLOAD, documents_per_request=documents)

    found, drawn = by_arithmetic(model, workload, engines), by_the_policy(model, workload, engines)

    assert found.mean_s == pytest.approx(drawn.mean(), rel=0.1)
    p95 = found.mean_s + 1.645 * found.deviation_s
    assert p95 == pytest.approx(np.percentile(drawn, 95), rel=0.15)


@pytest.mark.parametrize("engines", [2, 16])
def test_more_documents_than_are_laid_out_take_as_much_more(engines: int) -> None:
    workload = msgspec.structs.replace(WORKLOAD, documents_per_request=3 * MOST_LAID_OUT)

    found, drawn = by_arithmetic("tiny", workload, engines), by_the_policy("tiny", workload, engines)

    assert found.mean_s == pytest.approx(drawn.mean(), rel=0.05)


@pytest.mark.parametrize("engines", [2, 16])
def test_queries_and_documents_may_have_lengths_of_their_own(engines: int) -> None:
    tokens = Tokens(query=Distribution(mean=12, cv=0.5), document=Distribution(quantiles={"p50": 90, "p100": 400}))
    workload = msgspec.structs.replace(WORKLOAD, tokens_per_document=tokens.pair_moments()[1], tokens=tokens)

    found, drawn = by_arithmetic("tiny", workload, engines), by_the_policy("tiny", workload, engines)

    assert found.mean_s == pytest.approx(drawn.mean(), rel=0.08)


def test_documents_that_differ_more_keep_many_engines_longer() -> None:
    alike, differing = (msgspec.structs.replace(WORKLOAD, tokens_cv=cv) for cv in (0.0, 1.0))

    assert by_arithmetic("tiny", differing, 16).mean_s > 1.5 * by_arithmetic("tiny", alike, 16).mean_s
    assert by_arithmetic("tiny", alike, 16).deviation_s == pytest.approx(0, abs=1e-12)


def test_more_engines_never_take_longer_and_never_less_than_the_longest_document() -> None:
    seconds = [by_arithmetic("tiny", WORKLOAD, engines).mean_s for engines in (1, 2, 4, 8, 16, 25, 100)]

    assert seconds == sorted(seconds, reverse=True)
    longest = [load_of(request[:1], padded=True) for request in typical_requests(WORKLOAD, 25, 8192)]
    assert seconds[-1] >= np.mean([LAWS[find_model("tiny").id].seconds(load) for load in longest])


def test_typical_requests_have_the_longest_first_and_about_the_mean() -> None:
    requests = typical_requests(WORKLOAD, 25, 8192)

    assert all(list(lengths) == sorted(lengths, reverse=True) for lengths in requests)
    assert np.mean(requests) == pytest.approx(150, rel=0.02)
    assert np.max(typical_requests(WORKLOAD, 25, 300)) <= 300
    assert np.ptp(typical_requests(msgspec.structs.replace(WORKLOAD, tokens_cv=0.0), 3, 8192)) == 0


def test_the_longest_are_as_long_as_the_longest_of_as_many_drawn() -> None:
    drawn = WORKLOAD.draw(np.random.default_rng(3), 4_000).tokens.reshape(-1, 25).max(axis=1)

    longest = [lengths[0] for lengths in typical_requests(WORKLOAD, 25, 8192)]

    assert np.mean(longest) == pytest.approx(drawn.mean(), rel=0.03)
    assert longest == pytest.approx(np.quantile(drawn, [0.1, 0.3, 0.5, 0.7, 0.9]), rel=0.05)
