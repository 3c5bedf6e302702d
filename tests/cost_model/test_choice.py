"""What is chosen where speeds are known between bounds, and what is said of it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cost_model.choice import choose, surely
from cost_model.compare import Comparison, Option
from cost_model.modes import SAGEMAKER, Mode
from cost_model.prices.book import load_prices
from cost_model.question import Question, answer
from cost_model.report.compare import comparison_document, comparison_rows, reason_lines, shown_options
from cost_model.service_time import load_profiles
from cost_model.sizing import Demand
from cost_model.slow_end import at_slow_end, slow_sizings
from cost_model.verdicts import keeps_time, meets
from cost_model.workload import Arrivals, Workload
from rerank_toolkit.catalog.models import find_model

PRICES = load_prices()
MEASURED, _ = load_profiles([Path(__file__).with_name("profiles")])
WORKLOAD = Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150, max_p95_ms=2500)
ALL: tuple[Mode, ...] = ("realtime", "autoscaled", "serverless", "provisioned", "async", "batch", "lambda", "fargate")


def ask(
    *, modes: tuple[Mode, ...] = ALL, regions: tuple[str, ...] = ("us-east-1",), instances: str = "*", **changes: object
) -> Comparison:
    workload = msgspec.structs.replace(WORKLOAD, **changes)
    question = Question(
        workload=workload, models=(find_model("tiny"),), modes=modes, regions=regions, instances=instances
    )
    return answer(question, PRICES, MEASURED)


@pytest.fixture(scope="module")
def everything() -> Comparison:
    """So few requests that serverless is by far the cheapest, under a limit that it keeps if its CPU is as assumed."""
    fastest = min(option.p95_ms for option in ask(modes=("serverless",), requests_per_second=0.05).options)
    return ask(requests_per_second=0.05, max_p95_ms=1.1 * fastest)


def in_time_if(comparison: Comparison) -> list[Option]:
    """Those that keep the limits only if they are as fast as expected, cheapest first."""
    able = [one for one in comparison.options if one.mode in SAGEMAKER and meets(one, comparison.workload)]
    return [one for one, sure in zip(able, surely(able), strict=True) if not sure]


def test_the_cheapest_that_keeps_the_limits_at_the_slow_end_too_is_chosen(everything):
    able = [one for one in everything.options if one.mode in SAGEMAKER and meets(one, everything.workload)]
    sure = [one for one, surely in zip(able, surely(able), strict=True) if surely]

    assert everything.sure
    assert everything.chosen is not None
    assert everything.chosen.candidate is sure[0].candidate
    assert everything.chosen.monthly_cost == min(one.monthly_cost for one in sure)


def test_what_was_passed_over_is_told_with_its_price(everything):
    doubtful = in_time_if(everything)
    assert everything.chosen is not None
    cheaper = [one for one in doubtful if one.monthly_cost < everything.chosen.monthly_cost]

    assert cheaper, "no example of what this is about"
    assert everything.cheaper is not None
    assert everything.cheaper.candidate is cheaper[0].candidate
    assert "cheapest that can keep the limits however slow it turns out" in everything.reason
    assert f"only if it is as fast as expected: {everything.cheaper.label} for $" in everything.reason
    document = comparison_document(everything, PRICES)["choice"]
    assert Decimal(document["cheaper_if_fast"]["monthly_cost"]) == everything.cheaper.monthly_cost


def test_the_table_marks_what_is_only_perhaps_in_time(everything):
    shown = shown_options(everything, 3)
    doubtful = {id(one) for one in in_time_if(everything)}
    cells = dict(zip(map(id, shown), (row[8] for row in comparison_rows(everything, shown)), strict=True))

    marked = {one for one, cell in cells.items() if cell.startswith("~")}
    assert marked == {
        id(one) for one in shown if id(one) in doubtful or (one.mode not in SAGEMAKER and id(one) in marked)
    }
    assert marked & doubtful


def test_where_nothing_is_sure_the_likely_one_is_chosen_and_it_is_said():
    found = ask(modes=("serverless",), max_p95_ms=2500)

    assert found.chosen is not None
    assert meets(found.chosen, found.workload)
    assert (found.sure, found.cheaper) == (False, None)
    assert "if it is as fast as expected, and no option can keep them however slow it turns out" in found.reason
    assert found.slow_end is not None
    assert (
        f"if as slow as it may be, it has a p95 of {found.slow_end.limited_ms:,.0f} ms, beyond the limit"
        in found.reason
    )
    assert found.slow_end.limited_ms > 2500


def test_a_sure_one_is_the_runner_up_of_none_that_is_cheaper(everything):
    """The next is the next of those that are sure, not one that was passed over."""
    assert everything.runner_up is not None
    assert surely([everything.runner_up]) == [True]
    assert everything.chosen is not None
    assert everything.runner_up.monthly_cost >= everything.chosen.monthly_cost


def test_what_is_refined_away_is_passed_over():
    """Whatever the closed forms say: here every simulation finds the cheapest three too slow."""
    options = ask(modes=("realtime",)).options
    able = [one for one, sure in zip(options, surely(options), strict=True) if sure and meets(one, WORKLOAD)]
    slow = {id(one) for one in able[:3]}

    def refine(option: Option) -> Option:
        late = msgspec.structs.replace(option.sizing, limited=99.0)
        return msgspec.structs.replace(option, sizing=late) if id(option) in slow else option

    choice = choose(list(options), WORKLOAD, refine, price=lambda option, sizing: Decimal(0))

    assert choice.chosen is not None
    assert options[choice.chosen] is able[3]


@pytest.mark.parametrize("mode", ["realtime", "serverless", "provisioned", "async", "fargate"])
def test_slower_is_never_less(mode):
    options = ask(modes=(mode,)).options

    for option, slow in zip(options, slow_sizings(options), strict=True):
        assert option.candidate.scaled.ratio <= at_slow_end(option.candidate).scaled.ratio
        if slow is not None and keeps_time(mode, slow, WORKLOAD):  # beyond it there are no more than the load asks for
            assert slow.count >= option.sizing.count
            assert slow.billed >= option.sizing.billed


def test_at_the_slow_end_all_that_a_request_takes_is_longer():
    candidates = [option.candidate for option in ask(modes=("realtime", "serverless")).options]

    usual, slow = Demand.of(candidates), Demand.of([at_slow_end(candidate) for candidate in candidates])

    slower = np.array([candidate.scaled.ratio_high / candidate.scaled.ratio for candidate in candidates])
    for name in ("service", "deviation", "work"):
        assert getattr(slow, name) == pytest.approx(getattr(usual, name) * slower), name
    assert (slow.around >= usual.around * (1 - 1e-9)).all()


def test_at_the_slow_end_more_instances_may_keep_the_limit_and_their_bill_is_told():
    found = ask(modes=("realtime",), instances="ml.c7i.2xlarge", requests_per_second=8, max_p95_ms=2500)

    assert found.chosen is not None
    assert found.slow_end is not None
    assert found.slow_end.count > found.chosen.count
    assert found.slow_end.limited_ms <= 2500
    told = f"if as slow as it may be, it takes {found.slow_end.place} for {found.slow_end.dollars_a_month}"
    assert told in found.reason


def test_a_budget_holds_at_the_slow_end_too():
    """One instance costs half of it, and the three that it takes if it is slow cost more."""
    free = ask(modes=("realtime",), instances="ml.c7i.2xlarge", requests_per_second=8, max_p95_ms=2500)
    assert free.chosen is not None
    assert free.slow_end is not None
    between = (free.chosen.monthly_cost + free.slow_end.monthly_cost) / 2

    tight = ask(
        modes=("realtime",),
        instances="ml.c7i.2xlarge",
        requests_per_second=8,
        max_p95_ms=2500,
        max_monthly_cost=between.quantize(Decimal(1)),
    )

    assert free.sure
    assert tight.chosen is not None
    assert not tight.sure
    assert f"it takes {free.slow_end.place}" in tight.reason


def test_of_serverless_it_is_said_what_is_assumed_and_who_waits_for_a_start():
    rare = ask(modes=("serverless",), requests_per_second=0.003, max_p95_ms=60_000)
    busy = ask(modes=("serverless",), requests_per_second=1, max_p95_ms=60_000)

    for found in (rare, busy):
        assert "no CPU for a serverless memory size: 1 vCPU a GB is assumed, from 0.5 to 1.5" in found.reason
    assert "of the requests wait for a container to start" in rare.reason
    assert "which the p95 counts" in rare.reason
    assert "which the p95 doesn't count" in busy.reason


def test_with_several_regions_each_option_names_its_own():
    both = ask(modes=("realtime",), regions=("us-east-1", "eu-west-1"))
    one = ask(modes=("realtime",))

    assert both.chosen is not None
    assert both.runner_up is not None
    praise, following, *_ = both.reason.split("; ")
    assert praise.endswith(f", in {both.chosen.region}")
    assert following.startswith(f"next is {both.runner_up.label} in {both.runner_up.region} for $")
    assert "us-east-1" not in one.reason
    none = ask(modes=("realtime",), regions=("us-east-1", "eu-west-1"), max_p95_ms=0.5)
    assert none.reason.startswith("the fastest, tiny on ")
    assert " in us-east-1, has a p95 of " in none.reason or " in eu-west-1, has a p95 of " in none.reason


def test_a_part_of_the_reason_is_a_line(everything):
    lines = reason_lines(everything)

    assert lines[0].startswith("✓ tiny on ")
    assert len(lines) == len(everything.reason.split("; "))


def test_without_limits_the_cheapest_is_taken_as_it_is():
    found = ask(modes=("realtime", "serverless"), max_p95_ms=None, traffic=Arrivals())

    assert found.chosen is found.options[0] or found.chosen is not None
    assert found.reason.startswith("cheapest; ")
