"""Plans: what infra reads, what differs between two, and what is never written over."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from cost_model.compare import Comparison
from cost_model.modes import MODES, Mode
from cost_model.planner import PLANNED, compare_plans, make_plan, monthly_cost, write_plan
from cost_model.prices.book import load_prices
from cost_model.question import Question, answer
from cost_model.service_time import load_profiles
from cost_model.workload import Arrivals, Workload
from infra.checks import check_plan
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts.documents import read
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.manifest import artifact_name
from rerank_toolkit.contracts.plan import LocalArtifact, Plan

PRICES = load_prices()
MEASURED, _ = load_profiles([Path(__file__).with_name("profiles")])
WORKLOAD = Workload(
    name="a shop, 24/7?", requests_per_second=2, documents_per_request=25, tokens_per_document=150, max_p95_ms=2000
)
DAY = Arrivals(week={"mon-sun": {"0-16": 1.0, "17-23": 5.0}})


def ask(
    model: str = "tiny",
    *,
    instances: str = "*",
    modes: tuple[Mode, ...] = ("realtime", "autoscaled"),
    **changes: object,
) -> Comparison:
    question = Question(
        workload=msgspec.structs.replace(WORKLOAD, **changes),
        models=(find_model(model),),
        modes=modes,
        instances=instances,
    )
    return answer(question, PRICES, MEASURED)


def plan_of(comparison: Comparison) -> Plan:
    assert comparison.chosen is not None
    return make_plan(comparison.chosen, PRICES)


@pytest.mark.parametrize(
    ("instances", "changes"),
    [
        ("ml.c7i.*", {}),
        ("ml.c6i.*", {}),  # without bf16: computes in fp32 from the same artifact
        ("ml.c7g.*", {}),
        ("ml.g5.*", {}),
        ("ml.c7i.*", {"traffic": DAY, "requests_per_second": 20}),
    ],
)
def test_infra_takes_every_plan(instances, changes):
    plan = plan_of(ask(instances=instances, **changes))

    assert check_plan(plan) == []


def test_what_is_planned_is_what_infra_deploys():
    """Every mode of the contract that infra refuses is planned by none of ours, and every one that it takes by some."""
    plan = plan_of(ask())
    taken = {
        mode
        for mode in ("realtime", "serverless", "async", "batch", "inference-component")
        if not any(
            fault.field.endswith(".mode")
            for fault in check_plan(
                msgspec.structs.replace(plan, deployments=[msgspec.structs.replace(plan.deployments[0], mode=mode)])
            )
        )
    }

    assert set(PLANNED.values()) == taken


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in PLANNED])
def test_another_mode_is_not_planned(mode):
    option = ask(modes=(mode,), max_p95_ms=None).options[0]

    with pytest.raises(ValueError, match="is not deployed by infra"):
        make_plan(option, PRICES)


def test_the_plan_says_what_is_expected_and_from_what():
    comparison = ask(instances="ml.c7i.*")
    chosen = comparison.chosen
    assert chosen is not None

    (deployment,) = make_plan(chosen, PRICES).deployments

    expected = deployment.expected
    assert expected.monthly_cost == chosen.monthly_cost == sum(line.cost for line in expected.cost_components)
    assert (expected.p95_ms, expected.documents_per_second) == (chosen.p95_ms, chosen.documents_per_second)
    assert chosen.candidate.basis in expected.basis
    assert isinstance(deployment.artifact, LocalArtifact)
    engine = chosen.candidate.engine
    assert deployment.artifact.path == f"artifacts/{artifact_name(deployment.model, engine, deployment.dtype)}"


def test_a_scaled_endpoint_has_its_target_and_its_formula():
    comparison = ask(instances="ml.c7i.4xlarge", modes=("autoscaled",), traffic=DAY, requests_per_second=40)
    chosen = comparison.chosen
    assert chosen is not None

    (deployment,) = make_plan(chosen, PRICES).deployments

    scaling = deployment.scaling
    assert scaling is not None
    assert scaling.min_instances == chosen.sizing.least < chosen.count < scaling.max_instances
    assert f"{scaling.metric} = " in scaling.formula
    assert deployment.count == chosen.count


def test_a_total_that_misses_a_line_is_no_expected_cost():
    question = Question(
        workload=WORKLOAD,
        models=(find_model("tiny"),),
        modes=("realtime",),
        regions=("us-west-2",),
    )
    chosen = answer(question, PRICES, MEASURED).chosen
    assert chosen is not None

    expected = make_plan(chosen, PRICES).deployments[0].expected

    assert expected.monthly_cost is None
    assert expected.cost_components
    assert f"at least ${chosen.monthly_cost:.2f}, unpriced: Data in, Data out" in expected.basis


def test_where_memory_is_short_the_plan_starts_fewer_workers():
    """Documents of 2,000 tokens take so much that not every core's engine has room."""
    measured, _ = load_profiles()
    long = msgspec.structs.replace(WORKLOAD, tokens_per_document=2000, max_p95_ms=None, requests_per_second=0.01)
    question = Question(workload=long, models=(find_model("base"),), modes=("realtime",), instances="ml.c6g.[24]xlarge")

    for option in answer(question, PRICES, measured).options:
        memory = option.candidate.memory
        (deployment,) = make_plan(option, PRICES).deployments
        assert deployment.environment == {"RERANK_WORKERS": str(memory.workers)}
        assert memory.mib <= option.candidate.host.memory_mb
        assert memory.workers < option.candidate.host.peak.cores


def test_a_plan_is_written_and_read_again(tmp_path):
    plan = plan_of(ask())

    write_plan(tmp_path / "plan.json", plan)
    write_plan(tmp_path / "plan.json", plan)  # over a plan

    assert read(tmp_path / "plan.json", Plan) == plan


@pytest.mark.parametrize("content", ["not JSON", "{}", '{"schema_version": 1, "mine": true}'])
def test_what_is_no_plan_is_never_written_over(tmp_path, content):
    path = tmp_path / "plan.json"
    path.write_text(content)

    with pytest.raises(InvalidInput, match="it would be written over"):
        write_plan(path, plan_of(ask()))

    assert path.read_text() == content


def test_a_folder_is_no_place_for_a_plan(tmp_path):
    with pytest.raises(InvalidInput, match="is a folder"):
        write_plan(tmp_path, plan_of(ask()))


def test_the_difference_of_a_plan_to_itself_is_nothing():
    plan = plan_of(ask())

    difference = compare_plans(plan, plan)

    assert difference.changes == []
    assert difference.saves == 0


def test_the_difference_tells_each_field_and_what_it_saves():
    big, small = (plan_of(ask(instances=f"ml.c7i.{size}")) for size in ("4xlarge", "2xlarge"))

    difference = compare_plans(big, small)

    changed = {(change.stack, change.field): (change.before, change.after) for change in difference.changes}
    assert changed["RerankTinyCpu", "instance"] == ("ml.c7i.4xlarge", "ml.c7i.2xlarge")
    before, after = monthly_cost(big), monthly_cost(small)
    assert before is not None
    assert after is not None
    assert difference.saves == before - after


def test_stacks_come_and_go_and_scaling_changes():
    fixed = plan_of(ask(instances="ml.c7i.4xlarge", modes=("realtime",), requests_per_second=40))
    scaled = plan_of(ask(instances="ml.c7i.4xlarge", modes=("autoscaled",), requests_per_second=40, traffic=DAY))
    other = plan_of(ask("base", instances="ml.g5.xlarge"))

    fields = {change.field for change in compare_plans(fixed, scaled).changes}
    moves = [(change.before, change.after) for change in compare_plans(fixed, other).changes if not change.field]

    assert {"scaling.target", "scaling.min_instances", "scaling.max_instances"} <= fields
    assert [(before is None, after is None) for before, after in moves] == [(False, True), (True, False)]


def test_a_plan_with_an_unknown_cost_saves_an_unknown_sum():
    plan = plan_of(ask())
    expected = msgspec.structs.replace(plan.deployments[0].expected, monthly_cost=None)
    unknown = msgspec.structs.replace(
        plan, deployments=[msgspec.structs.replace(plan.deployments[0], expected=expected)]
    )

    assert compare_plans(unknown, plan).saves is None
    assert monthly_cost(plan) != Decimal(0)
