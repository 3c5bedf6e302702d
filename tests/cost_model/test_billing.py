"""From a usage file to the lines of a bill."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.billing.estimate import Estimate, estimate
from cost_model.components import cents, plain
from cost_model.prices.book import load_prices
from rerank_toolkit.contracts.documents import convert
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.usage import Usage

PRICES = load_prices()


def bill(*items: dict[str, Any], region: str = "us-east-1", free_tier: bool = False) -> Estimate:
    document = {"region": region, "free_tier": free_tier, "items": list(items)}
    return estimate(convert(document, Usage, name="usage"), PRICES)


def lines(estimated: Estimate) -> dict[str, Decimal | None]:
    return {line.name: line.cost for item in estimated.items for line in item.components}


def test_async_and_batch_bill_the_hosting_rate():
    hours = {"instance": "ml.m5.12xlarge", "instances": 2, "hours": 10}

    realtime, async_, batch = (bill({"kind": kind, **hours}).total for kind in ("realtime", "async", "batch"))

    assert realtime == async_ == batch == Decimal("55.30")


def test_an_instance_is_billed_for_a_minute_at_least():
    short = bill({"kind": "batch", "instance": "ml.m5.xlarge", "hours": "0.001"})

    (line,) = short.items[0].components
    assert "one-minute minimum" in line.name
    assert line.quantity * 60 == pytest.approx(1)
    assert bill({"kind": "batch", "instance": "ml.m5.xlarge", "hours": 0}).total == 0
    assert bill({"kind": "batch", "instance": "ml.m5.xlarge", "hours": "0.02"}).total == Decimal("0.0046")


def test_storage_is_a_total_over_all_instances():
    with_storage = bill(
        {"kind": "realtime", "instance": "ml.m5.xlarge", "instances": 4, "hours": 1, "storage_gb_month": 100}
    )

    assert lines(with_storage)["Endpoint storage"] == Decimal("14.00")


def test_what_was_not_used_makes_no_line():
    assert list(lines(bill({"kind": "data", "gb_out": 20}))) == ["Data out"]


def test_lambda_beyond_a_tier_pays_each_part_at_its_own_rate():
    # 7e9 GB-seconds: 6e9 in the first tier and 1e9 in the second.
    big = bill({"kind": "lambda", "memory_mb": 1024, "requests": 7_000_000_000, "seconds_per_request": 1})

    assert lines(big)["Compute, tier 1"] == Decimal("6e9") * Decimal("0.0000166667")
    assert lines(big)["Compute, tier 2"] == Decimal("1e9") * Decimal("0.000015")


def test_tiers_fill_up_over_the_items_of_a_bill():
    whole = {"kind": "lambda", "memory_mb": 1024, "requests": 8_000_000_000, "seconds_per_request": 1}
    half = {**whole, "requests": 4_000_000_000}

    assert bill(half, half).total == bill(whole).total
    assert [line.name for line in bill(whole, half).items[1].components] == ["Compute, tier 2", "Requests"]
    assert bill(half, {**half, "architecture": "arm64"}).items[1].components[0].name == "Compute"


def test_fargate_on_arm_has_its_own_rate():
    task = {"kind": "fargate", "vcpu": 2, "memory_gb": 4, "tasks": 1, "hours": 1}

    assert bill({**task, "architecture": "arm64"}).total < bill({**task, "architecture": "x86_64"}).total
    assert bill({**task, "architecture": "arm64"}).total == 3600 * (
        2 * Decimal("0.0000089944") + 4 * Decimal("0.0000009889")
    )


def test_the_free_tier_is_taken_off_only_on_request():
    item = {"kind": "serverless", "memory_mb": 2048, "seconds": 200_000}

    assert bill(item).total == 8
    assert bill(item, free_tier=True).total == 2


def test_the_free_tier_is_used_up_over_the_items():
    item = {"kind": "serverless", "memory_mb": 2048, "seconds": 100_000}

    first, second = bill(item, item, free_tier=True).items

    assert (first.total, second.total) == (0, 2)


def test_free_hours_are_for_two_types_only():
    free = {"kind": "realtime", "instance": "ml.m5.xlarge", "hours": 125}

    assert bill(free, free_tier=True).total == 0
    assert bill({**free, "instance": "ml.m5.2xlarge"}, free_tier=True).total == 125 * Decimal("0.461")


def test_free_hours_are_not_for_async_endpoints():
    hours = {"instance": "ml.m5.xlarge", "hours": 100}

    both = bill({"kind": "async", **hours}, {"kind": "realtime", **hours}, free_tier=True)

    assert [item.total for item in both.items] == [Decimal("23.00"), 0]


def test_a_free_tier_that_is_not_known_is_warned_about_once():
    run = {"kind": "cloud-run", "vcpu_seconds": 10, "gib_seconds": 10, "requests": 10}

    warned = bill(run, run, free_tier=True).warnings

    assert sorted(warned) == sorted(set(warned))
    assert any("cloud-run vcpu" in warning for warning in warned)


def test_a_missing_minor_price_makes_the_total_a_lower_bound():
    partly = bill(
        {"kind": "realtime", "instance": "ml.m5.xlarge", "hours": 1},
        {"kind": "data", "gb_in": 5},
        region="us-west-2",
    )

    assert not partly.complete
    assert partly.total == Decimal("0.23")
    assert lines(partly)["Data in"] is None
    assert (
        partly.items[1].components[0].basis.startswith("unpriced: no price of sagemaker data-in is known in us-west-2")
    )


def test_a_suspect_price_is_used_with_a_warning():
    doubted = bill({"kind": "realtime", "instance": "ml.r8g.xlarge", "hours": 1})

    assert any("suspect" in warning for warning in doubted.warnings)
    assert "suspect" in doubted.items[0].components[0].basis


def test_hours_on_a_type_that_takes_no_transform_job_are_priced_with_a_warning():
    warned = bill({"kind": "batch", "instance": "ml.c4.large", "hours": 1})

    assert warned.total == Decimal("0.12")
    assert any("no type for batch transform" in warning for warning in warned.warnings)


def test_all_faults_are_told_at_once():
    with pytest.raises(InvalidInput) as caught:
        bill(
            {"kind": "realtime", "instance": "ml.m5.gigantic", "hours": 1},
            {"kind": "async", "instance": "ml.p5.4xlarge", "hours": 1},
            {"kind": "serverless", "memory_mb": 1000, "seconds": 1},
            {"kind": "provisioned-concurrency", "memory_mb": 512, "units": 1, "seconds": 1},
        )

    assert [fault.field for fault in caught.value.faults] == [
        "items[0].instance",
        "items[1].instance",
        "items[2].memory_mb",
        "items[3].memory_mb",
    ]
    assert caught.value.exit_code == 2
    assert "ml.m5.xlarge" in str(caught.value)


def test_an_unknown_region_is_named_with_the_known_ones():
    with pytest.raises(InvalidInput, match=r"region: is 'mars-1'; prices are known in .*us-east-1"):
        bill({"kind": "data", "gb_in": 1}, region="mars-1")


QUANTITIES = st.decimals(min_value=0, max_value=10**7, places=3)
ITEMS = st.one_of(
    st.builds(
        lambda h, n: {"kind": "realtime", "instance": "ml.g5.xlarge", "instances": n, "hours": h},
        QUANTITIES,
        st.integers(0, 50),
    ),
    st.builds(lambda s: {"kind": "serverless", "memory_mb": 3072, "seconds": s}, QUANTITIES),
    st.builds(lambda a, b: {"kind": "data", "gb_in": a, "gb_out": b}, QUANTITIES, QUANTITIES),
    st.builds(
        lambda r, s: {"kind": "lambda", "memory_mb": 512, "requests": r, "seconds_per_request": s},
        QUANTITIES,
        QUANTITIES,
    ),
)


@given(items=st.lists(ITEMS, min_size=1, max_size=6), free_tier=st.booleans())
def test_a_total_is_the_sum_of_its_lines_and_each_line_is_quantity_times_rate(items, free_tier):
    estimated = bill(*items, free_tier=free_tier)

    every_line = [line for item in estimated.items for line in item.components]
    assert estimated.total == sum(line.cost for line in every_line)
    assert all(line.cost == line.quantity * line.rate for line in every_line)


@given(items=st.lists(ITEMS, min_size=1, max_size=4))
def test_the_free_tier_never_makes_a_bill_larger_or_negative(items):
    assert 0 <= bill(*items, free_tier=True).total <= bill(*items).total


@given(st.decimals(min_value=0, max_value=10**9, places=8))
def test_plain_keeps_every_digit(value):
    assert Decimal(plain(value)) == value
    assert "E" not in plain(value)


def test_cents_never_shows_a_charge_as_nothing():
    assert [cents(Decimal(text)) for text in ("0", "0.0002", "0.005", "1234.565", "0.00000004")] == [
        "0.00",
        "0.0002",
        "0.01",
        "1,234.57",
        "4.0e-8",
    ]
