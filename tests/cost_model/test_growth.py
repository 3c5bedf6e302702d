"""How long a size lasts as traffic grows, and what the last month that is looked at asks for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cost_model.compare import Option
from cost_model.growth import at_horizon
from cost_model.prices.book import load_prices
from cost_model.question import Question, answer
from cost_model.service_time import load_profiles
from cost_model.verdicts import meets
from cost_model.workload import Growth, Workload
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts.errors import InvalidInput

from .command import rerank_cost

PRICES = load_prices()
PROFILES = Path(__file__).with_name("profiles")
MEASURED, _ = load_profiles([PROFILES])
WORKLOAD = Workload(
    requests_per_second=2,
    documents_per_request=25,
    tokens_per_document=150,
    max_p95_ms=4000,
    growth=Growth(percent_a_month=15, months=24),
)


def question(**changes: Any) -> Question:
    return Question(
        workload=msgspec.structs.replace(WORKLOAD, **changes),
        models=(find_model("tiny"),),
        modes=("realtime",),
        instances="ml.c7i.2xlarge",
    )


def only(asked: Question) -> Option:
    (option,) = answer(asked, PRICES, MEASURED).options
    return option


def test_a_size_lasts_as_long_as_its_room():
    slowly = Growth(percent_a_month=2, months=60)
    option = only(question(growth=slowly))
    last = option.lasts_until

    assert last is not None
    assert 0 < last < 60
    assert option.headroom is not None
    assert slowly.factor(last) <= 1 + option.headroom < slowly.factor(last + 1)
    assert only(question(growth=slowly, **grown(last + 1, slowly))).count > option.count


def grown(month: int, growth: Growth | None = WORKLOAD.growth) -> dict[str, Any]:
    workload = msgspec.structs.replace(WORKLOAD, growth=growth).in_month(month)
    return {"requests_per_second": workload.requests_per_second, "month": month}


def test_it_is_counted_from_the_month_that_it_is_sized_for():
    now, later = only(question()), only(question(**grown(10)))

    assert later.workload.month == 10
    assert later.count > now.count
    assert later.lasts_until is not None
    assert 10 <= later.lasts_until <= 24


def test_what_shrinks_lasts_as_far_as_one_looks():
    assert only(question(growth=Growth(percent_a_month=-5, months=7))).lasts_until == 7


def test_without_growth_nothing_is_told():
    assert only(question(growth=None)).lasts_until is None


def test_the_horizon_has_the_choice_as_it_is_needed_then():
    asked = question()
    chosen = only(asked)

    horizon = at_horizon(chosen, asked, PRICES, MEASURED)

    assert horizon is not None
    assert (horizon.month, horizon.factor) == (24, pytest.approx(1.15**24))
    assert horizon.lasts == chosen.lasts_until
    assert horizon.kept is not None
    assert horizon.kept.count > chosen.count
    assert horizon.kept.workload.month == 24
    assert meets(horizon.kept, horizon.then.workload)
    assert not horizon.changes_choice  # one type alone was asked for


def test_at_the_horizon_another_may_be_the_one_to_take():
    asked = msgspec.structs.replace(question(requests_per_second=0.2), instances="ml.*")
    comparison = answer(asked, PRICES, MEASURED)
    assert comparison.chosen is not None

    horizon = at_horizon(comparison.chosen, asked, PRICES, MEASURED)

    assert horizon is not None
    assert horizon.changes_choice
    assert horizon.then.chosen is not None
    assert horizon.kept is not None
    assert horizon.then.chosen.monthly_cost < horizon.kept.monthly_cost


@pytest.mark.parametrize("changes", [{"growth": None}, grown(24)])
def test_what_does_not_grow_or_is_for_the_last_month_has_no_horizon(changes):
    asked = question(**changes)

    assert at_horizon(only(asked), asked, PRICES, MEASURED) is None


def test_a_month_is_counted_from_now_whatever_month_it_is_asked_in():
    assert WORKLOAD.in_month(3).in_month(7) == WORKLOAD.in_month(7)
    assert "in month 7" in WORKLOAD.in_month(7).describe()
    assert "growing 15% a month" in WORKLOAD.describe()


# The commands.


def of_tiny(*words: str) -> subprocess.CompletedProcess[str]:
    return rerank_cost(*words, "--profiles", str(PROFILES), "--model", "tiny")


@pytest.fixture
def growing(tmp_path: Path) -> str:
    path = tmp_path / "workload.toml"
    path.write_text(
        "requests_per_second = 2\ndocuments_per_request = 25\ntokens_per_document = 150\nmax_p95_ms = 4000\n"
        "[growth]\npercent_a_month = 15\nmonths = 24\n"
    )
    return str(path)


def test_a_plan_tells_until_when_it_lasts_and_what_comes_then(growing):
    words = ("plan", "--workload", growing, "--instance", "ml.c7i.2xlarge", "--mode", "realtime")

    table, document = of_tiny(*words), json.loads(of_tiny(*words, "--json").stdout)

    growth = document["growth"]
    assert f"as traffic grows its room lasts until month {growth['lasts_until_month']}" in table.stdout
    assert "month 24 has 28.6 times the traffic" in table.stdout
    assert growth["kept"]["count"] > document["plan"]["deployments"][0]["count"]


def test_a_plan_for_a_month_is_sized_for_it(growing):
    words = ("plan", "--workload", growing, "--instance", "ml.c7i.2xlarge", "--mode", "realtime", "--json")

    now, then = (json.loads(of_tiny(*words, *month).stdout) for month in ((), ("--month", "24")))

    assert then["plan"]["deployments"][0]["count"] == now["growth"]["kept"]["count"]
    assert then["growth"] is None
    assert "in month 24" in then["plan"]["workload"]


def test_what_if_traffic_grows():
    words = ("whatif", "--growth", "10", "--months", "6", "--instance", "ml.c7i.2xlarge", "--mode", "realtime")
    limit = ("--max-p95-ms", "4000")

    table, document = of_tiny(*words, *limit), json.loads(of_tiny(*words, *limit, "--json").stdout)

    assert document["after"]["workload"]["requests_per_second"] == pytest.approx(1.1**6)
    assert "what is chosen before has room until month " in table.stdout
    assert "in month 6" in table.stdout


def test_the_workloads_own_growth_is_asked_about_by_months_alone(growing):
    done = of_tiny("whatif", "--months", "12", "--workload", growing, "--instance", "ml.c7i.2xlarge", "--json")

    document = json.loads(done.stdout)
    assert document["after"]["workload"]["requests_per_second"] == pytest.approx(2 * 1.15**12)
    assert document["lasts_until_month"] is not None


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("whatif", "--months", "3"), "--months: goes with growth, and the workload has none"),
        (("whatif", "--growth", "500"), "--growth: is 500"),
        (("whatif", "--growth", "5", "--months", "0"), "--months: is 0"),
        (("plan", "--month", "3"), "--month: is 3, and the workload doesn't grow"),
        (("compare", "--month", "99"), "--month: is 99; expected 0 for now to 60"),
    ],
)
def test_what_makes_no_sense_ends_with_2(words, fault):
    done = of_tiny(*words)

    assert done.returncode == 2
    assert fault in done.stderr


def test_a_workload_beyond_what_can_be_asked_for_is_refused():
    with pytest.raises((InvalidInput, msgspec.ValidationError)):
        msgspec.convert(msgspec.to_builtins(WORKLOAD) | {"month": 61}, Workload)
