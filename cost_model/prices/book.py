"""The price snapshot as typed look-ups.

A look-up answers with a Rate or with an Unknown that says why; it never guesses. Rates carry their own basis and
date, because a snapshot's rows come from several publications.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from cost_model.prices.store import find_snapshot, user_store
from cost_model.prices.tables import SHIPPED, Origin, Row, SnapshotHeader, read_header, read_table

EVERYWHERE = "*"

RateBasis = Literal["published", "extrapolated"]

InstanceUse = Literal["hosting", "async", "batch"]
"""What an instance's hours are billed as."""

Payment = Literal["no-upfront", "partial-upfront", "all-upfront"]


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars for one unit."""

    unit: str
    usd: Decimal
    basis: RateBasis
    detail: str
    """Source and date, and for an extrapolated rate what it was derived from."""
    suspect: str = ""
    """Why the published figure is doubted; a suspect rate is shown and warned about, and never ranked."""


class Unknown(msgspec.Struct, frozen=True):
    """A figure that can't be given, and why."""

    reason: str
    summary: str = ""
    """The reason without its particulars, where many things share it."""

    @property
    def heading(self) -> str:
        return self.summary or self.reason


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    from_quantity: Decimal
    rate: Rate


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity that a free tier takes off the bill."""

    service: str
    name: str
    unit: str
    quantity: Decimal
    per: str
    instances: str
    """The instance types it is for, apart by spaces; empty where it is for all."""
    as_of: str
    source: str


class _HostingRow(msgspec.Struct, frozen=True):
    region: str
    instance: str
    usd_per_hour: Decimal | None
    """None where the list names several prices."""
    suspect: str


class _ServerlessRow(msgspec.Struct, frozen=True):
    region: str
    memory_mb: int
    usd_per_second: Decimal


class _RateRow(msgspec.Struct, frozen=True):
    region: str
    service: str
    name: str
    unit: str
    from_quantity: Decimal
    usd: Decimal
    as_of: str
    source: str


class _SavingsPlanRow(msgspec.Struct, frozen=True):
    region: str
    kind: str
    of: str
    term_years: int
    payment: Payment
    unit: str
    usd: Decimal
    as_of: str
    source: str


class PriceBook:
    """The snapshot in the folder `path`; tables are read when first asked for.

    `passed_over` says why newer snapshots were not taken, if any weren't.
    """

    def __init__(
        self, path: Path = SHIPPED, *, header: SnapshotHeader | None = None, passed_over: tuple[str, ...] = ()
    ) -> None:
        self.path = path
        self.passed_over = passed_over
        self._header = header

    @cached_property
    def header(self) -> SnapshotHeader:
        return self._header or read_header(self.path)

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Regions with at least one hosting or serverless price."""
        named = {region for region, _ in self._hosting} | {region for region, _ in self._serverless}
        return tuple(sorted(named))

    @cached_property
    def hosting_regions(self) -> tuple[str, ...]:
        return tuple(sorted({region for region, _ in self._hosting}))

    @cached_property
    def savings_plan_regions(self) -> frozenset[str]:
        """Regions whose Savings Plan rates were fetched; none ship."""
        return frozenset(region for region, *_ in self._savings_plans)

    def origin(self, region: str) -> Origin:
        """From when and where the region's hosting and serverless prices are."""
        return self.header.origin(region)

    def hosting(self, region: str, instance: str, use: InstanceUse = "hosting") -> Rate | Unknown:
        """One hour of a hosting instance.

        Async inference and batch transform bill the same, except where a refreshed list said otherwise.
        """
        if use != "hosting" and (tiers := self._rates.get((region, "sagemaker", f"{use}-{instance}"))):
            return tiers[0].rate
        row = self._hosting.get((region, instance))
        if row is not None and row.usd_per_hour is None:
            return Unknown(f"{instance} has no one price in {region}: {row.suspect}", "its price is ambiguous")
        if row is not None and row.usd_per_hour is not None:
            return Rate(
                unit="hour",
                usd=row.usd_per_hour,
                basis="published",
                detail=self._list_detail(region),
                suspect=row.suspect,
            )
        if region not in self.hosting_regions:
            return Unknown(f"no hosting price is known in {region}; known are {', '.join(self.hosting_regions)}")
        elsewhere = sorted(known for known, name in self._hosting if name == instance)
        if elsewhere:
            return Unknown(
                f"{instance} has no hosting price in {region}; it is offered in {', '.join(elsewhere)}",
                f"not offered in {region}",
            )
        return Unknown(f"{instance} has no hosting price in any known region")

    def serverless(self, region: str, memory_mb: int) -> Rate | Unknown:
        """One second of processing at a serverless memory size."""
        row = self._serverless.get((region, memory_mb))
        if row is not None:
            return Rate(unit="second", usd=row.usd_per_second, basis="published", detail=self._list_detail(region))
        sizes = sorted(size for known, size in self._serverless if known == region)
        if sizes:
            return Unknown(
                f"serverless inference has no size of {memory_mb} MB; sizes are {', '.join(map(str, sizes))} MB"
            )
        regions = sorted({known for known, _ in self._serverless})
        return Unknown(f"no serverless price is known in {region}; known are {', '.join(regions)}")

    def provisioned_concurrency(
        self, region: str, part: Literal["usage", "duration"], memory_mb: int
    ) -> Rate | Unknown:
        """One second of a provisioned unit kept ready (`usage`) or of processing on one (`duration`).

        Of what ships only the 2,048 MB rates are published; sizes without one follow it in proportion to memory, as
        on-demand serverless rates do, and say so.
        """
        own = self.rate(region, "sagemaker", f"provisioned-concurrency-{part}-{memory_mb}")
        if isinstance(own, Rate):
            return own
        published = self.rate(region, "sagemaker", f"provisioned-concurrency-{part}-2048")
        if isinstance(published, Unknown):
            return published
        return Rate(
            unit=published.unit,
            usd=published.usd * memory_mb / 2048,
            basis="extrapolated",
            detail=f"in proportion to memory from the 2048 MB rate ({published.detail})",
        )

    def savings_plan(
        self, region: str, kind: InstanceUse | Literal["serverless"], of: str, *, term_years: int, payment: Payment
    ) -> Rate | Unknown:
        """The rate of what a Machine Learning Savings Plan covers: an hour of the instance type `of`, or a second at
        the serverless memory size `of` in MB."""
        row = self._savings_plans.get((region, kind, of, term_years, payment))
        if row is not None:
            return Rate(unit=row.unit, usd=row.usd, basis="published", detail=f"{row.source}, {row.as_of}")
        plan = f"{term_years}-year {payment} Savings Plan"
        if region not in self.savings_plan_regions:
            return Unknown(
                f"no Savings Plan rate is known in {region}: `rerank cost prices refresh --savings-plans --region "
                f"{region}` fetches them, or state your own discount",
                "no Savings Plan rate is known",
            )
        return Unknown(f"the {plan} has no rate of {kind} {of} in {region}", f"the {plan} doesn't cover it")

    def rate(self, region: str, service: str, name: str) -> Rate | Unknown:
        """A rate that has one tier."""
        tiers = self.tiers(region, service, name)
        return tiers if isinstance(tiers, Unknown) else tiers[0].rate

    def tiers(self, region: str, service: str, name: str) -> tuple[Tier, ...] | Unknown:
        """The tiers of a rate, cheapest quantity first."""
        for place in (region, EVERYWHERE):
            if tiers := self._rates.get((place, service, name)):
                return tiers
        regions = sorted(place for place, *rest in self._rates if rest == [service, name])
        known = f"; known are {', '.join(regions)}" if regions else ""
        return Unknown(f"no price of {service} {name} is known in {region}{known}")

    def rate_names(self, region: str | None = None) -> tuple[tuple[str, str], ...]:
        """Service and name of each rate that is known in the region, in any without one."""
        places = {place for place, *_ in self._rates} if region is None else {region, EVERYWHERE}
        return tuple(sorted({(service, name) for place, service, name in self._rates if place in places}))

    def allowance(self, service: str, name: str) -> Allowance | Unknown:
        """What the free tier of a service takes off, a month."""
        return self._allowances.get((service, name)) or Unknown(f"no free tier of {service} {name} is known")

    def table(self, name: str) -> list[Row]:
        """The rows of one of the snapshot's tables, as text."""
        return read_table(self.path, name)

    def _list_detail(self, region: str) -> str:
        return f"AWS Price List {self.origin(region).as_of}"

    @cached_property
    def _hosting(self) -> dict[tuple[str, str], _HostingRow]:
        rows = (
            msgspec.convert(row | {"usd_per_hour": row["usd_per_hour"] or None}, _HostingRow, strict=False)
            for row in self.table("hosting.csv")
        )
        return {(row.region, row.instance): row for row in rows}

    @cached_property
    def _serverless(self) -> dict[tuple[str, int], _ServerlessRow]:
        rows = (msgspec.convert(row, _ServerlessRow, strict=False) for row in self.table("serverless.csv"))
        return {(row.region, row.memory_mb): row for row in rows}

    @cached_property
    def _rates(self) -> dict[tuple[str, str, str], tuple[Tier, ...]]:
        table: dict[tuple[str, str, str], tuple[Tier, ...]] = {}
        for cells in self.table("rates.csv"):
            row = msgspec.convert(cells, _RateRow, strict=False)
            rate = Rate(unit=row.unit, usd=row.usd, basis="published", detail=f"{row.source}, {row.as_of}")
            key = (row.region, row.service, row.name)
            table[key] = (*table.get(key, ()), Tier(from_quantity=row.from_quantity, rate=rate))
        return {key: tuple(sorted(tiers, key=lambda tier: tier.from_quantity)) for key, tiers in table.items()}

    @cached_property
    def _allowances(self) -> dict[tuple[str, str], Allowance]:
        rows = (msgspec.convert(row, Allowance, strict=False) for row in self.table("allowances.csv"))
        return {(row.service, row.name): row for row in rows}

    @cached_property
    def _savings_plans(self) -> dict[tuple[str, str, str, int, str], _SavingsPlanRow]:
        rows = (msgspec.convert(row, _SavingsPlanRow, strict=False) for row in self.table("savings_plans.csv"))
        return {(row.region, row.kind, row.of, row.term_years, row.payment): row for row in rows}


def shipped_prices() -> PriceBook:
    """The snapshot that ships, whatever was refreshed on this machine: for files that ship with it."""
    return PriceBook(SHIPPED)


def load_prices(where: Path | None = None) -> PriceBook:
    """The newest sound snapshot: of the folder `where`, else of the user's refreshed ones and the shipped one.

    Raises InvalidInput if `where` holds none.
    """
    return _load(where, user_store())


@lru_cache(maxsize=8)
def _load(where: Path | None, _store: Path) -> PriceBook:
    found = find_snapshot(where)
    return PriceBook(found.folder, header=found.header, passed_over=found.passed_over)
