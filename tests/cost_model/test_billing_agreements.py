"""What is agreed beside the list price, and what runs beside the endpoint."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.billing.agreements import discount_line, plan_rate_line, software_line
from cost_model.billing.estimate import Estimate, estimate
from cost_model.components import cents, component
from cost_model.prices.book import Rate, Unknown, load_prices
from rerank_toolkit.contracts.documents import convert
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.usage import MOST_DISCOUNT, Usage

PRICES = load_prices()
HOURS = {"kind": "realtime", "instance": "ml.m5.xlarge", "instances": 2, "hours": 100}
RATE = Rate(unit="hour", usd=Decimal("0.23"), basis="published", detail="test")


def bill(*items: dict[str, Any], **usage: Any) -> Estimate:
    return estimate(convert({"items": list(items), **usage}, Usage, name="usage"), PRICES)


def costs(estimated: Estimate) -> dict[str, Decimal | None]:
    return {line.name: line.cost for item in estimated.items for line in item.components}


def test_a_discount_is_a_negative_line_below_what_it_covers():
    (item,) = bill(HOURS, savings_plan={"discount": 0.3}).items

    hosting, off = item.components
    assert (off.name, off.cost, off.quantity, off.rate) == (
        "Savings Plan, 30 % off",
        Decimal("-13.8"),
        hosting.cost,
        Decimal("-0.3"),
    )
    assert off.basis.startswith("yours: ")
    assert item.total == Decimal("32.2")


def test_instances_of_every_kind_are_covered_unless_it_says_otherwise():
    items = [{**HOURS, "kind": kind} for kind in ("realtime", "async", "batch")]
    serverless = {"kind": "serverless", "memory_mb": 2048, "seconds": 100_000}

    by_default = bill(*items, serverless, savings_plan={"discount": 0.5})
    narrower = bill(*items, serverless, savings_plan={"discount": 0.5, "covers": ["batch", "serverless"]})

    assert [item.total for item in by_default.items] == [23, 23, 23, 4]
    assert [item.total for item in narrower.items] == [46, 46, 23, 2]


def test_storage_data_and_software_are_never_covered():
    endpoint = {**HOURS, "storage_gb_month": 10, "software_usd_per_hour": 1}

    discounted = bill(endpoint, {"kind": "data", "gb_in": 10}, savings_plan={"discount": 0.5})

    assert costs(discounted) == {
        "Hosting, ml.m5.xlarge": Decimal(46),
        "Savings Plan, 50 % off": Decimal(-23),
        "Marketplace software, ml.m5.xlarge": Decimal(200),
        "Endpoint storage": Decimal("1.4"),
        "Data in": Decimal("0.16"),
    }


def test_only_what_the_free_tier_leaves_is_discounted():
    endpoint = {**HOURS, "instances": 1, "hours": 225}

    discounted = bill(endpoint, savings_plan={"discount": 0.5}, free_tier=True)

    assert discounted.total == 100 * Decimal("0.23") / 2


@pytest.mark.parametrize("kind", ["realtime", "async", "batch"])
def test_software_is_paid_for_the_hours_of_every_instance_free_or_not(kind):
    endpoint = {**HOURS, "kind": kind, "software_usd_per_hour": "2.5"}

    assert costs(bill(endpoint, free_tier=True))["Marketplace software, ml.m5.xlarge"] == 500


@pytest.mark.parametrize("kind", ["realtime", "async", "batch"])
def test_a_minute_is_the_least_of_every_kind(kind):
    short = {"kind": kind, "instance": "ml.m5.xlarge", "hours": "0.001", "software_usd_per_hour": 1}

    hosting, software = bill(short).items[0].components

    assert "one-minute minimum" in hosting.name
    assert hosting.quantity == software.quantity
    assert hosting.quantity * 60 == pytest.approx(1)


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ({"discount": 0.65}, "expected a share above 0 and up to 0.64"),
        ({"discount": 0}, "expected a share above 0"),
        ({"discount": -0.1}, "expected a share above 0"),
        ({}, "has either a discount, or term_years and payment"),
        ({"term_years": 1}, "has either a discount, or term_years and payment"),
        ({"discount": 0.3, "term_years": 1, "payment": "no-upfront"}, "a Savings Plan"),
        ({"discount": 0.3, "payment": "no-upfront"}, "has no term_years and no payment"),
        ({"term_years": 2, "payment": "no-upfront"}, "savings_plan.term_years: is 2"),
        ({"discount": 0.3, "covers": []}, "savings_plan.covers"),
        ({"discount": 0.3, "covers": ["lambda"]}, "savings_plan.covers[0]: is 'lambda'"),
        ({"discount": 0.3, "of": "all"}, "savings_plan.of: is not a known field"),
    ],
)
def test_a_plan_that_can_t_be_is_refused(plan, told):
    with pytest.raises(InvalidInput) as caught:
        bill(HOURS, savings_plan=plan)

    assert told in str(caught.value)


def test_a_plan_by_its_term_needs_rates_that_were_fetched():
    with pytest.raises(InvalidInput, match="refresh --savings-plans --region us-east-1"):
        bill(HOURS, savings_plan={"term_years": 1, "payment": "no-upfront"})


@pytest.mark.parametrize("discount", ["0", "-0.1", "0.65", "1"])
def test_discount_line_holds_the_bound_by_itself(discount):
    with pytest.raises(ValueError, match="expected a share"):
        discount_line([component("Hosting", Decimal(1), RATE)], Decimal(discount))


def test_what_has_no_price_gets_no_discount():
    unpriced = component("Hosting", Decimal(1), Unknown("not known"), unit="hour")

    assert discount_line([unpriced], Decimal("0.3")) is None
    assert plan_rate_line(unpriced, RATE, plan="any") is None
    assert software_line(Decimal(0), Decimal(1), "ml.m5.xlarge") is None


@given(
    hours=st.decimals(0, 10**6, places=2),
    discounts=st.tuples(*[st.decimals("0.01", MOST_DISCOUNT, places=2)] * 2).map(sorted),
)
def test_a_larger_discount_never_costs_more_and_no_bill_is_negative(hours, discounts):
    less, more = (bill({**HOURS, "hours": hours}, savings_plan={"discount": share}).total for share in discounts)

    assert 0 <= more <= less <= bill({**HOURS, "hours": hours}).total


def test_anything_that_has_a_rate_can_be_metered():
    metered = {"kind": "metered", "service": "cloudwatch", "name": "logs-ingestion", "quantity": 5}

    assert costs(bill(metered)) == {"cloudwatch logs-ingestion": Decimal("2.50")}
    with pytest.raises(InvalidInput, match=r"names 'cloudwatch' 'log'; rates are known of .*cloudwatch logs-ingestion"):
        bill({**metered, "name": "log"})


def test_a_metered_rate_that_this_region_lacks_makes_an_unpriced_line():
    elsewhere = bill({"kind": "metered", "service": "s3", "name": "storage", "quantity": 5}, region="eu-west-1")

    assert not elsewhere.complete
    assert costs(elsewhere) == {"s3 storage": None}


def test_lambda_pays_for_tmp_beyond_512_mb_and_for_units_kept_ready():
    call = {"kind": "lambda", "memory_mb": 1024, "requests": 1000, "seconds_per_request": 1, "ephemeral_mb": 2560}
    ready = {"kind": "lambda-provisioned-concurrency", "memory_mb": 2048, "units": 3, "seconds": 3600}

    assert costs(bill(call))["Ephemeral storage"] == 2000 * Decimal("0.0000000309")
    assert costs(bill({**ready, "busy_seconds": 100})) == {
        "Provisioned concurrency": 2 * 3 * 3600 * Decimal("0.0000041667"),
        "Compute on provisioned units": 200 * Decimal("0.0000097222"),
    }
    assert not bill({**ready, "architecture": "arm64"}).complete


def test_fargate_pays_for_disk_beyond_20_gb():
    task = {"kind": "fargate", "vcpu": 1, "memory_gb": 2, "tasks": 2, "hours": 10, "ephemeral_gb": 50}

    assert costs(bill(task))["Ephemeral storage"] == 30 * 20 * 3600 * Decimal("0.0000000308")


def test_azure_has_a_flexible_plan_and_idle_replicas():
    flex = {"kind": "azure-functions", "plan": "flex", "gb_seconds": 1000, "executions": 1_000_000}
    idle = {"kind": "azure-container-apps", "vcpu_seconds": 0, "gib_seconds": 0, "requests": 0}

    assert costs(bill(flex)) == {"Compute": Decimal("0.026"), "Executions": Decimal("0.4")}
    assert costs(bill({**idle, "idle_vcpu_seconds": 1000}))["vCPU, idle"] == Decimal("0.003")


def test_a_discount_of_less_than_half_a_cent_shows():
    assert [cents(Decimal(text)) for text in ("-0.0002", "-12.345", "-0.00000004")] == ["-0.0002", "-12.35", "-4.0e-8"]
