"""Plans: what infra reads, what differs between two, and what is never written over."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from cost_model.compare import Comparison, Option
from cost_model.modes import MODES, Mode
from cost_model.plan_difference import compare_plans, monthly_cost
from cost_model.plan_parts import startup_timeout_s
from cost_model.planner import PLANNED, make_plan, write_plan
from cost_model.prices.book import load_prices
from cost_model.question import Question, answer
from cost_model.service_time import load_profiles
from cost_model.workload import Arrivals, Workload
from infra.checks import check_plan
from rerank_toolkit import __version__
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts.documents import read
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.manifest import artifact_name
from rerank_toolkit.contracts.plan import Deployment, Image, LocalArtifact, NewNetwork, Plan, Rollout, Variant
from rerank_toolkit.contracts.plan import Mode as PlanMode

PRICES = load_prices()
MEASURED, _ = load_profiles([Path(__file__).with_name("profiles")])
WORKLOAD = Workload(
    name="a shop, 24/7?", requests_per_second=2, documents_per_request=25, tokens_per_document=150, max_p95_ms=2000
)
DAY = Arrivals(week={"mon-sun": {"0-16": 1.0, "17-23": 5.0}})


def ask(
    *models: str,
    instances: str = "*",
    modes: tuple[Mode, ...] = ("realtime", "autoscaled"),
    **changes: object,
) -> Comparison:
    question = Question(
        workload=msgspec.structs.replace(WORKLOAD, **changes),
        models=tuple(find_model(model) for model in models or ("tiny",)),
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


@pytest.mark.parametrize("mode", PLANNED)
def test_infra_takes_a_plan_of_every_mode(mode):
    options = ask("base", "tiny", modes=(mode,), traffic=DAY, max_p95_ms=None).options

    for option in [*options[:5], *options[-5:]]:
        assert check_plan(make_plan(option, PRICES)) == [], option.label


def test_what_infra_deploys_is_planned():
    """Inference components share instances, which no comparison here does: their plans are written by hand."""
    assert set(PLANNED.values()) | {"inference-component"} == set(get_args(PlanMode))


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in PLANNED])
def test_another_mode_is_not_planned(mode):
    option = ask(modes=(mode,), max_p95_ms=None).options[0]

    with pytest.raises(ValueError, match="is not deployed by infra"):
        make_plan(option, PRICES)


def planned(mode: Mode, *, at: int = 0, **changes: object) -> tuple[Option, Deployment]:
    option = ask(modes=(mode,), **{"max_p95_ms": None, **changes}).options[at]
    (deployment,) = make_plan(option, PRICES).deployments
    return option, deployment


def test_a_serverless_endpoint_has_its_memory_and_its_concurrency():
    option, deployment = planned("serverless")

    assert (deployment.mode, deployment.stack) == ("serverless", "RerankTinyServerless")
    assert (deployment.instance, deployment.memory_mb) == (None, option.candidate.host.memory_mb)
    assert (deployment.concurrency, deployment.provisioned_concurrency) == (option.count, None)
    assert deployment.image == Image(repository="rerank-toolkit", tag=f"cpu-{__version__}")
    assert deployment.startup_timeout_s == 180
    assert deployment.scaling is None


def test_the_workers_that_were_counted_on_are_the_ones_that_start():
    """On serverless infra starts one unless it is told otherwise; the model counts on one for each core."""
    told = {}
    measured, _ = load_profiles()
    workload = msgspec.structs.replace(WORKLOAD, max_p95_ms=None)
    question = Question(workload=workload, models=(find_model("tiny"),), modes=("serverless",))
    for option in answer(question, PRICES, measured).options:
        (deployment,) = make_plan(option, PRICES).deployments
        workers = option.candidate.memory.workers
        told[workers] = deployment.environment
        assert deployment.environment == ({} if workers == 1 else {"RERANK_WORKERS": str(workers)})

    assert {1, 3} <= set(told)


def test_provisioned_units_are_part_of_the_concurrency():
    option, deployment = planned("provisioned", requests_per_second=5)

    assert deployment.provisioned_concurrency == option.count > 1
    assert deployment.concurrency is not None
    assert deployment.concurrency > option.count  # what finds all units busy is served too


def test_an_asynchronous_endpoint_begins_with_one_instance_and_goes_down_to_none():
    option, deployment = planned("async", requests_per_second=40)

    scaling = deployment.scaling
    assert scaling is not None
    assert (deployment.count, scaling.min_instances, scaling.max_instances) == (1, 0, option.count)
    assert scaling.metric == "ApproximateBacklogSizePerInstance"
    assert f"{scaling.metric} = " in scaling.formula
    assert deployment.concurrency == option.candidate.memory.workers + 1
    assert deployment.stack in ("RerankTinyCpuAsync", "RerankTinyGpuAsync")


def test_a_longer_limit_bears_a_longer_backlog():
    limits = [None, 60_000, 900_000, 3_600_000]
    targets = []
    for limit in limits:
        option, deployment = planned("async", max_p95_ms=limit)
        assert deployment.scaling is not None
        targets.append(deployment.scaling.target)
        seconds = deployment.scaling.target * option.candidate.scaled.saturated_s
        if limit is not None and deployment.scaling.target > 1:
            assert seconds < limit / 1000

    unlimited, shortest, *longer = targets
    assert shortest == 1  # less than a new instance takes to come: whatever waits asks for one
    assert 1 < longer[0] < longer[1]
    assert unlimited > 1


@pytest.mark.parametrize("documents", [25, 60_000])
def test_a_job_is_given_no_more_at_once_than_sagemaker_takes(documents):
    option, deployment = planned("batch", documents_per_request=documents, requests_per_second=0.0001)

    assert deployment.mode == "batch"
    assert deployment.count == option.count
    assert deployment.concurrency is not None
    assert deployment.largest_request_mb is not None
    assert deployment.concurrency * math.ceil(deployment.largest_request_mb) <= 100
    assert 1 <= deployment.concurrency <= option.candidate.memory.workers + 1


def test_arm_has_an_image_of_its_own():
    plan = plan_of(ask(instances="ml.c7g.*"))

    assert plan.deployments[0].image == Image(repository="rerank-toolkit", tag=f"cpu-arm64-{__version__}")


def test_memory_start_and_the_largest_request_are_in_the_plan():
    for option in ask("base", "tiny", instances="ml.c7i.*", max_p95_ms=None).options:
        (deployment,) = make_plan(option, PRICES).deployments
        expected = deployment.expected
        assert expected.memory_mib == math.ceil(option.candidate.memory_needed)
        assert expected.start_s is not None
        assert 0 < expected.start_s < deployment.startup_timeout_s
        assert deployment.largest_request_mb is not None
        assert WORKLOAD.request_bytes < deployment.largest_request_mb * 1e6 < 20 * WORKLOAD.request_bytes


def test_a_start_on_a_gpu_is_unknown_where_none_was_measured_on_one():
    expected = plan_of(ask(instances="ml.g5.*")).deployments[0].expected

    assert expected.start_s is None
    assert "start: unknown" in expected.basis


def test_a_slow_start_is_waited_for():
    candidate = ask(instances="ml.c7i.xlarge").options[0].candidate
    profile = msgspec.structs.replace(candidate.speed.measured.profile, startup_s=300.0)
    measured = msgspec.structs.replace(candidate.speed.measured, profile=profile)
    slow = msgspec.structs.replace(candidate, speed=msgspec.structs.replace(candidate.speed, measured=measured))

    timeout = startup_timeout_s(slow, "realtime")

    assert slow.server_start_s is not None
    assert slow.server_start_s < timeout <= 3600
    assert startup_timeout_s(candidate, "realtime") == 480


def test_a_model_that_starts_too_slowly_for_serverless_is_left_out():
    slow = [
        msgspec.structs.replace(one, profile=msgspec.structs.replace(one.profile, startup_s=100.0)) for one in MEASURED
    ]
    question = Question(workload=WORKLOAD, models=(find_model("tiny"),), modes=("serverless",))

    left_out = answer(question, PRICES, slow).left_out

    assert any("s to start, and serverless gives it 180" in item.why.reason for item in left_out)


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


def test_every_field_of_a_plan_is_compared():
    plan = plan_of(ask(instances="ml.c7i.xlarge"))
    (deployment,) = plan.deployments
    variant = Variant(
        name="turbo",
        model="jina-reranker-v1-turbo-en",
        artifact=deployment.artifact,
        engine="openvino",
        dtype="bf16",
        instance="ml.c7i.xlarge",
        expected=deployment.expected,
    )
    changed = msgspec.structs.replace(
        deployment,
        variants=[variant],
        rollout=Rollout(kind="canary"),
        largest_request_mb=9.5,
        startup_timeout_s=900,
        weight=3.0,
    )
    heavier = msgspec.structs.replace(changed, variants=[msgspec.structs.replace(variant, weight=2.0)])
    after = msgspec.structs.replace(plan, network=NewNetwork(), deployments=[changed])

    fields = {change.field for change in compare_plans(plan, after).changes}
    (of_variant,) = compare_plans(after, msgspec.structs.replace(after, deployments=[heavier])).changes

    assert {"network", "rollout", "largest_request_mb", "startup_timeout_s", "weight"} <= fields
    assert "variants.turbo.model" in fields
    assert (of_variant.field, of_variant.before, of_variant.after) == ("variants.turbo.weight", "1.0", "2.0")


def test_a_plan_with_an_unknown_cost_saves_an_unknown_sum():
    plan = plan_of(ask())
    expected = msgspec.structs.replace(plan.deployments[0].expected, monthly_cost=None)
    unknown = msgspec.structs.replace(
        plan, deployments=[msgspec.structs.replace(plan.deployments[0], expected=expected)]
    )

    assert compare_plans(unknown, plan).saves is None
    assert monthly_cost(plan) != Decimal(0)
