"""The same work outside SageMaker: Lambda, Fargate, Azure, Cloud Run."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from cost_model.billing.free_tier import FreeTier
from cost_model.components import Component, component
from cost_model.prices.book import PriceBook, Rate, Tier, Unknown
from rerank_toolkit.contracts.usage import AzureContainerApps, AzureFunctions, CloudRun, Fargate, Lambda

MIB_IN_GB = 1024
SECONDS_IN_HOUR = 3600
SHORTEST_TASK_HOURS = Decimal("0.0166666667")
"""Fargate bills Linux tasks by the second from one minute on."""


def lambda_(item: Lambda, region: str, prices: PriceBook, free: FreeTier) -> list[Component]:
    """GB-seconds by tier, and requests. The free tier comes off before the tiers are counted."""
    meter = _Meter("lambda", region, prices, free)
    gb_seconds = item.requests * item.seconds_per_request * item.memory_mb / MIB_IN_GB
    return [
        *meter.lines("Compute", "duration", gb_seconds, "GB-second", rate=f"duration-{item.architecture}"),
        *meter.lines("Requests", "requests", item.requests, "request"),
    ]


def fargate(item: Fargate, region: str, prices: PriceBook, free: FreeTier) -> list[Component]:
    hours = item.tasks * (item.hours if item.hours == 0 else max(item.hours, SHORTEST_TASK_HOURS))
    vcpu = prices.rate(region, "fargate", f"vcpu-{item.architecture}")
    memory = prices.rate(region, "fargate", f"memory-{item.architecture}")
    return [
        _by_time("vCPU", item.vcpu * hours, vcpu, "vCPU-hour"),
        _by_time("Memory", item.memory_gb * hours, memory, "GB-hour"),
    ]


def azure_functions(item: AzureFunctions, region: str, prices: PriceBook, free: FreeTier) -> list[Component]:
    """The consumption plan."""
    meter = _Meter("azure-functions", region, prices, free)
    return [
        *meter.lines("Compute", "duration", item.gb_seconds, "GB-second"),
        *meter.lines("Executions", "executions", item.executions, "execution"),
    ]


def azure_container_apps(item: AzureContainerApps, region: str, prices: PriceBook, free: FreeTier) -> list[Component]:
    return _container(_Meter("azure-container-apps", region, prices, free), item)


def cloud_run(item: CloudRun, region: str, prices: PriceBook, free: FreeTier) -> list[Component]:
    return _container(_Meter("cloud-run", region, prices, free), item)


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
    free: FreeTier

    def lines(self, title: str, name: str, quantity: Decimal, unit: str, *, rate: str = "") -> list[Component]:
        """`name` is that of the allowance, and of the rate unless `rate` names it."""
        paid, lines = self.free.take(self.service, name, quantity)
        tiers = self.prices.tiers(self.region, self.service, rate or name)
        if isinstance(tiers, Unknown):
            return [*lines, component(title, paid, tiers, unit=unit)]
        slices = _slices(paid, tiers)
        for number, (part, tier) in enumerate(slices, start=1):
            lines.append(component(f"{title}, tier {number}" if len(slices) > 1 else title, part, tier.rate))
        return lines


def _slices(quantity: Decimal, tiers: tuple[Tier, ...]) -> list[tuple[Decimal, Tier]]:
    """The part of the quantity that falls into each tier it reaches."""
    bounds = [*(tier.from_quantity for tier in tiers), Decimal("Infinity")]
    parts = [
        (min(quantity, end) - start, tier)
        for (start, end), tier in zip(pairwise(bounds), tiers, strict=True)
        if quantity > start
    ]
    return parts or [(Decimal(0), tiers[0])]
