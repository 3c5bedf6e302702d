"""The same work outside SageMaker: Lambda, Fargate, Azure, Cloud Run; and what any of it needs beside."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from cost_model.billing.month import Month
from cost_model.components import SHORTEST_HOURS, Component, component
from cost_model.prices.book import PriceBook, Rate, Tier, Unknown
from rerank_toolkit.contracts.usage import (
    AzureContainerApps,
    AzureFunctions,
    CloudRun,
    Fargate,
    Lambda,
    LambdaProvisionedConcurrency,
    Metered,
)

MIB_IN_GB = 1024
SECONDS_IN_HOUR = 3600

FREE_EPHEMERAL_MB = 512
"""Of a Lambda function's /tmp (AWS Lambda pricing page)."""

FREE_EPHEMERAL_GB = 20
"""Of a Fargate task (AWS Fargate pricing page)."""


def lambda_(item: Lambda, region: str, prices: PriceBook, month: Month) -> list[Component]:
    """GB-seconds by tier, and requests. The free tier comes off before the tiers are counted.

    Each architecture has tiers of its own, which fill up over the items of a bill.
    """
    meter = _Meter("lambda", region, prices, month)
    seconds = item.requests * item.seconds_per_request
    gb_seconds = seconds * item.memory_mb / MIB_IN_GB
    ephemeral = seconds * max(item.ephemeral_mb - FREE_EPHEMERAL_MB, 0) / MIB_IN_GB
    rate = prices.rate(region, "lambda", "ephemeral-storage")
    return [
        *meter.lines("Compute", "duration", gb_seconds, "GB-second", rate=f"duration-{item.architecture}"),
        *meter.lines("Requests", "requests", item.requests, "request"),
        component("Ephemeral storage", ephemeral, rate, unit="GB-second"),
    ]


def lambda_provisioned_concurrency(
    item: LambdaProvisionedConcurrency, region: str, prices: PriceBook, month: Month
) -> list[Component]:
    """Units kept ready and the processing on them, both by the GB-second and outside the free tier."""
    gb = Decimal(item.memory_mb) / MIB_IN_GB
    ready = prices.rate(region, "lambda", f"provisioned-concurrency-{item.architecture}")
    busy = prices.rate(region, "lambda", f"provisioned-duration-{item.architecture}")
    return [
        component("Provisioned concurrency", item.units * item.seconds * gb, ready, unit="GB-second"),
        component("Compute on provisioned units", item.busy_seconds * gb, busy, unit="GB-second"),
    ]


def fargate(item: Fargate, region: str, prices: PriceBook, month: Month) -> list[Component]:
    hours = item.tasks * (item.hours if item.hours == 0 else max(item.hours, SHORTEST_HOURS))
    vcpu = prices.rate(region, "fargate", f"vcpu-{item.architecture}")
    memory = prices.rate(region, "fargate", f"memory-{item.architecture}")
    disk = prices.rate(region, "fargate", "ephemeral-storage")
    beyond = max(item.ephemeral_gb - FREE_EPHEMERAL_GB, Decimal(0))
    return [
        _by_time("vCPU", item.vcpu * hours, vcpu, "vCPU-hour"),
        _by_time("Memory", item.memory_gb * hours, memory, "GB-hour"),
        _by_time("Ephemeral storage", beyond * hours, disk, "GB-hour"),
    ]


def azure_functions(item: AzureFunctions, region: str, prices: PriceBook, month: Month) -> list[Component]:
    service = "azure-functions-flex" if item.plan == "flex" else "azure-functions"
    meter = _Meter(service, region, prices, month)
    return [
        *meter.lines("Compute", "duration", item.gb_seconds, "GB-second"),
        *meter.lines("Executions", "executions", item.executions, "execution"),
    ]


def azure_container_apps(item: AzureContainerApps, region: str, prices: PriceBook, month: Month) -> list[Component]:
    idle = prices.rate(region, "azure-container-apps", "vcpu-idle")
    return [
        *_container(_Meter("azure-container-apps", region, prices, month), item),
        component("vCPU, idle", item.idle_vcpu_seconds, idle, unit="vCPU-second"),
    ]


def cloud_run(item: CloudRun, region: str, prices: PriceBook, month: Month) -> list[Component]:
    return _container(_Meter("cloud-run", region, prices, month), item)


def metered(item: Metered, region: str, prices: PriceBook, month: Month) -> list[Component]:
    """Any quantity that has a rate: logs, alarms, queues, images, traffic."""
    return _Meter(item.service, region, prices, month).lines(
        f"{item.service} {item.name}", item.name, item.quantity, ""
    )


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
