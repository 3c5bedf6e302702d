"""Candidates sized, priced and ranked."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cost_model.compare import Comparison, Option, compare, meets
from cost_model.options import find_candidates, find_hosts
from cost_model.prices.book import load_prices
from cost_model.report.compare import comparison_notes, comparison_rows, left_out_lines
from cost_model.service_time import load_profiles
from cost_model.sizing import fewest
from cost_model.workload import Workload
from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.catalog.models import find_model, load_models
from rerank_toolkit.contracts.documents import write

PRICES = load_prices()
MEASURED, _ = load_profiles([Path(__file__).with_name("profiles")])

WORKLOAD = Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150, max_p95_ms=500)


def run(
    *models: str, workload: Workload = WORKLOAD, region: str = "us-east-1", instances: str = "*", **changes: object
) -> Comparison:
    asked = msgspec.structs.replace(workload, **changes)
    chosen = [find_model(name) for name in models] or list(load_models().values())
    hosts, no_host = find_hosts(PRICES, region, instances=instances)
    candidates, no_candidate = find_candidates(chosen, hosts, asked, MEASURED)
    return compare(candidates, asked, PRICES, region, [*no_host, *no_candidate])


@pytest.fixture(scope="module")
def everything() -> Comparison:
    return run()


def at(comparison: Comparison, model: str, label: str) -> Option:
    for option in comparison.options:
        if (option.candidate.model.alias, option.candidate.host.label) == (model, label):
            return option
    raise LookupError(label)


def test_every_model_meets_every_kind_of_host(everything):
    kinds = {(option.candidate.model.id, option.candidate.host.kind) for option in everything.options}

    assert kinds == {(model, kind) for model in load_models() for kind in ("cpu", "gpu", "serverless")}


def test_each_host_is_an_option_or_left_out_with_a_reason(everything):
    hosts, no_host = find_hosts(PRICES, "us-east-1")
    per_model = [item for item in everything.left_out if "model" in item.option]

    assert len(everything.options) + len(per_model) == len(hosts) * len(load_models())
    assert all(item.why.reason for item in everything.left_out)
    assert {item.option["instance"] for item in no_host} >= {"ml.inf1.xlarge", "ml.r8g.xlarge", "ml.t2.medium"}


def test_a_type_that_no_endpoint_accepts_says_so(everything):
    names = {name for name, instance in load_instances().items() if not instance.endpoint}

    told = {item.option["instance"] for item in everything.left_out if item.why.reason == "no endpoint accepts it"}
    assert told == names != set()


def test_a_doubted_price_is_never_ranked(everything):
    assert not any(option.candidate.host.rate.suspect for option in everything.options)
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
    within = [option for option in everything.options if meets(option, everything.workload)]

    assert everything.chosen is not None
    best = min(within, key=lambda option: (option.monthly_cost, option.p95_ms))
    assert (everything.chosen.candidate, everything.chosen.chosen) == (best.candidate, True)
    assert sum(option.chosen for option in everything.options) == 1


def test_a_floor_of_quality_leaves_what_is_unknown_behind():
    floored = run("base", "minilm-l4", "minilm-l12", min_quality=50.0)

    assert floored.chosen is not None
    assert floored.chosen.candidate.model.alias == "base"


def test_nothing_on_the_front_is_beaten_and_everything_off_it_is(everything):
    sample = [option for option in everything.options if option.candidate.host.label.startswith(("ml.c6i", "ml.g4dn"))]

    def beats(one: Option, other: Option) -> bool:
        mine = (one.monthly_cost, one.p95_ms, -(one.quality or 0))
        theirs = (other.monthly_cost, other.p95_ms, -(other.quality or 0))
        return all(a <= b for a, b in zip(mine, theirs, strict=True)) and mine != theirs

    for one, other in combinations(sample, 2):
        assert not (one.pareto and beats(other, one))
        assert not (other.pareto and beats(one, other))
    for option in everything.options:
        assert option.pareto == (not any(beats(other, option) for other in everything.options))


def test_instances_carry_the_load_within_the_cap(everything):
    realtime = [option for option in everything.options if option.candidate.host.mode == "realtime"]

    assert all(option.utilisation <= 0.7 + 1e-4 for option in realtime)
    assert all(option.p50_ms <= option.p95_ms <= option.p99_ms for option in everything.options)


def test_a_few_more_instances_are_taken_if_that_keeps_the_p95():
    lax = run("tiny", instances="ml.c6i.8xlarge", max_p95_ms=None)
    strict = run("tiny", instances="ml.c6i.8xlarge", max_p95_ms=700)

    assert lax.options[0].p95_ms > 700 >= strict.options[0].p95_ms
    assert lax.options[0].count < strict.options[0].count <= 4 * lax.options[0].count


def test_more_load_needs_more_and_costs_more():
    costs = [
        run("tiny", instances="ml.c6i.xlarge", max_p95_ms=None, requests_per_second=rate).options[0]
        for rate in (0.5, 2, 8, 32)
    ]

    assert [option.count for option in costs] == sorted(option.count for option in costs)
    assert costs[-1].count > costs[0].count
    assert [option.monthly_cost for option in costs] == sorted(option.monthly_cost for option in costs)


def test_one_shared_queue_answers_sooner_than_several():
    random = run("tiny", instances="ml.c6i.xlarge", max_p95_ms=None, requests_per_second=8)
    shared = run(
        "tiny", instances="ml.c6i.xlarge", max_p95_ms=None, requests_per_second=8, routing="least-outstanding-requests"
    )

    assert random.options[0].count == shared.options[0].count > 1
    assert shared.options[0].p95_ms < random.options[0].p95_ms


def test_serverless_sizes_without_the_memory_are_left_out():
    base = run("bge-base")

    reasons = [item.why.reason for item in base.left_out if item.option.get("memory_mb") == 1024]
    assert len(reasons) == 1
    assert reasons[0].startswith("out of memory: needs ")
    assert "serverless 1 GB" not in {option.candidate.host.label for option in base.options}


def test_serverless_costs_the_billed_milliseconds():
    option = at(run("tiny"), "tiny", "serverless 2 GB")

    line = option.components[0]
    milliseconds = line.quantity / (730 * 3600) * 1000
    assert milliseconds == int(milliseconds)
    assert line.rate == Decimal("0.00004")
    assert option.count <= load_limits().serverless.max_concurrency


def test_serverless_beyond_its_concurrency_is_left_out():
    busy = run("tiny", requests_per_second=1000)

    assert not any(option.candidate.host.kind == "serverless" for option in busy.options)
    assert any("concurrent requests" in item.why.reason for item in busy.left_out)


def test_requests_too_long_or_too_large_are_left_out():
    long = run("base", documents_per_request=5000, tokens_per_document=500, max_p95_ms=None)
    large = run("tiny", documents_per_request=10_000, tokens_per_document=2000, max_p95_ms=None)

    assert any("ends one after 60 s" in item.why.reason for item in long.left_out)
    assert all("larger than" in item.why.reason for item in large.left_out if "model" in item.option)
    assert not large.options
    assert large.chosen is None


def test_what_would_mostly_run_into_the_time_limit_is_left_out():
    """Alone a request takes 45 s there, but with others on the machine one in twenty takes longer than 60."""
    busy = run("tiny", instances="ml.m5.large", documents_per_request=450, tokens_per_document=250, max_p95_ms=None)

    assert not any(option.p95_ms > 60_000 for option in busy.options)
    (left_out,) = [item for item in busy.left_out if item.option.get("model")]
    assert "its p95 is" in left_out.why.reason
    assert "realtime ends a request after 60 s" in left_out.why.reason


def test_instances_are_added_for_the_time_limit_too():
    long = {"documents_per_request": 600, "requests_per_second": 0.07, "max_p95_ms": None}

    (option,) = run("tiny", instances="ml.c6i.xlarge", **long).options

    assert option.count > math.ceil(0.07 / option.documents_per_second * option.count * 600 / 0.7)
    assert option.p95_ms <= 60_000


def test_what_only_multiplies_beyond_the_measured_requests_is_marked_and_needs_more_memory():
    """64 documents and 512 tokens were measured, and both together; 128 × 500 tokens were not."""
    usual, beyond = (
        at(run("tiny", documents_per_request=64, tokens_per_document=tokens), "tiny", "ml.g4dn.xlarge").candidate
        for tokens in (500, 800)
    )

    assert usual.basis.startswith("scaled: ")
    assert beyond.basis.startswith("scaled, extrapolated: ")
    assert "51,200 tokens a request are beyond the measured 16 to 32,768" in beyond.basis
    assert beyond.memory_needed == pytest.approx(usual.memory_needed + 760 - 420)
    assert "an assumed 340 MiB more" in beyond.basis


def test_a_model_that_reads_a_part_says_how_much():
    long = run("minilm-l12", "tiny", instances="ml.g4dn.xlarge", tokens_per_document=1000, max_p95_ms=None)

    assert "reads 512 of 1,000 tokens" in at(long, "minilm-l12", "ml.g4dn.xlarge").candidate.basis
    assert not at(long, "tiny", "ml.g4dn.xlarge").candidate.speed.part


def test_the_reason_names_what_it_was_chosen_from():
    alone = {"instances": "ml.g4dn.xlarge", "max_p95_ms": None}

    assert run("tiny", **alone).reason == "the only option"
    assert run("tiny", instances="ml.g4dn.xlarge").reason == "the only one within the limits"
    assert run("tiny", "base", **alone).reason.startswith("cheapest; next is base on 1 × ml.g4dn.xlarge for $538.05")


def test_no_lower_bound_passes_for_a_price():
    elsewhere = run("tiny", "base", region="us-west-2")
    rows, hidden = comparison_rows(elsewhere, 2)
    notes = comparison_notes(elsewhere, hidden)

    assert all(cell.startswith("≥") for row in rows for cell in row[4:7])
    assert any(note.startswith("≥ at least") for note in notes)
    assert not any("$" in note.replace("at least $", "") for note in notes)
    assert "for at least $" in elsewhere.reason


def test_left_out_hosts_and_models_are_counted_apart():
    left_out = run("tiny", "bge-base", instances="ml.[cr]8g.*").left_out
    hosts = [item for item in left_out if item.why.heading == "its price is suspect"]

    lines = left_out_lines(run("tiny", "bge-base"))
    assert hosts
    assert f"{len(hosts)} × its price is suspect (for every model)" in lines
    assert "1 × out of memory" in lines


def test_where_data_has_no_price_the_total_is_a_lower_bound():
    elsewhere = run("tiny", region="us-west-2")

    assert elsewhere.options
    assert not any(option.complete for option in elsewhere.options)
    assert not any(item.option.get("instance") == "ml.c6i.xlarge" for item in elsewhere.left_out)


def test_a_region_without_hosting_prices_still_has_serverless():
    options = run("tiny", region="ap-south-1", max_p95_ms=None).options

    assert options
    assert {option.candidate.host.mode for option in options} == {"serverless"}


def test_storage_is_billed_where_it_is_asked_for():
    stored = run("tiny", instances="ml.c6i.xlarge", storage_gb_per_instance=30.0)

    line = stored.options[0].components[1]
    assert (line.name, line.quantity) == ("Endpoint storage", 30 * stored.options[0].count)


def test_why_nothing_meets_the_limits():
    assert "the fastest has a p95 of" in run("tiny", max_p95_ms=0.1).reason
    assert "BEIR nDCG@10 of 48.54, the floor is 60" in run("tiny", min_quality=60.0).reason
    assert "none has a published quality" in run("minilm-l12", min_quality=1.0).reason
    assert "together" in run("tiny", "base", instances="ml.g4dn.xlarge", max_p95_ms=50, min_quality=50.0).reason


def test_the_basis_names_the_profile_the_ratio_and_the_peaks(everything):
    basis = at(everything, "turbo", "ml.c6i.xlarge").candidate.basis

    assert basis.startswith("scaled: ")
    assert "× the compute time of jina-reranker-v1-tiny-en as measured on AMD EPYC" in basis
    assert "= 1.5 (FLOPs of the models) × 1.27 (peaks: 2 cores (worth 1.70) × 285 fp32 GFLOPS (measured)" in basis
    assert "2 cores (worth 1.70) × 3.5 GHz × 64 fp32 FLOP/cycle (avx512_vnni)" in basis
    assert "with 0.5 to 1.5 vCPU per GB" in at(everything, "turbo", "serverless 2 GB").candidate.basis


def test_another_machine_takes_the_laws_time_by_the_ratio_of_the_peaks(everything):
    """c6i.xlarge has two cores as the measured machine, at 224 against 285 GFLOPS each."""
    option = at(everything, "tiny", "ml.c6i.xlarge")
    moments = option.candidate.speed.moments

    assert option.candidate.ratio == pytest.approx(285 / 224)
    seconds = moments.compute_s * 285 / 224
    assert option.documents_per_second == pytest.approx(option.count * 25 / seconds, rel=1e-3)


def test_an_openvino_profile_goes_before_torchs_and_is_scaled_in_what_each_cpu_computes(tmp_path):
    # GIVEN the same measurement of torch in fp32 and of OpenVINO in bf16, which took a quarter of the time
    torch = next(one.profile for one in MEASURED if "tiny" in one.profile.model_id)
    cells = [msgspec.structs.replace(cell, inference_ms=cell.inference_ms / 4) for cell in torch.cells]
    write(tmp_path / "torch.json", torch)
    write(tmp_path / "bf16.json", msgspec.structs.replace(torch, engine="openvino", dtype="bf16", cells=cells))
    measured, unusable = load_profiles([tmp_path])
    assert unusable == []
    by_engine = {one.profile.engine: one for one in measured}
    assert by_engine["openvino"].peak.gflops == 2 * by_engine["torch"].peak.gflops
    # WHEN the model is put on CPUs with bf16, without it, and on Arm
    hosts, _ = find_hosts(PRICES, "us-east-1", modes=["realtime"], instances="ml.[cm][67]*.xlarge")
    candidates, _ = find_candidates([find_model(torch.model_id)], hosts, WORKLOAD, measured)
    found = {candidate.host.label: candidate for candidate in candidates}
    old, new = found["ml.c6i.xlarge"], found["ml.c7i.xlarge"]
    # THEN each computes in what it has, and its peak in that is the yardstick
    assert (old.dtype, new.dtype) == ("fp32", "bf16")
    assert old.speed.measured is by_engine["openvino"]
    assert old.ratio == by_engine["openvino"].peak.gflops / old.host.peak.gflops
    assert new.ratio == by_engine["openvino"].peak.gflops / (2 * new.host.peak.gflops)
    assert "× 2 (bf16)" in new.basis
    assert {candidate.dtype for candidate in candidates if candidate.host.instance.architecture == "arm64"} == {"fp16"}


def test_the_very_instance_that_was_measured_is_not_scaled(tmp_path):
    profile = MEASURED[0].profile
    hardware = msgspec.structs.replace(profile.hardware, instance="ml.c6i.xlarge")
    write(tmp_path / "c6i.json", msgspec.structs.replace(profile, hardware=hardware))
    measured, _ = load_profiles([tmp_path])
    hosts, _ = find_hosts(PRICES, "us-east-1", instances="ml.c6i.*xlarge")

    candidates, _ = find_candidates([find_model(profile.model_id)], hosts, WORKLOAD, measured)

    words = {c.host.label: (c.basis.partition(":")[0], c.ratio == 1.0) for c in candidates}
    assert words.pop("ml.c6i.xlarge") == ("interpolated", True)
    assert set(words.values()) == {("scaled", False)}


@pytest.mark.parametrize("needed", [1, 2, 3, 5, 8, 9, 40])
def test_fewest_finds_the_smallest_that_does_or_keeps_the_least(needed):
    least = np.array([1.0, 2.0, 10.0])

    got = fewest(least, lambda count: count < needed)

    expected = [max(start, needed) if needed <= 4 * start else start for start in (1, 2, 10)]
    assert got.tolist() == expected
