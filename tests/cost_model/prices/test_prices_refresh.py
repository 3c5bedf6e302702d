"""What a refresh makes of a price list: read from the bulk files of a real server."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cost_model.prices.book import PriceBook, Rate, Unknown, load_prices
from cost_model.prices.errors import RefreshFailed
from cost_model.prices.price_list import Key, RegionPrices
from cost_model.prices.refresh import known_prices, refresh, write_refreshed
from rerank_toolkit.contracts.errors import InvalidInput

from .server import PriceServer, send
from .shapes import PriceList, eu_west_1, plan_file, us_east_1
from .stores import digest, write_store


@pytest.fixture
def refreshed(server: PriceServer, store: Path, tmp_path: Path) -> PriceBook:
    """The prices after a refresh of us-east-1 alone."""
    return renew(store, server.fetch(tmp_path, "us-east-1"))


def renew(store: Path, listed: list[RegionPrices], **options: bool) -> PriceBook:
    header, tables, _ = refresh(load_prices(store), listed, **options)
    return PriceBook(write_refreshed(store, header, tables))


def usd(rate: Rate | Unknown) -> Decimal:
    assert isinstance(rate, Rate), rate
    return rate.usd


def test_prices_are_those_of_the_list_exactly(refreshed):
    assert usd(refreshed.hosting("us-east-1", "ml.m5.xlarge")) == Decimal("0.24")
    assert usd(refreshed.hosting("us-east-1", "ml.c9i.large")) == Decimal("0.12345")
    assert usd(refreshed.serverless("us-east-1", 3072)) == Decimal("0.00006")
    assert usd(refreshed.rate("us-east-1", "sagemaker", "endpoint-storage")) == Decimal("0.14")
    assert usd(refreshed.rate("us-east-1", "sagemaker", "data-in")) == Decimal("0.016")


def test_every_size_of_provisioned_concurrency_has_a_price_of_its_own_then(refreshed):
    rate = refreshed.provisioned_concurrency("us-east-1", "usage", 6144)

    assert isinstance(rate, Rate)
    assert (rate.usd, rate.basis) == (Decimal("0.0000304"), "published")


def test_a_price_carries_the_day_of_its_region_s_list(refreshed):
    new, old = refreshed.hosting("us-east-1", "ml.m5.large"), refreshed.hosting("eu-west-1", "ml.m5.xlarge")

    assert isinstance(new, Rate)
    assert isinstance(old, Rate)
    assert "2026-11-20" in new.detail
    assert "2026-10-01" in old.detail
    assert refreshed.header.as_of == date(2026, 10, 1)
    assert refreshed.header.newest == date(2026, 11, 20)


def test_the_instance_type_is_told_by_its_name_however_instance_type_is_spelled(refreshed):
    assert usd(refreshed.hosting("us-east-1", "ml.c9i.large")) == Decimal("0.12345")  # "ml.c9i.large-hosting"
    assert usd(refreshed.hosting("us-east-1", "ml.c9i.xlarge")) == Decimal("0.2469")  # "NA"


def test_regions_that_were_not_asked_for_and_other_services_keep_their_rows(store, server, tmp_path):
    before = load_prices(store)
    after = renew(store, server.fetch(tmp_path, "us-east-1"))

    for name in ("hosting.csv", "serverless.csv"):
        kept = [row for row in before.table(name) if row["region"] == "eu-west-1"]
        assert [row for row in after.table(name) if row["region"] == "eu-west-1"] == kept
    elsewhere = [row for row in before.table("rates.csv") if row["service"] != "sagemaker"]
    assert [row for row in after.table("rates.csv") if row["service"] != "sagemaker"] == elsewhere


def test_a_rate_that_the_list_lacks_keeps_its_own_date(store, server, tmp_path):
    after = renew(store, server.fetch(tmp_path, "eu-west-1"))  # no storage in this list

    kept = after.rate("eu-west-1", "sagemaker", "endpoint-storage")
    assert isinstance(kept, Rate)
    assert kept.detail == "a published AWS bill (aws-samples/sagemaker-ssh-helper), 2023-12"


def test_a_doubt_stays_with_its_figure_and_goes_with_it(store, server, tmp_path):
    same = renew(store, server.fetch(tmp_path, "us-east-1")).hosting("us-east-1", "ml.r8g.large")
    moved = us_east_1()
    moved.on_demand.clear()
    moved.products.clear()
    for name in ("ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.g5.xlarge"):
        moved.instance(name, "0.5")
    moved.instance("ml.r8g.large", "0.1400000000")
    for gb in range(1, 7):
        moved.serverless(gb, f"{gb * 2 / 1e5:.10f}")
    server.serve(moved)
    other = renew(store, server.fetch(tmp_path, "us-east-1")).hosting("us-east-1", "ml.r8g.large")

    assert isinstance(same, Rate)
    assert isinstance(other, Rate)
    assert (same.suspect, other.suspect) == ("twice that elsewhere", "")


def test_async_and_batch_bill_what_the_list_says_of_them_where_it_differs(server, store, tmp_path):
    prices = us_east_1()
    prices.instance("ml.m5.large", "0.1150000000", "AsyncInf")
    prices.instance("ml.m5.large", "0.1040000000", "BatchTransform")
    server.serve(prices)

    after = renew(store, server.fetch(tmp_path, "us-east-1"))

    assert usd(after.hosting("us-east-1", "ml.m5.large", "async")) == Decimal("0.115")
    assert usd(after.hosting("us-east-1", "ml.m5.large", "batch")) == Decimal("0.104")
    assert usd(after.hosting("us-east-1", "ml.g5.xlarge", "batch")) == Decimal("1.408")


def test_what_has_several_prices_can_be_left_out_and_says_so(server, store, tmp_path):
    prices = us_east_1()
    prices.instance("ml.r8g.large", "0.1400000000", sku="THEOTHERR8G")
    server.serve(prices)

    after = renew(store, server.fetch(tmp_path, "us-east-1"), leave_out_ambiguous=True)

    unknown = after.hosting("us-east-1", "ml.r8g.large")
    assert isinstance(unknown, Unknown)
    assert "0.14 (SKU THEOTHERR8G) and 0.28" in unknown.reason
    assert usd(after.hosting("us-east-1", "ml.m5.large")) == Decimal("0.115")


def test_a_region_that_was_never_known_comes_in(server, store, tmp_path):
    prices = PriceList("ap-south-2")
    prices.instance("ml.m5.xlarge", "0.2500000000")
    server.serve(prices)

    after = renew(store, server.fetch(tmp_path, "ap-south-2"))

    assert after.hosting_regions == ("ap-south-2", "eu-west-1", "us-east-1")
    assert after.origin("ap-south-2").as_of == date(2026, 11, 20)


def test_the_changes_are_told(server, store, tmp_path):
    _, _, (change, _) = refresh(load_prices(store), server.fetch(tmp_path, "us-east-1", "eu-west-1"))

    assert (change.region, change.changed, change.gone) == ("us-east-1", 1, 0)
    assert change.steepest == Decimal("0.24") / Decimal("0.23") - 1
    assert change.steepest_of == "hosting ml.m5.xlarge"
    assert change.was is not None
    assert change.was.as_of == date(2026, 10, 1)


def test_a_server_that_is_busy_is_asked_again(server, store, tmp_path):
    (path,) = [path for path in server.files if "us-east-1" in path]
    whole = server.files[path]
    assert isinstance(whole, bytes)

    def busy_twice(handler):
        send(handler, b"", status=503) if server.asked[path] < 3 else send(handler, whole)

    server.files[path] = busy_twice
    (listed,) = server.fetch(tmp_path, "us-east-1")

    assert listed.prices[Key("hosting", "ml.m5.xlarge")] == Decimal("0.24")
    assert server.asked[path] == 3


def test_the_old_snapshot_is_never_written_to(server, store, tmp_path):
    before = digest(store)

    renew(store, server.fetch(tmp_path, "us-east-1"))

    assert digest(store).items() >= before.items()
    assert len(list(store.iterdir())) == 2


@given(moves=st.lists(st.decimals("0.2", "5", places=4), min_size=6, max_size=6))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_reads_back_exactly(moves, tmp_path):
    store = tmp_path / "prices"
    if not store.exists():
        write_store(store)
    old = load_prices(store)
    was = {key: price for key, price in known_prices(old, "us-east-1").items() if key.kind in ("hosting", "serverless")}
    now = {key: price * moves[at % len(moves)] for at, (key, price) in enumerate(was.items())}
    listed = RegionPrices(region="us-east-1", published=date(2026, 11, 1), source="test", prices=now, ambiguous={})

    after = renew(store, [listed])

    assert {key: known_prices(after, "us-east-1")[key] for key in now} == now


def test_savings_plan_rates_are_read_by_term_and_payment(server, store, tmp_path):
    server.serve_plans(
        "us-east-1",
        plan_file(
            "us-east-1",
            {
                "USE1-Host:ml.m5.xlarge": "0.168000",
                "USE1-AsyncInf:ml.m5.xlarge": "0.170000",
                "USE1-Tsform:ml.m5.xlarge": "0.171000",
                "USE1-Train:ml.m5.xlarge": "0.172000",
                "USE1-Studio:KernelGateway-ml.m5.xlarge": "0.173000",
            },
        ),
    )
    header, tables, (change,) = refresh(
        load_prices(store), server.fetch(tmp_path, "us-east-1"), server.fetch_plans(tmp_path, "us-east-1")
    )
    after = PriceBook(write_refreshed(store, header, tables))

    def rate(kind, years, payment):
        return usd(after.savings_plan("us-east-1", kind, "ml.m5.xlarge", term_years=years, payment=payment))

    assert change.plan_rates == 3 * 6
    assert rate("hosting", 1, "no-upfront") == Decimal("0.168")
    assert rate("hosting", 3, "all-upfront") == Decimal("0.084")
    assert rate("async", 1, "partial-upfront") == Decimal("0.17")
    assert rate("batch", 1, "partial-upfront") == Decimal("0.171")
    assert isinstance(
        after.savings_plan("us-east-1", "hosting", "ml.g5.xlarge", term_years=1, payment="no-upfront"), Unknown
    )


def test_an_unknown_region_names_those_there_are(server, tmp_path):
    with pytest.raises(InvalidInput, match=r"is 'mars-1', which is not in .*; there are eu-west-1, us-east-1"):
        server.fetch(tmp_path, "us-east-1", "mars-1")


def test_a_store_that_can_t_be_written_is_told(server, store, tmp_path):
    header, tables, _ = refresh(load_prices(store), server.fetch(tmp_path, "us-east-1"))
    file = tmp_path / "file"
    file.write_text("no folder")

    with pytest.raises(RefreshFailed, match="can't be written"):
        write_refreshed(file, header, tables)


def test_a_list_of_another_region_alone_changes_nothing_else(server, store, tmp_path):
    server.serve(eu_west_1())

    after = renew(store, server.fetch(tmp_path, "eu-west-1"))

    assert usd(after.hosting("us-east-1", "ml.m5.xlarge")) == Decimal("0.23")
