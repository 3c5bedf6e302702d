"""Each way to run a model: what it needs, what it is paid for, and when."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.bill import Biller
from cost_model.billing.estimate import estimate
from cost_model.compare import Comparison, Option, option_use
from cost_model.components import MONTH_HOURS, total
from cost_model.delays import load_delays
from cost_model.hosts import find_hosts, load_offers
from cost_model.modes import MODES, Mode, load_mode
from cost_model.modes.async_ import up_time
from cost_model.modes.autoscaled import LEAST_SAFETY, MOST_SAFETY, instances_by_hour, paid_hours, safety, target
from cost_model.options import Candidate, find_candidates
from cost_model.prices.book import PriceBook, Rate, load_prices
from cost_model.question import Question, answer
from cost_model.service_time import load_profiles
from cost_model.sizing import Demand, Sizing, size_rows
from cost_model.workload import Arrivals, Workload
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts import usage

PRICES = load_prices()
MEASURED, _ = load_profiles([Path(__file__).with_name("profiles")])
WORKLOAD = Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150, max_p95_ms=5000)
DAY = Arrivals(week={"mon-sun": {"0-16": 1.0, "17-18": 5.0, "19-20": 20.0, "21-23": 5.0}})
TINY = find_model("tiny")


def run(*modes: Mode, instances: str = "*", **changes: object) -> Comparison:
    question = Question(
        workload=msgspec.structs.replace(WORKLOAD, **changes), models=(TINY,), modes=modes, instances=instances
    )
    return answer(question, PRICES, MEASURED)


def only(*modes: Mode, instances: str = "ml.c7i.xlarge", **changes: object) -> Option:
    (option,) = run(*modes, instances=instances, **changes).options
    return option


def candidates(service: str, instances: str = "ml.c[67]*.*xlarge") -> list[Candidate]:
    hosts, _ = find_hosts(PRICES, "us-east-1", services=[service], instances=instances)
    found, _ = find_candidates([TINY], hosts, WORKLOAD, MEASURED)
    return found


def sized(mode: Mode, found: list[Candidate], workload: Workload) -> list[Sizing | None]:
    demand = Demand.of(found)
    return size_rows(load_mode(mode).size(demand, workload), demand, workload)


@pytest.mark.parametrize("mode", MODES)
def test_the_bill_is_what_estimate_says_of_the_same_use(mode):
    found = run(mode, requests_per_second=0.2, traffic=DAY, max_p95_ms=None)
    assert found.options

    for option in found.options[:3]:
        used = usage.Usage(region=option.region, items=option_use(option))
        assert estimate(used, PRICES).total == option.monthly_cost


def test_a_savings_plan_and_a_sellers_software_come_on_the_bill():
    plain = only("realtime")
    agreed = only(
        "realtime", savings_plan=usage.SavingsPlan(discount=Decimal("0.3")), software_usd_per_hour=Decimal("0.1")
    )

    hosting = plain.components[0].cost
    assert hosting is not None
    assert (
        agreed.monthly_cost
        == plain.monthly_cost - hosting * Decimal("0.3") + Decimal("0.1") * plain.count * MONTH_HOURS
    )


# Autoscaled.


def test_autoscaling_pays_for_the_hours_that_the_load_asks_for():
    week = {"instances": "ml.c7i.4xlarge", "requests_per_second": 20, "traffic": DAY, "max_p95_ms": 2000}
    fixed, scaled = only("realtime", **week), only("autoscaled", **week)

    assert scaled.sizing.least < scaled.count
    assert scaled.sizing.least * MONTH_HOURS < scaled.sizing.hours < scaled.count * MONTH_HOURS
    assert scaled.count >= fixed.count  # the target leaves room for what comes before new instances do
    assert scaled.monthly_cost < fixed.monthly_cost


def test_a_steady_rate_gives_nothing_to_follow():
    steady = run("autoscaled")

    assert not steady.options
    assert [item.option for item in steady.left_out if "the same in every hour" in item.why.reason] == [
        {"mode": "autoscaled"}
    ]


def test_the_target_is_the_knee_with_its_safety_and_says_so():
    workload = msgspec.structs.replace(WORKLOAD, requests_per_second=5, traffic=DAY, max_p95_ms=800)
    (candidate,) = candidates("instance", "ml.c7i.2xlarge")

    tracked = target(candidate, workload)

    factor = safety(workload)
    rate = tracked.invocations / 60 / factor
    (knee,) = sized("realtime", [candidate], msgspec.structs.replace(WORKLOAD, requests_per_second=0.999 * rate))
    assert knee is not None
    assert knee.count == 1
    assert knee.p95 <= 0.8
    assert f"× 60 × {factor:.2f}" in tracked.formula
    assert tracked.formula.startswith("SageMakerVariantInvocationsPerInstance = ")


def test_safety_leaves_more_room_the_steeper_the_load_grows():
    def of(busy: float) -> float:
        week = {"mon-sun": {"0-7": 1.0, "8-23": busy}}
        return safety(msgspec.structs.replace(WORKLOAD, traffic=Arrivals(week=week)))

    assert of(1.0) == MOST_SAFETY
    assert of(20.0) == LEAST_SAFETY
    assert MOST_SAFETY > of(2.0) > of(4.0) > LEAST_SAFETY


def test_instances_run_on_until_the_alarm_gives_them_back():
    counts = instances_by_hour(np.array([1.0, 1.0, 3.5, 1.0]), np.array([1.0]))

    lag = load_delays().tracking.in_s / 3600
    assert counts.tolist() == [[1, 1, 4, 1]]
    assert paid_hours(counts) == pytest.approx(7 + 3 * lag)


# Serverless.


def test_serverless_costs_the_billed_milliseconds():
    option = next(option for option in run("serverless").options if option.candidate.host.label == "serverless 2 GB")

    line = option.components[0]
    milliseconds = line.quantity / (730 * 3600) * 1000
    assert milliseconds == int(milliseconds)
    assert line.rate == Decimal("0.00004")
    assert option.count <= load_limits().serverless.max_concurrency


def test_serverless_beyond_its_concurrency_is_left_out():
    busy = run("serverless", "provisioned", requests_per_second=1000)

    assert not busy.options
    assert any("concurrent requests" in item.why.reason for item in busy.left_out)


def test_rare_requests_wait_for_a_cold_start_and_provisioned_units_take_that_away():
    rare = {"requests_per_second": 0.001, "max_p95_ms": None}
    on_demand, kept_ready = (run(mode, **rare).options[0] for mode in ("serverless", "provisioned"))

    assert on_demand.sizing.cold > 0.7
    assert on_demand.sizing.p95 > load_delays().container.start_s
    assert kept_ready.sizing.cold < 0.05
    assert kept_ready.sizing.p95 < load_delays().container.start_s
    assert kept_ready.monthly_cost > on_demand.monthly_cost


def test_what_finds_no_unit_ready_is_paid_on_demand():
    option = next(option for option in run("provisioned").options if option.candidate.host.memory_mb == 2048)

    ready, on_units, on_demand = option.components[:3]
    assert ready.quantity == option.count * MONTH_HOURS * 3600
    share = on_demand.quantity / (on_units.quantity + on_demand.quantity)
    assert 0 < share <= Decimal("0.01")
    assert [line.rate for line in option.components[:3]] == [
        Decimal("0.00001"),
        Decimal("0.0000233"),
        Decimal("0.00004"),
    ]


# Async and batch.


@pytest.mark.parametrize(("rate", "service"), [(1e-5, 2.0), (1e-3, 2.0), (1e-2, 20.0), (0.05, 5.0)])
def test_up_time_of_an_endpoint_that_goes_down_to_nothing_against_a_simulation(rate, service):
    delays = load_delays()
    share, cold = (float(figure[0]) for figure in up_time(rate, np.array([service]), np.array([0.7])))

    generator = np.random.default_rng(5)
    arrivals = np.cumsum(generator.exponential(1 / rate, 40_000))
    services = generator.exponential(service, len(arrivals))
    paid = waited = 0.0
    down_at, free_at, began = 0.0, 0.0, None
    for arrival, seconds in zip(arrivals.tolist(), services.tolist(), strict=True):
        if began is not None and arrival > free_at + delays.tracking.in_s:
            down_at = free_at + delays.tracking.in_s
            paid += down_at - began
            began = None
        if began is None:
            began = arrival + delays.async_.wake_s
            free_at = began + delays.instance.start_s
            ready = free_at
        waited += arrival < ready
        free_at = max(free_at, arrival) + seconds
    # An idle hour after the last request closes the books.
    paid += free_at + delays.tracking.in_s - (began or 0.0)

    # The closed form ends the delay's bill with the delay; so does the loop above.
    assert share == pytest.approx(paid / arrivals[-1], rel=0.06, abs=0.002)
    assert cold == pytest.approx(waited / len(arrivals), rel=0.06, abs=0.005)


def test_async_pays_little_while_nothing_comes_and_an_instance_when_it_is_busy():
    rare, busy = (only("async", requests_per_second=rate) for rate in (1e-5, 1))

    assert rare.sizing.hours < 0.05 * MONTH_HOURS
    assert busy.sizing.hours == pytest.approx(busy.count * MONTH_HOURS)
    assert rare.p95_ms > 1000 * load_delays().async_.wake_s > busy.p95_ms


def test_async_takes_what_real_time_endpoints_dont():
    large = {
        "documents_per_request": 5000,
        "tokens_per_document": 1500,
        "max_p95_ms": None,
        "requests_per_second": 1e-4,
    }

    assert not run("realtime", **large).options
    assert run("async", **large).options


def test_a_batch_job_a_day_pays_for_its_start_and_its_work():
    option = only("batch", max_p95_ms=None)

    hours = option.sizing.hours / (MONTH_HOURS * 3600 / load_delays().batch.period_s)
    work = option.sizing.work * 86400 / 3600
    assert hours == pytest.approx(option.count * load_delays().instance.start_s / 3600 + work, rel=1e-6)
    assert option.p95_ms > 0.95 * 86_400_000


def test_a_type_that_no_transform_job_accepts_is_no_batch_option():
    found = run("batch", max_p95_ms=None)

    assert all(option.candidate.host.instance.transform for option in found.options)
    assert any(item.why.reason == "no batch transform job accepts it" for item in found.left_out)


# Elsewhere.


def test_each_offer_elsewhere_has_a_price_and_a_basis():
    services = {offer.service for offer in load_offers()}

    hosts, left_out = find_hosts(PRICES, "us-east-1", services=sorted(services))
    assert {host.service for host in hosts} == services
    assert not left_out
    assert all("recalled" in host.peak.formula for host in hosts)


def test_where_a_service_elsewhere_has_no_price_it_is_left_out():
    hosts, left_out = find_hosts(PRICES, "eu-west-1", services=["lambda", "cloud-run"])

    assert {host.service for host in hosts} == {"cloud-run"}
    assert {item.why.heading for item in left_out} == {"Lambda has no known price there"}


# What must hold whatever the figures.

RATES = st.floats(min_value=1e-4, max_value=20)


@settings(max_examples=60, deadline=None)
@given(rate=RATES, growth=st.floats(min_value=1, max_value=10), mode=st.sampled_from(["realtime", "async", "batch"]))
def test_more_traffic_never_costs_less(rate, growth, mode):
    found = candidates("instance")

    def costs(requests_per_second: float) -> list[Decimal]:
        workload = msgspec.structs.replace(WORKLOAD, requests_per_second=requests_per_second)
        biller = Biller(PRICES, "us-east-1", workload)
        file = load_mode(mode)
        return [
            total(biller.bill(file.use(candidate, sizing, workload)))
            for candidate, sizing in zip(found, sized(mode, found, workload), strict=True)
            if sizing is not None
        ]

    for less, more in zip(costs(rate), costs(rate * growth), strict=True):
        assert less <= more


@settings(max_examples=60, deadline=None)
@given(rate=st.floats(min_value=0.01, max_value=5), growth=st.floats(min_value=1, max_value=3))
def test_at_a_fixed_count_more_load_never_lowers_the_p95(rate, growth):
    from cost_model.sizing import respond

    found = candidates("instance")
    demand = Demand.of(found)
    count = np.full(len(found), np.ceil(rate * growth * demand.service.max() / 0.9))

    light, heavy = (
        respond(demand, WORKLOAD, count, requests * demand.service)(0.95) for requests in (rate, rate * growth)
    )

    assert (heavy >= light * (1 - 1e-6)).all()


@settings(max_examples=30, deadline=None)
@given(
    hours=st.decimals(min_value=0, max_value=10_000, places=3),
    more=st.decimals(min_value=0, max_value=1000, places=3),
    count=st.integers(min_value=0, max_value=50),
)
def test_cost_rises_with_hours_and_with_the_count(hours, more, count):
    def bill(hours: Decimal, count: int) -> Decimal:
        item = usage.Realtime(instance="ml.c7i.xlarge", instances=count, hours=hours)
        return estimate(usage.Usage(items=[item]), PRICES).total

    assert bill(hours, count) <= bill(hours + more, count)
    assert bill(hours, count) <= bill(hours, count + 1)


@settings(max_examples=30, deadline=None)
@given(seconds=st.decimals(min_value=0, max_value=10_000_000, places=2))
def test_at_a_fixed_duration_cost_rises_with_memory(seconds):
    bills = [
        estimate(usage.Usage(items=[usage.Serverless(memory_mb=size, seconds=seconds)]), PRICES).total
        for size in load_limits().serverless.memory_mb
    ]

    assert bills == sorted(bills)


class Cheaper(PriceBook):
    """The same prices, instances and serverless for a part of them."""

    def __init__(self, part: Decimal) -> None:
        super().__init__()
        self._part = part

    def hosting(self, *args: object, **named: object) -> object:
        return self._cut(super().hosting(*args, **named))

    def serverless(self, *args: object, **named: object) -> object:
        return self._cut(super().serverless(*args, **named))

    def _cut(self, rate: object) -> object:
        return msgspec.structs.replace(rate, usd=rate.usd * self._part) if isinstance(rate, Rate) else rate


@settings(max_examples=8, deadline=None)
@given(part=st.decimals(min_value="0.01", max_value=1, places=2), rate=st.floats(min_value=0.01, max_value=20))
def test_a_cheaper_price_list_never_raises_a_bill(part, rate):
    workload = msgspec.structs.replace(WORKLOAD, requests_per_second=rate)
    question = Question(
        workload=workload,
        models=(TINY,),
        modes=("realtime", "serverless", "provisioned", "async"),
        instances="ml.c7*",
    )

    usual, cheaper = answer(question, PRICES, MEASURED), answer(question, Cheaper(part), MEASURED)

    def bills(found: Comparison) -> dict[tuple[str, str, str], Decimal]:
        return {
            (option.mode, option.candidate.host.label, option.candidate.dtype): option.monthly_cost
            for option in found.options
        }

    before, after = bills(usual), bills(cheaper)
    assert before.keys() == after.keys()
    assert all(after[key] <= before[key] for key in before)
    assert usual.chosen is not None
    assert cheaper.chosen is not None
    assert cheaper.chosen.monthly_cost <= usual.chosen.monthly_cost
