"""Candidates sized, priced and ranked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cost_model.compare import Comparison, Option, option_use
from cost_model.modes import OFFLINE, SAGEMAKER, Mode
from cost_model.prices.book import PriceBook, load_prices
from cost_model.prices.tables import Origin
from cost_model.question import Question, answer
from cost_model.report.compare import comparison_notes, comparison_rows, left_out_lines, shown_options
from cost_model.report.estimate import prices_document, prices_line
from cost_model.service_time import load_profiles
from cost_model.simulation import simulated
from cost_model.sizing import fewest
from cost_model.verdicts import meets
from cost_model.workload import Workload
from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.models import find_model, load_models
from rerank_toolkit.contracts.documents import write

PRICES = load_prices()
MEASURED, _ = load_profiles([Path(__file__).with_name("profiles")])

WORKLOAD = Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150, max_p95_ms=500)
ENDPOINTS: tuple[Mode, ...] = ("realtime", "serverless")


def run(
    *models: str,
    workload: Workload = WORKLOAD,
    regions: Sequence[str] = ("us-east-1",),
    instances: str = "*",
    modes: Sequence[Mode] = ENDPOINTS,
    **changes: object,
) -> Comparison:
    question = Question(
        workload=msgspec.structs.replace(workload, **changes),
        models=tuple(find_model(name) for name in models) or tuple(load_models().values()),
        regions=tuple(regions),
        modes=tuple(modes),
        instances=instances,
    )
    return answer(question, PRICES, MEASURED)


def alone(*models: str, instances: str, **changes: object) -> Comparison:
    """Real-time endpoints of these types alone."""
    return run(*models, instances=instances, modes=["realtime"], **changes)


@pytest.fixture(scope="module")
def everything() -> Comparison:
    return run(modes=("realtime", "serverless", "provisioned", "async", "batch", "lambda", "fargate", "cloud-run"))


def at(comparison: Comparison, model: str, label: str, mode: Mode = "realtime") -> Option:
    for option in comparison.options:
        if (option.candidate.model.alias, option.candidate.host.label, option.mode) == (model, label, mode):
            return option
    raise LookupError(label)


def test_every_model_meets_every_kind_of_host(everything):
    kinds = {(option.candidate.model.id, option.candidate.host.kind) for option in everything.options}

    assert kinds == {(model, kind) for model in load_models() for kind in ("cpu", "gpu", "serverless", "elsewhere")}


def test_whatever_is_priced_is_an_option_or_left_out_with_a_reason():
    found = run("tiny", modes=["realtime"])

    named = {option.candidate.host.label for option in found.options}
    named |= {item.option["instance"] for item in found.left_out}
    assert named == set(load_instances())
    assert all(item.why.reason for item in found.left_out)
    left_out = {item.option["instance"] for item in found.left_out}
    assert left_out >= {"ml.inf1.xlarge", "ml.r8g.xlarge", "ml.t2.medium"}


def test_a_type_that_no_endpoint_accepts_says_so(everything):
    names = {name for name, instance in load_instances().items() if not instance.endpoint}

    told = {item.option["instance"] for item in everything.left_out if item.why.reason == "no endpoint accepts it"}
    assert told == names != set()


def test_a_doubted_price_is_never_ranked(everything):
    rates = [rate for option in everything.options for rate in option.candidate.host.rates.values()]

    assert rates
    assert not any(rate.suspect for rate in rates)
    assert not any("r8g" in option.candidate.host.label for option in everything.options)


def test_costs_are_sums_of_their_lines(everything):
    for option in everything.options:
        assert option.monthly_cost == sum(line.cost for line in option.components)


def test_the_cost_per_document_and_per_query_follow_from_the_month(everything):
    option = at(everything, "tiny", "ml.g4dn.xlarge")
    queries = Decimal(730 * 3600)

    assert option.cost_per_thousand_queries == pytest.approx(
        option.monthly_cost / queries * 1000, abs=Decimal("0.00005")
    )
    assert option.cost_per_million_documents == pytest.approx(
        option.monthly_cost / (queries * 25) * 1_000_000, abs=Decimal("0.00005")
    )


def test_the_chosen_one_is_the_cheapest_within_the_limits_and_the_faster_of_equals(everything):
    within = [
        option for option in everything.options if meets(option, everything.workload) and option.mode in SAGEMAKER
    ]

    assert everything.chosen is not None
    best = min(within, key=lambda option: (option.monthly_cost, option.p95_ms))
    assert (everything.chosen.candidate, everything.chosen.chosen) == (best.candidate, True)
    assert sum(option.chosen for option in everything.options) == 1


def test_what_isnt_sagemakers_is_compared_and_never_chosen(everything):
    lambdas = run("tiny", modes=["lambda", "realtime"], max_p95_ms=5000, requests_per_second=0.05)

    cheapest = next(option for option in lambdas.options if meets(option, lambdas.workload))
    assert (cheapest.mode, cheapest.chosen, cheapest.pareto) == ("lambda", False, False)
    assert lambdas.chosen is not None
    assert lambdas.chosen.mode == "realtime"


def test_what_nobody_waits_for_is_chosen_only_under_a_stated_limit():
    offline: list[Mode] = ["async", "batch", "realtime"]

    without, within_a_day = (run("tiny", modes=offline, max_p95_ms=limit) for limit in (None, 100 * 3_600_000))

    assert without.chosen is not None
    assert without.chosen.mode not in OFFLINE
    assert within_a_day.chosen is not None
    assert within_a_day.chosen.mode == "batch"


def test_a_floor_of_quality_leaves_what_is_unknown_behind():
    floored = run("base", "minilm-l4", "minilm-l12", min_quality=50.0)

    assert floored.chosen is not None
    assert floored.chosen.candidate.model.alias == "base"


def test_a_budget_is_a_limit_too():
    cheapest = run("tiny").options[0]

    too_small = run("tiny", max_p95_ms=None, max_monthly_cost=cheapest.monthly_cost / 2)
    enough = run("tiny", max_p95_ms=None, max_monthly_cost=cheapest.monthly_cost)

    assert too_small.chosen is None
    assert f"the cheapest, {cheapest.label}, costs" in too_small.reason
    assert enough.chosen is not None
    assert enough.chosen.monthly_cost == cheapest.monthly_cost


def test_nothing_on_the_front_is_beaten_and_everything_off_it_is(everything):
    ours = [option for option in everything.options if option.mode in SAGEMAKER]
    sample = [option for option in ours if option.candidate.host.label.startswith(("ml.c6i", "ml.g4dn"))]

    def beats(one: Option, other: Option) -> bool:
        mine = (one.monthly_cost, one.p95_ms, -(one.quality or 0))
        theirs = (other.monthly_cost, other.p95_ms, -(other.quality or 0))
        return all(a <= b for a, b in zip(mine, theirs, strict=True)) and mine != theirs

    for one, other in combinations(sample, 2):
        assert not (one.pareto and beats(other, one))
        assert not (other.pareto and beats(one, other))
    for option in sample:
        assert option.pareto == (not any(beats(other, option) for other in ours))


def test_instances_carry_the_load_within_the_cap(everything):
    always_on = [option for option in everything.options if option.mode == "realtime"]

    assert all(option.utilisation <= 0.7 + 1e-4 for option in always_on)
    assert all(option.p50_ms <= option.p95_ms <= option.p99_ms for option in everything.options)


def test_more_instances_are_taken_if_that_keeps_the_limit():
    lax = alone("tiny", instances="ml.c6i.8xlarge", max_p95_ms=None, requests_per_second=20).options[0]
    limit = 0.9 * lax.p95_ms
    strict = alone("tiny", instances="ml.c6i.8xlarge", max_p95_ms=limit, requests_per_second=20).options[0]

    assert lax.p95_ms > limit >= strict.p95_ms
    assert strict.count > lax.count


def test_an_instance_fewer_would_break_the_limit():
    (option,) = alone("tiny", instances="ml.c6i.2xlarge", requests_per_second=20, max_p95_ms=800).options

    assert option.count > 1
    assert option.p95_ms <= 800
    rate = 20 * option.count / (option.count - 1)  # what each would get of the same traffic with one less
    (fewer,) = alone("tiny", instances="ml.c6i.2xlarge", requests_per_second=rate, max_p95_ms=800).options
    assert fewer.count > option.count


def test_more_load_needs_more_and_costs_more():
    costs = [
        alone("tiny", instances="ml.c6i.xlarge", max_p95_ms=None, requests_per_second=rate).options[0]
        for rate in (0.5, 2, 8, 32)
    ]

    assert [option.count for option in costs] == sorted(option.count for option in costs)
    assert costs[-1].count > costs[0].count
    assert [option.monthly_cost for option in costs] == sorted(option.monthly_cost for option in costs)


def test_one_shared_queue_answers_sooner_than_several():
    several = {"instances": "ml.c6i.xlarge", "max_p95_ms": None, "requests_per_second": 8}
    random = alone("tiny", **several, routing="random").options[0]
    shared = alone("tiny", **several).options[0]

    assert random.count == shared.count > 1
    assert shared.p95_ms < random.p95_ms


def test_headroom_is_how_far_the_traffic_can_grow():
    (option,) = alone("tiny", instances="ml.c6i.4xlarge", max_p95_ms=800).options
    assert option.headroom is not None
    assert option.headroom > 0

    for growth, same in ((0.99 * option.headroom, True), (1.01 * option.headroom, False)):
        (grown,) = alone("tiny", instances="ml.c6i.4xlarge", max_p95_ms=800, requests_per_second=1 + growth).options
        more_than_busy = grown.count > option.count  # either the limit or the bound of utilisation asks for another
        assert more_than_busy is not same or option.headroom * option.utilisation > 0.7


def test_several_regions_are_compared_at_once_and_each_has_its_price():
    both = run("tiny", regions=["us-east-1", "eu-west-1"], instances="ml.c7i.xlarge", modes=["realtime"])

    costs = {option.region: option.components[0].rate for option in both.options}
    for region in ("us-east-1", "eu-west-1"):
        (only,) = run("tiny", regions=[region], instances="ml.c7i.xlarge", modes=["realtime"]).options
        assert costs[region] == only.components[0].rate
    assert len(costs) == 2


def test_an_option_uses_what_a_usage_file_would_say(everything):
    option = at(everything, "tiny", "ml.g4dn.xlarge")

    instances, data = option_use(option)

    assert (instances.instance, instances.instances, instances.hours) == ("ml.g4dn.xlarge", 1, 730)
    assert data.gb_in == Decimal(730 * 3600) * Decimal(str(25 * 150 * 4.5)) / 10**9


def test_serverless_sizes_without_the_memory_are_left_out():
    base = run("base", modes=["serverless"], tokens_per_document=1500, max_p95_ms=None)

    reasons = [item.why.reason for item in base.left_out if item.option.get("memory_mb") == 1024]
    assert reasons
    assert all(reason.startswith("out of memory: needs ") for reason in reasons)
    assert "serverless 1 GB" not in {option.candidate.host.label for option in base.options}


def test_requests_too_long_or_too_large_are_left_out():
    long = run("base", documents_per_request=5000, tokens_per_document=500, max_p95_ms=None)
    large = run("tiny", documents_per_request=10_000, tokens_per_document=2000, max_p95_ms=None)

    assert any("realtime ends one after 60 s" in item.why.reason for item in long.left_out)
    assert all("larger than" in item.why.reason for item in large.left_out if "mode" in item.option)
    assert not large.options
    assert large.chosen is None


def test_what_would_run_into_the_time_limit_gets_more_instances_or_is_left_out():
    """Without a limit of the workload's, the endpoint's holds."""
    long = {"documents_per_request": 600, "requests_per_second": 0.07, "max_p95_ms": None}

    (option,) = alone("tiny", instances="ml.c6i.xlarge", **long).options

    assert option.p95_ms <= 60_000
    assert option.count >= math.ceil(0.07 / option.documents_per_second * option.count * 600 / 0.7)


def test_what_only_multiplies_beyond_the_measured_requests_is_marked():
    """64 documents and 512 tokens were measured, and both together; 64 × 800 tokens were not."""
    usual, beyond = (
        at(run("tiny", documents_per_request=64, tokens_per_document=tokens), "tiny", "ml.c6i.8xlarge").candidate
        for tokens in (500, 800)
    )

    assert usual.basis.startswith("scaled: ")
    assert beyond.basis.startswith("scaled, extrapolated: ")
    assert "51,200 tokens a request are beyond the measured 16 to 32,768" in beyond.basis


def test_a_model_that_reads_less_than_the_mean_document_is_left_out():
    long = run("minilm-l12", "tiny", tokens_per_document=1000, max_p95_ms=None)

    assert {option.candidate.model.alias for option in long.options} == {"tiny"}
    assert any("reads 512 tokens" in item.why.reason for item in long.left_out)


def test_the_reason_names_what_it_was_chosen_from():
    of_one_type = {"instances": "ml.g4dn.xlarge", "max_p95_ms": None}

    assert alone("tiny", **of_one_type).reason.startswith("the only option; ")
    assert alone("tiny", instances="ml.g4dn.xlarge").reason.startswith("the only one within the limits; ")
    both = alone("tiny", "base", **of_one_type)
    assert both.reason.startswith("cheapest; next is base on 1 × ml.g4dn.xlarge for $538.05")


def test_no_lower_bound_passes_for_a_price():
    elsewhere = run("tiny", "base", regions=["us-west-2"])
    shown = shown_options(elsewhere, 2)
    notes = comparison_notes(elsewhere, shown)

    assert all(cell.lstrip("!").startswith("≥") for row in comparison_rows(elsewhere, shown) for cell in row[5:8])
    assert any(note.startswith("≥ at least") for note in notes)
    assert not any("$" in note.replace("at least $", "").replace("$/", "") for note in notes)
    assert "for at least $" in elsewhere.reason


def test_without_the_rate_of_what_is_mainly_paid_nothing_is_ranked():
    """Provisioned concurrency has a known rate in us-east-1 alone."""
    elsewhere = run("tiny", regions=["us-east-1", "eu-west-1"], modes=["provisioned"], max_p95_ms=None)

    assert {option.region for option in elsewhere.options} == {"us-east-1"}
    assert any(item.why.heading == "Provisioned concurrency has no known price" for item in elsewhere.left_out)


def test_left_out_hosts_and_models_are_counted_apart():
    found = run("tiny", "base", tokens_per_document=1500, max_p95_ms=None)
    hosts = [item for item in found.left_out if item.why.heading == "its price is suspect"]

    lines = left_out_lines(found)
    assert hosts
    assert f"{len(hosts)} × its price is suspect (for every model)" in lines
    assert any(line.endswith("× out of memory") for line in lines)


def test_a_region_without_hosting_prices_still_has_serverless():
    options = run("tiny", regions=["ap-south-1"], max_p95_ms=None).options

    assert options
    assert {option.mode for option in options} == {"serverless"}


def test_storage_is_billed_where_it_is_asked_for():
    (stored,) = alone("tiny", instances="ml.c6i.xlarge", storage_gb_per_instance=30.0).options

    line = stored.components[1]
    assert (line.name, line.quantity) == ("Endpoint storage", 30 * stored.count)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_p95_ms": 0.1}, "the limit is 0.1 ms"),
        ({"min_quality": 60.0}, "the best has a BEIR nDCG@10 of 48.54, the floor is 60"),
        ({"max_monthly_cost": Decimal(1)}, "the budget is $1"),
    ],
)
def test_why_nothing_meets_a_limit(changes, told):
    assert told in run("tiny", **changes).reason


def test_limits_that_can_only_be_kept_apart_say_what_would_have_to_give():
    both = alone("tiny", "base", instances="ml.g4dn.xlarge", max_p95_ms=50, min_quality=50.0)

    assert both.chosen is None
    assert both.reason.startswith("no option meets the limits together: a limit of ")
    assert "; or a floor of 48.54 allows tiny on 1 × ml.g4dn.xlarge for $538.05 a month" in both.reason


def test_none_has_a_known_quality():
    assert "none has a known BEIR nDCG@10" in run("minilm-l12", min_quality=1.0).reason


def test_the_basis_names_the_profile_the_ratio_and_the_peaks(everything):
    basis = at(everything, "turbo", "ml.c6i.xlarge").candidate.basis

    assert basis.startswith("scaled: ")
    assert "× the compute time of jina-reranker-v1-tiny-en as measured on AMD EPYC" in basis
    assert "1.5 (FLOPs of the models)" in basis
    assert "2 cores (worth " in basis
    assert "× 3.5 GHz × 64 fp32 FLOP/cycle (avx512_vnni)" in basis
    assert "0.5 to 1.5 vCPU per GB" in at(everything, "turbo", "serverless 2 GB", "serverless").candidate.basis


def test_each_cpu_computes_in_what_it_has(tmp_path):
    # GIVEN the same measurement of torch in fp32 and of OpenVINO in bf16, which took a quarter of the time
    torch = next(one.profile for one in MEASURED if "tiny" in one.profile.model_id)
    cells = [msgspec.structs.replace(cell, inference_ms=cell.inference_ms / 4) for cell in torch.cells]
    write(tmp_path / "torch.json", torch)
    write(tmp_path / "bf16.json", msgspec.structs.replace(torch, engine="openvino", dtype="bf16", cells=cells))
    measured, _ = load_profiles([tmp_path])
    # WHEN both engines are compared on an older, a newer and an Arm CPU
    question = Question(
        workload=WORKLOAD, models=(find_model("tiny"),), modes=("realtime",), instances="ml.[cm][67]*.xlarge"
    )
    options = answer(question, PRICES, measured).options
    # THEN each engine is an option of its own, in what the CPU computes, and OpenVINO is the faster
    found = {(option.candidate.host.label, option.candidate.engine): option.candidate for option in options}
    assert found["ml.c6i.xlarge", "openvino"].dtype == "fp32"
    assert found["ml.c7i.xlarge", "openvino"].dtype == "bf16"
    assert found["ml.c7g.xlarge", "openvino"].dtype == "fp16"
    assert {candidate.dtype for (_, engine), candidate in found.items() if engine == "torch"} == {"fp32"}
    by_openvino, by_torch = found["ml.c7i.xlarge", "openvino"], found["ml.c7i.xlarge", "torch"]
    assert by_openvino.scaled.alone_s < by_torch.scaled.alone_s


def test_int8_is_compared_where_it_is_sound_and_chosen_only_on_request():
    measured, _ = load_profiles()
    question = Question(
        workload=WORKLOAD,
        models=(find_model("minilm-l12"), find_model("tiny")),
        modes=("realtime",),
        instances="ml.[cm][4567]*xlarge",
    )

    usual, asked = (
        answer(msgspec.structs.replace(question, dtypes=dtypes, int8_opted_in=opted), PRICES, measured)
        for dtypes, opted in ((question.dtypes, False), (("int8",), True))
    )

    int8 = [option.candidate for option in usual.options if option.candidate.dtype == "int8"]
    assert {candidate.model.alias for candidate in int8} == {"minilm-l12"}  # of tiny nobody has measured the loss
    assert {candidate.host.instruction_set for candidate in int8} <= {"avx512_vnni", "avx512_bf16", "amx"}
    assert all("int8 ranks as fp32 with Spearman 0.99" in candidate.basis for candidate in int8)
    assert usual.chosen is not None
    assert usual.chosen.candidate.dtype != "int8"
    assert asked.chosen is not None
    assert asked.chosen.candidate.dtype == "int8"


def test_the_very_instance_that_was_measured_is_not_scaled(tmp_path):
    profile = MEASURED[0].profile
    hardware = msgspec.structs.replace(profile.hardware, instance="ml.c6i.xlarge")
    write(tmp_path / "c6i.json", msgspec.structs.replace(profile, hardware=hardware))
    measured, _ = load_profiles([tmp_path])
    question = Question(
        workload=WORKLOAD, models=(find_model(profile.model_id),), modes=("realtime",), instances="ml.c6i.*xlarge"
    )

    options = answer(question, PRICES, measured).options

    words = {
        option.candidate.host.label: (option.candidate.basis.partition(":")[0], option.candidate.ratio == 1.0)
        for option in options
    }
    assert words.pop("ml.c6i.xlarge") == ("interpolated", True)
    assert set(words.values()) == {("scaled", False)}


def test_what_is_chosen_keeps_its_limit_in_the_simulation_too():
    """The closed forms take the first option; the simulation, which finds it too slow, the next that it bears out."""
    question = Question(workload=WORKLOAD, models=(find_model("tiny"),), modes=("realtime",), instances="ml.c7i.*")
    by_closed_forms = answer(question, PRICES, MEASURED).chosen
    assert by_closed_forms is not None

    def slower_there(option: Option) -> Option:
        if option.candidate.host.label != by_closed_forms.candidate.host.label:
            return simulated(option)
        return msgspec.structs.replace(option, sizing=msgspec.structs.replace(option.sizing, limited=9.0))

    chosen = answer(question, PRICES, MEASURED, refine=slower_there).chosen

    assert chosen is not None
    assert chosen.candidate.host.label != by_closed_forms.candidate.host.label
    assert chosen.monthly_cost > by_closed_forms.monthly_cost
    assert chosen.timed == "simulation"
    assert meets(chosen, WORKLOAD)


@pytest.mark.parametrize("needed", [1, 2, 3, 5, 8, 9, 40])
def test_fewest_finds_the_smallest_that_does(needed):
    least, enough = np.array([1.0, 2.0, 10.0, 50.0]), np.array([40.0, 64.0, 1000.0, 50.0])

    got = fewest(least, enough, lambda count: count < needed)

    assert got.tolist() == [max(start, needed) for start in (1, 2, 10, 50)]


def test_prices_of_several_days_are_told_by_region():
    """As after a refresh of one region."""
    origin = Origin(as_of=date(2026, 11, 1), source="AWS Price List bulk file of AmazonSageMaker")
    header = msgspec.structs.replace(PRICES.header, regions={"eu-west-1": origin})
    refreshed = PriceBook(PRICES.path, header=header)

    document = prices_document(refreshed, "eu-west-1", "us-east-1")

    assert document["as_of"] == "2026-09-22"  # the oldest
    assert {region: str(each.as_of) for region, each in document["regions"].items()} == {
        "eu-west-1": "2026-11-01",
        "us-east-1": "2026-09-22",
    }
    both = prices_line(refreshed, ["us-east-1", "eu-west-1"])
    assert both == "us-east-1 at prices of 2026-09-22, eu-west-1 at prices of 2026-11-01"
    assert prices_line(PRICES, ["us-east-1", "eu-west-1"]) == "us-east-1, eu-west-1, prices as of 2026-09-22"
