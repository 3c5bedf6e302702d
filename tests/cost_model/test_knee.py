"""The knee, which targets of autoscaling come from: worked out in closed form, held in virtual time."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from cost_model.hosts import find_hosts
from cost_model.modes.autoscaled import safety, target
from cost_model.options import Candidate, find_candidates
from cost_model.prices.book import load_prices
from cost_model.service_time import load_profiles
from cost_model.simulate.machine import Machine
from cost_model.simulate.option import AlwaysOn, simulate_option
from cost_model.sizing import Demand, knee_alone
from cost_model.workload import Workload
from rerank_toolkit.catalog.models import find_model

WORKLOAD = Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150)


def candidate(model: str, instance: str) -> Candidate:
    hosts, _ = find_hosts(load_prices(), "us-east-1", services=["instance"], instances=instance)
    measured, _ = load_profiles()
    found, _ = find_candidates([find_model(model)], hosts, WORKLOAD, measured, dtypes=["bf16"])
    return found[0]


@pytest.mark.parametrize("model", ["tiny", "base"])
@pytest.mark.parametrize("instance", ["ml.c7i.large", "ml.c7i.xlarge", "ml.c7i.4xlarge"])
@pytest.mark.parametrize("times", [2.5, 6.0])
def test_at_the_knee_the_limit_holds_and_well_beyond_it_breaks(model: str, instance: str, times: float) -> None:
    """The limit is so many times what a request takes that is alone."""
    found = candidate(model, instance)
    demand = Demand.of([found])
    limit_s = times * float(demand.service[0] + demand.around[0])
    workload = msgspec.structs.replace(WORKLOAD, max_p95_ms=limit_s * 1000)

    (knee,) = knee_alone(demand, workload, limit_s)

    def p95(busy: float) -> float:
        rate = busy / float(demand.work[0])
        loaded = msgspec.structs.replace(workload, requests_per_second=rate)
        machine = Machine.of(found, loaded)
        return simulate_option(machine, loaded, AlwaysOn(count=1), requests=30_000, error=1).percentile(95).value

    assert p95(knee) == pytest.approx(limit_s, rel=0.25)
    assert p95(knee) <= 1.05 * limit_s
    assert p95(min(knee + 0.5 * (1 - knee), 0.97)) > limit_s


def test_the_target_is_the_knee_s_rate_with_its_safety() -> None:
    found = candidate("tiny", "ml.c7i.xlarge")
    demand = Demand.of([found])
    week = msgspec.structs.replace(WORKLOAD, max_p95_ms=400.0)
    (knee,) = knee_alone(demand, week, 0.4)

    told = target(found, week)

    a_minute = min(knee, week.max_utilisation) / float(demand.work[0]) * 60
    assert told.invocations == pytest.approx(a_minute * safety(week), abs=0.01)
    assert np.isfinite(told.invocations)
    assert "of its time" in told.formula
