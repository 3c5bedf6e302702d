"""The same work outside SageMaker: Lambda, Fargate, Azure, Cloud Run."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from cost_model.billing.month import Month
from cost_model.components import SHORTEST_HOURS, Component, component
from cost_model.prices.book import PriceBook, Rate, Tier, Unknown
from rerank_toolkit.contracts.usage import AzureContainerApps, AzureFunctions, CloudRun, Fargate, Lambda

MIB_IN_GB = 1024
SECONDS_IN_HOUR = 3600


def lambda_(item: Lambda, region: str, prices: PriceBook, month: Month) -> list[Component]:
    """GB-seconds by tier, and requests. The free tier comes off before the tiers are counted.

    Each architecture has tiers of its own, which fill up over the items of a bill.
    """
    meter = _Meter("lambda", region, prices, month)
    gb_seconds = item.requests * item.seconds_per_request * item.memory_mb / MIB_IN_GB
    return [
        *meter.lines("Compute", "duration", gb_seconds, "GB-second", rate=f"duration-{item.architecture}"),
        *meter.lines("Requests", "requests", item.requests, "request"),
    ]


def fargate(item: Fargate, region: str, prices: PriceBook, month: Month) -> list[Component]:
    hours = item.tasks * (item.hours if item.hours == 0 else max(item.hours, SHORTEST_HOURS))
    vcpu = prices.rate(region, "fargate", f"vcpu-{item.architecture}")
    memory = prices.rate(region, "fargate", f"memory-{item.architecture}")
    return [
        _by_time("vCPU", item.vcpu * hours, vcpu, "vCPU-hour"),
        _by_time("Memory", item.memory_gb * hours, memory, "GB-hour"),
    ]


def azure_functions(item: AzureFunctions, region: str, prices: PriceBook, month: Month) -> list[Component]:
    """The consumption plan."""
    meter = _Meter("azure-functions", region, prices, month)
    return [
        *meter.lines("Compute", "duration", item.gb_seconds, "GB-second"),
        *meter.lines("Executions", "executions", item.executions, "execution"),
    ]


def azure_container_apps(item: AzureContainerApps, region: str, prices: PriceBook, month: Month) -> list[Component]:
    return _container(_Meter("azure-container-apps", region, prices, month), item)


def cloud_run(item: CloudRun, region: str, prices: PriceBook, month: Month) -> list[Component]:
    return _container(_Meter("cloud-run", region, prices, month), item)


def _container(meter: _Meter, item: AzureContainerApps | CloudRun) -> list[Component]:
    return [
        *meter.lines("vCPU", "vcpu", item.vcpu_seconds, "vCPU-second"),
        *meter.lines("Memory", "memory", item.gib_seconds, "GiB-second"),
        *meter.lines("Requests", "requests", item.requests, "request"),
    ]


def _by_time(name: str, hours: Decimal, rate: Rate | Unknown, unit: str) -> Component:
    """A quantity in hours at a rate that may be by the hour or by the second."""
    by_second = isinstance(rate, Rate) and rate.unit.endswith("-second")
    return component(name, hours * SECONDS_IN_HOUR if by_second else hours, rate, unit=unit)


@dataclass(frozen=True, slots=True)
class _Meter:
    """Turns a quantity of one service into its free line and a line for each tier that the rest reaches."""

    service: str
    region: str
    prices: PriceBook
    month: Month

    def lines(self, title: str, name: str, quantity: Decimal, unit: str, *, rate: str = "") -> list[Component]:
        """`name` is that of the allowance, and of the rate unless `rate` names it."""
        paid, lines = self.month.take_free(self.service, name, quantity)
        rate = rate or name
        tiers = self.prices.tiers(self.region, self.service, rate)
        if isinstance(tiers, Unknown):
            return [*lines, component(title, paid, tiers, unit=unit)]
        before = self.month.bill(self.service, rate, paid)
        slices = _slices(before, before + paid, tiers)
        for number, part, tier in slices:
            in_tiers = number > 1 or len(slices) > 1
            lines.append(component(f"{title}, tier {number}" if in_tiers else title, part, tier.rate))
        return lines


def _slices(first: Decimal, last: Decimal, tiers: tuple[Tier, ...]) -> list[tuple[int, Decimal, Tier]]:
    """The part of the quantity from `first` to `last` that falls into each tier it reaches, with the tier's number."""
    bounds = [*(tier.from_quantity for tier in tiers), Decimal("Infinity")]
    parts = [
        (number, min(last, end) - max(first, start), tier)
        for number, ((start, end), tier) in enumerate(zip(pairwise(bounds), tiers, strict=True), start=1)
        if min(last, end) > max(first, start)
    ]
    return parts or [(1, Decimal(0), tiers[0])]
