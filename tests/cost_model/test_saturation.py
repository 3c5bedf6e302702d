"""What a server does under saturation: as its profile says, and nothing of it where a request is alone."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cost_model.hosts import find_hosts
from cost_model.options import Candidate, find_candidates
from cost_model.prices.book import load_prices
from cost_model.scaling import measured_here
from cost_model.service_time import MeasuredModel, Speed, find_speed, load_profiles
from cost_model.service_time.saturation import engine_share, saturated_load
from cost_model.simulate.machine import Machine
from cost_model.simulate.option import AlwaysOn, simulate_option
from cost_model.simulate.policy import BatchLaw, Policy, serve
from cost_model.simulate.traffic import Traffic
from cost_model.sizing import Demand, respond
from cost_model.workload import Workload
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts.documents import read, write
from rerank_toolkit.contracts.profile import Profile

MEASURED = {one.profile.model_id: one for one in load_profiles()[0]}
WORKLOAD = Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150)
MADE_UP = Path(__file__).with_name("profiles") / "jina-reranker-v1-tiny-en-torch-fp32-made-up.json"


def as_saturated(profile: Profile) -> Workload:
    """Requests like those that the profile's server was saturated with, but each with documents of its own."""
    how = profile.saturation
    assert how is not None
    assert how.squared_tokens_per_document is not None
    return Workload(
        requests_per_second=1,
        documents_per_request=how.documents_per_request,
        tokens_per_document=how.tokens_per_document,
        tokens_cv=math.sqrt(how.squared_tokens_per_document / how.tokens_per_document**2 - 1),
    )


def speed_of(measured: MeasuredModel, workload: Workload) -> Speed:
    speed = find_speed(find_model(measured.profile.model_id), workload, [measured], instance=None, gpu=False)
    assert isinstance(speed, Speed)
    return speed


@pytest.mark.parametrize("model", sorted(MEASURED))
def test_the_measured_machine_does_what_was_measured(model: str) -> None:
    measured = MEASURED[model]
    workload = as_saturated(measured.profile)

    scaled = measured_here(speed_of(measured, workload))

    documents_per_second = workload.documents_per_request / scaled.saturated_s
    assert documents_per_second == pytest.approx(measured.profile.documents_per_second, rel=0.04)


@pytest.mark.parametrize("model", sorted(MEASURED))
def test_engines_never_beat_the_law_by_much_nor_lose_much_to_it(model: str) -> None:
    assert 0.8 < MEASURED[model].engine_share < 1.05


def slow_among_others(share: float) -> MeasuredModel:
    return msgspec.structs.replace(MEASURED["jina-reranker-v1-tiny-en"], engine_share=share)


def candidate(share: float) -> Candidate:
    hosts, _ = find_hosts(load_prices(), "us-east-1", services=["instance"], instances="ml.c7i.xlarge")
    (found,), _ = find_candidates([find_model("tiny")], hosts, WORKLOAD, [slow_among_others(share)], dtypes=["bf16"])
    return found


def test_an_idle_server_is_as_fast_as_its_law_whatever_its_share() -> None:
    demand = Demand.of([candidate(1.0), candidate(0.8)])

    idle, busy = (respond(demand, WORKLOAD, np.ones(2), load * demand.work)(0.5) for load in (1e-6, 0.6))

    assert idle[0] == pytest.approx(idle[1], rel=1e-3)
    assert busy[0] == pytest.approx(busy[1], rel=0.02)  # equally busy, with a fifth less work
    assert demand.work[1] == pytest.approx(demand.work[0] / 0.8)
    assert "80% of that speed among other requests" in candidate(0.8).basis
    assert "among other requests" not in candidate(1.0).basis


@pytest.mark.parametrize("share", [0.8, 0.93])
def test_the_simulation_agrees_that_others_cost_a_share(share: float) -> None:
    """At the same rate, idle and busy: the closed form counts the share as load, the simulation slows the batches."""
    found = candidate(share)
    demand = Demand.of([found])
    machine = Machine.of(found, WORKLOAD)
    for busy in (0.05, 0.6):
        workload = msgspec.structs.replace(WORKLOAD, requests_per_second=busy / float(demand.work[0]))
        simulated = simulate_option(machine, workload, AlwaysOn(count=1), requests=20_000, error=1)

        closed = respond(demand, workload, np.ones(1), np.array([busy]))
        assert float(closed(0.5)[0]) == pytest.approx(simulated.percentile(50).value, rel=0.12)
        assert simulated.utilisation == pytest.approx(busy, rel=0.06 + 1 - share)  # less, where one is often alone


def test_a_lone_request_is_not_slowed_and_several_are() -> None:
    tokens = np.full(20, 100)
    law, policy = BatchLaw(per_token=1e-3, crowding=(1.0, 1.25)), Policy()

    def answers(requests: int) -> list[float]:
        offsets = np.linspace(0, 20, requests + 1).astype(np.int64)
        traffic = Traffic(arrivals=np.zeros(requests), offsets=offsets, tokens=tokens, work=tokens.astype(float))
        return serve(traffic, law, policy).answered.tolist()

    assert answers(1) == pytest.approx([2.0])
    # The first comes to an idle server, the last is alone again; in between there are others.
    assert max(answers(4)) == pytest.approx(0.5 + 1.25 * 1.5, rel=0.01)


@pytest.mark.parametrize("model", ["jina-reranker-v1-tiny-en", "mxbai-rerank-base-v1"])
@pytest.mark.parametrize("documents", [1, 5, 25, 200])
@pytest.mark.parametrize("engines", [2, 8])
def test_capacity_is_what_the_policy_has_in_virtual_time(model: str, documents: int, engines: int) -> None:
    """Each arrives by itself there, and here callers wait for each other: requests of many documents go in step."""
    law, max_tokens = MEASURED[model].law, find_model(model).max_tokens
    workload = msgspec.structs.replace(WORKLOAD, documents_per_request=documents)
    machine = Machine(
        law=BatchLaw.of(law), policy=Policy(engines=engines), max_tokens=max_tokens, shape=find_model(model).shape
    )
    rng = np.random.default_rng(1)
    traffic = machine.draw(workload, rng, np.zeros(max(300, 20_000 // documents)))

    load = saturated_load(law, workload, max_tokens, engines=engines, token_budget=1024)

    simulated = machine.busy(traffic, rng) * len(traffic.arrivals) / len(traffic.tokens)
    assert law.seconds(load) / engines == pytest.approx(simulated, rel=0.06)


def test_a_profile_that_does_not_tell_how_it_was_saturated_has_no_share() -> None:
    profile = read(MADE_UP, Profile)

    assert profile.saturation is None
    assert engine_share(profile, MEASURED["jina-reranker-v1-tiny-en"].law) == 1


def test_lengths_that_a_profile_does_not_tell_count_as_equal_which_is_on_the_safe_side() -> None:
    measured = MEASURED["mxbai-rerank-base-v1"]
    how = measured.profile.saturation
    assert how is not None
    untold = msgspec.structs.replace(how, squared_tokens_per_document=None)

    share = engine_share(msgspec.structs.replace(measured.profile, saturation=untold), measured.law)

    assert 0.8 * measured.engine_share < share < measured.engine_share


def test_a_profile_of_a_server_that_got_nothing_through_is_left_out(tmp_path: Path) -> None:
    stuck = msgspec.structs.replace(MEASURED["jina-reranker-v1-tiny-en"].profile, documents_per_second=0.0)
    write(tmp_path / "stuck.json", stuck)

    measured, unusable = load_profiles([tmp_path])

    assert not measured
    assert unusable == ["profile stuck.json: documents_per_second is 0; expected more than 0"]
