"""A new snapshot from the one in hand and freshly listed prices: merged, doubted, and only then written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from cost_model.prices.book import PriceBook
from cost_model.prices.errors import RefreshFailed
from cost_model.prices.plan_rates import PlanRates
from cost_model.prices.price_list import UNITS, Key, Kind, RegionPrices
from cost_model.prices.tables import TABLES, Origin, Row, SnapshotHeader, write_snapshot
from rerank_toolkit.contracts.faults import Fault

STEEPEST = Decimal(10)
"""A price that rose or fell by more is taken for an error of the list or of its reading."""

MOST_LOST = Decimal("0.2")
"""Share of a region's instance types or memory sizes that may vanish from one list to the next."""


class RegionChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a refresh does to one region's prices."""

    region: str
    was: Origin | None
    """None where nothing of the region was known."""
    now: Origin
    prices: int
    new: int
    gone: int
    changed: int
    steepest: Decimal | None
    """The largest change of one price, as a share of the old; None where none changed."""
    steepest_of: str
    left_out: list[str]
    """What the list names several prices for."""
    plan_rates: int


def refresh(
    old: PriceBook,
    listed: Sequence[RegionPrices],
    plans: Sequence[PlanRates] = (),
    *,
    leave_out_ambiguous: bool = False,
) -> tuple[SnapshotHeader, dict[str, list[Row]], list[RegionChange]]:
    """Header and tables of the new snapshot, and what changes in each region that was listed.

    Regions that were not listed keep their rows. Raises RefreshFailed with everything that can't be believed: a
    price that is listed twice and differs (with `leave_out_ambiguous` it becomes an unknown instead), one that moved
    tenfold, a list that lost a fifth of its types, a list older than the prices in hand.
    """
    faults = [fault for region in listed for fault in _doubts(old, region, leave_out_ambiguous=leave_out_ambiguous)]
    if faults:
        raise RefreshFailed(faults)
    tables = {name: old.table(name) for name in TABLES}
    for region in listed:
        _merge(tables, region)
    for rates in plans:
        _merge_plans(tables, rates)
    header = _header(old, listed, tables)
    counts = {rates.region: len(rates.rates) for rates in plans}
    return header, tables, [_change(old, region, counts.get(region.region, 0)) for region in listed]


def write_refreshed(store: Path, header: SnapshotHeader, tables: Mapping[str, Sequence[Row]]) -> Path:
    """The folder of the new snapshot; raises RefreshFailed if it can't be written."""
    try:
        return write_snapshot(store, header, tables)
    except OSError as error:
        raise RefreshFailed([Fault(str(error.filename or store), f"can't be written: {error.strerror}")]) from None


def known_prices(book: PriceBook, region: str) -> dict[Key, Decimal]:
    """A region's prices in the form of a list, so that the two can be compared."""
    prices: dict[Key, Decimal] = {}
    for row in book.table("hosting.csv"):
        if row["region"] == region and row["usd_per_hour"]:
            prices[Key("hosting", row["instance"])] = Decimal(row["usd_per_hour"])
    for row in book.table("serverless.csv"):
        if row["region"] == region:
            prices[Key("serverless", row["memory_mb"])] = Decimal(row["usd_per_second"])
    for row in book.table("rates.csv"):
        if row["region"] == region and row["service"] == "sagemaker" and (key := _rate_key(row["name"])):
            prices[key] = Decimal(row["usd"])
    return prices


def _doubts(old: PriceBook, listed: RegionPrices, *, leave_out_ambiguous: bool) -> Iterator[Fault]:
    region = listed.region
    if not leave_out_ambiguous:
        for key, prices in listed.ambiguous.items():
            yield Fault(
                f"{region}, {key}",
                f"{_several(prices)}; which one holds? --leave-out-ambiguous goes on without it",
                "ambiguous",
            )
    known = known_prices(old, region)
    if known and listed.published < old.origin(region).as_of:
        yield Fault(
            region,
            f"the list is of {listed.published}, older than the prices in hand ({old.origin(region).as_of})",
            "implausible",
        )
    for key, was in known.items():
        now = listed.prices.get(key)
        if now is not None and not was / STEEPEST <= now <= was * STEEPEST:
            yield Fault(f"{region}, {key}", f"was {was:f} and would be {now:f}: more than tenfold", "implausible")
    for kind in ("hosting", "serverless"):
        before = [key for key in known if key.kind == kind]
        lost = [key for key in before if key not in listed.prices and key not in listed.ambiguous]
        if len(lost) > MOST_LOST * len(before):
            names = ", ".join(key.of for key in lost[:5]) + (", …" if len(lost) > 5 else "")
            yield Fault(f"{region}, {kind}", f"{len(lost)} of {len(before)} prices are gone: {names}", "implausible")


def _merge(tables: Mapping[str, list[Row]], listed: RegionPrices) -> None:
    """Replaces the region's rows in place; a rate that the list doesn't name keeps its row, which has its own date."""
    region = listed.region
    doubted = {
        (row["instance"], Decimal(row["usd_per_hour"])): row["suspect"]
        for row in tables["hosting.csv"]
        if row["region"] == region and row["suspect"] and row["usd_per_hour"]
    }
    hosting: list[Row] = []
    serverless: list[Row] = []
    rates: list[Row] = []
    for key, usd in listed.prices.items():
        if key.kind == "hosting":
            suspect = doubted.get((key.of, usd), "")  # a doubt stays with its figure
            hosting.append({"region": region, "instance": key.of, "usd_per_hour": f"{usd:f}", "suspect": suspect})
        elif key.kind == "serverless":
            serverless.append({"region": region, "memory_mb": key.of, "usd_per_second": f"{usd:f}"})
        elif key.kind not in ("async", "batch") or usd != listed.prices.get(Key("hosting", key.of)):
            rates.append(_rate_row(listed, key, usd))
    for key, prices in listed.ambiguous.items():
        if key.kind == "hosting":
            row = {"region": region, "instance": key.of, "usd_per_hour": "", "suspect": _several(prices)}
            hosting.append(row)
    named = {row["name"] for row in rates}
    _replace(tables["hosting.csv"], hosting, lambda row: row["region"] == region)
    _replace(tables["serverless.csv"], serverless, lambda row: row["region"] == region)
    _replace(
        tables["rates.csv"],
        rates,
        lambda row: (
            (row["region"], row["service"]) == (region, "sagemaker")
            and (row["name"] in named or row["name"].startswith(("async-", "batch-")))
        ),
    )


def _merge_plans(tables: Mapping[str, list[Row]], plans: PlanRates) -> None:
    rows = [
        {
            "region": plans.region,
            "kind": key.kind,
            "of": key.of,
            "term_years": str(key.term_years),
            "payment": key.payment,
            "unit": UNITS[key.kind][1],
            "usd": f"{usd:f}",
            "as_of": plans.published.isoformat(),
            "source": plans.source,
        }
        for key, usd in plans.rates.items()
    ]
    _replace(tables["savings_plans.csv"], rows, lambda row: row["region"] == plans.region)


def _replace(table: list[Row], rows: Sequence[Row], gone: Callable[[Row], bool]) -> None:
    """Other rows for those that are gone, in the place of the first of them, else at the end."""
    first = next((at for at, row in enumerate(table) if gone(row)), len(table))
    table[first:] = [*rows, *(row for row in table[first:] if not gone(row))]


def _rate_row(listed: RegionPrices, key: Key, usd: Decimal) -> Row:
    return {
        "region": listed.region,
        "service": "sagemaker",
        "name": f"{key.kind}-{key.of}" if key.of else key.kind,
        "unit": UNITS[key.kind][1],
        "from_quantity": "0",
        "usd": f"{usd:f}",
        "as_of": listed.published.isoformat(),
        "source": listed.source,
    }


def _rate_key(name: str) -> Key | None:
    """The key whose row `_rate_row` names so; None for a rate that no list of SageMaker names."""
    kinds: tuple[Kind, ...] = tuple(UNITS)
    for kind in kinds:
        if name == kind or name.startswith(f"{kind}-"):
            return Key(kind, name[len(kind) + 1 :])
    return None


def _header(old: PriceBook, listed: Sequence[RegionPrices], tables: Mapping[str, Sequence[Row]]) -> SnapshotHeader:
    origins = {region.region: Origin(as_of=region.published, source=region.source) for region in listed}
    regions = old.header.regions | origins
    kept = {row["region"] for name in ("hosting.csv", "serverless.csv") for row in tables[name]} - set(regions)
    oldest = min(
        [*regions.values(), *(old.origin(region) for region in kept)], key=lambda origin: (origin.as_of, origin.source)
    )
    return SnapshotHeader(
        as_of=oldest.as_of, source=oldest.source, currency=old.header.currency, regions=dict(sorted(regions.items()))
    )


def _change(old: PriceBook, listed: RegionPrices, plan_rates: int) -> RegionChange:
    was, now = known_prices(old, listed.region), listed.prices
    compared = [key for key in now if key.kind not in ("async", "batch")]
    moved = {key: now[key] / was[key] - 1 for key in compared if key in was and was[key] != now[key]}
    steepest = max(moved, key=lambda key: abs(moved[key]), default=None)
    return RegionChange(
        region=listed.region,
        was=old.origin(listed.region) if was else None,
        now=Origin(as_of=listed.published, source=listed.source),
        prices=len(compared),
        new=sum(key not in was for key in compared),
        gone=sum(key not in now for key in was if key.kind in ("hosting", "serverless")),
        changed=len(moved),
        steepest=None if steepest is None else moved[steepest],
        steepest_of="" if steepest is None else str(steepest),
        left_out=[str(key) for key in listed.ambiguous],
        plan_rates=plan_rates,
    )


def _several(prices: Mapping[Decimal, Sequence[str]]) -> str:
    each = (f"{usd:f} (SKU {', '.join(skus)})" for usd, skus in sorted(prices.items()))
    return f"the list names several prices: {' and '.join(each)}"
