"""The price snapshot as typed look-ups.

A look-up answers with a Rate or with an Unknown that says why; it never guesses. Rates carry their own basis and
date, because a snapshot's rows come from several publications.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import msgspec

SNAPSHOT = Path(__file__).with_name("snapshot")

EVERYWHERE = "*"

RateBasis = Literal["published", "extrapolated"]


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


class SnapshotHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    as_of: date
    currency: str
    source: str


class _HostingRow(msgspec.Struct, frozen=True):
    region: str
    instance: str
    usd_per_hour: Decimal
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


class PriceBook:
    """The snapshot in the folder `path`; tables are read when first asked for."""

    def __init__(self, path: Path = SNAPSHOT) -> None:
        self._path = path

    @cached_property
    def header(self) -> SnapshotHeader:
        return msgspec.toml.decode((self._path / "snapshot.toml").read_bytes(), type=SnapshotHeader)

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Regions with at least one hosting or serverless price."""
        named = {region for region, _ in self._hosting} | {region for region, _ in self._serverless}
        return tuple(sorted(named))

    @cached_property
    def hosting_regions(self) -> tuple[str, ...]:
        return tuple(sorted({region for region, _ in self._hosting}))

    def hosting(self, region: str, instance: str) -> Rate | Unknown:
        """One hour of a hosting instance; async inference and batch transform bill the same."""
        row = self._hosting.get((region, instance))
        if row is not None:
            return Rate(
                unit="hour",
                usd=row.usd_per_hour,
                basis="published",
                detail=self._list_detail,
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
            return Rate(unit="second", usd=row.usd_per_second, basis="published", detail=self._list_detail)
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

        Only the 2,048 MB rates are published; other sizes follow it in proportion to memory, as on-demand
        serverless rates do, and say so.
        """
        published = self.rate(region, "sagemaker", f"provisioned-concurrency-{part}-2048")
        if isinstance(published, Unknown) or memory_mb == 2048:
            return published
        return Rate(
            unit=published.unit,
            usd=published.usd * memory_mb / 2048,
            basis="extrapolated",
            detail=f"in proportion to memory from the 2048 MB rate ({published.detail})",
        )

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

    def allowance(self, service: str, name: str) -> Allowance | Unknown:
        """What the free tier of a service takes off, a month."""
        return self._allowances.get((service, name)) or Unknown(f"no free tier of {service} {name} is known")

    @property
    def _list_detail(self) -> str:
        return f"AWS Price List {self.header.as_of}"

    @cached_property
    def _hosting(self) -> dict[tuple[str, str], _HostingRow]:
        rows = (msgspec.convert(row, _HostingRow, strict=False) for row in self._read("hosting.csv"))
        return {(row.region, row.instance): row for row in rows}

    @cached_property
    def _serverless(self) -> dict[tuple[str, int], _ServerlessRow]:
        rows = (msgspec.convert(row, _ServerlessRow, strict=False) for row in self._read("serverless.csv"))
        return {(row.region, row.memory_mb): row for row in rows}

    @cached_property
    def _rates(self) -> dict[tuple[str, str, str], tuple[Tier, ...]]:
        table: dict[tuple[str, str, str], tuple[Tier, ...]] = {}
        for cells in self._read("rates.csv"):
            row = msgspec.convert(cells, _RateRow, strict=False)
            rate = Rate(unit=row.unit, usd=row.usd, basis="published", detail=f"{row.source}, {row.as_of}")
            key = (row.region, row.service, row.name)
            table[key] = (*table.get(key, ()), Tier(from_quantity=row.from_quantity, rate=rate))
        return {key: tuple(sorted(tiers, key=lambda tier: tier.from_quantity)) for key, tiers in table.items()}

    @cached_property
    def _allowances(self) -> dict[tuple[str, str], Allowance]:
        rows = (msgspec.convert(row, Allowance, strict=False) for row in self._read("allowances.csv"))
        return {(row.service, row.name): row for row in rows}

    def _read(self, name: str) -> Iterator[dict[str, str]]:
        with (self._path / name).open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)


@lru_cache(maxsize=1)
def load_prices() -> PriceBook:
    """The snapshot that ships."""
    return PriceBook()
