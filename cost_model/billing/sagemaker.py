"""SageMaker's own items: instances by the hour, serverless by the second, data and storage by the gigabyte."""

from __future__ import annotations

from decimal import Decimal

from cost_model.billing.free_tier import FreeTier
from cost_model.components import Component, component
from cost_model.prices.book import PriceBook
from rerank_toolkit.contracts.usage import Batch, Data, ProvisionedConcurrency, Realtime, Serverless, Storage

SHORTEST_HOURS = Decimal("0.0166666667")
"""Instances are billed by the second from one minute on."""


def realtime(item: Realtime, region: str, prices: PriceBook, free: FreeTier) -> list[Component]:
    """Endpoint instances and their volumes; async endpoints bill the same."""
    return [
        *_instance_hours("Hosting", item, region, prices, free),
        component(
            "Endpoint storage",
            item.storage_gb_month,
            prices.rate(region, "sagemaker", "endpoint-storage"),
            unit="GB-month",
        ),
    ]


def batch(item: Batch, region: str, prices: PriceBook, free: FreeTier) -> list[Component]:
    return _instance_hours("Job", item, region, prices, None)


def serverless(item: Serverless, region: str, prices: PriceBook, free: FreeTier) -> list[Component]:
    paid, lines = free.take("sagemaker", "serverless", item.seconds)
    rate = prices.serverless(region, item.memory_mb)
    return [*lines, component(f"Processing, {item.memory_mb} MB", paid, rate, unit="second")]


def provisioned_concurrency(
    item: ProvisionedConcurrency, region: str, prices: PriceBook, free: FreeTier
) -> list[Component]:
    """Units kept ready are paid by the second, and processing on them by the second, at its own lower rate."""
    return [
        component(
            f"Provisioned concurrency, {item.memory_mb} MB",
            item.units * item.seconds,
            prices.provisioned_concurrency(region, "usage", item.memory_mb),
            unit="second",
        ),
        component(
            f"Processing on provisioned units, {item.memory_mb} MB",
            item.busy_seconds,
            prices.provisioned_concurrency(region, "duration", item.memory_mb),
            unit="second",
        ),
    ]


def data(item: Data, region: str, prices: PriceBook, free: FreeTier) -> list[Component]:
    return [
        component("Data in", item.gb_in, prices.rate(region, "sagemaker", "data-in"), unit="GB"),
        component("Data out", item.gb_out, prices.rate(region, "sagemaker", "data-out"), unit="GB"),
    ]


def storage(item: Storage, region: str, prices: PriceBook, free: FreeTier) -> list[Component]:
    rate = prices.rate(region, "sagemaker", "endpoint-storage")
    return [component("Endpoint storage", item.gb_month, rate, unit="GB-month")]


def _instance_hours(
    what: str, item: Realtime | Batch, region: str, prices: PriceBook, free: FreeTier | None
) -> list[Component]:
    name = f"{what}, {item.instance}"
    hours = item.hours
    if 0 < hours < SHORTEST_HOURS:
        hours = SHORTEST_HOURS
        name += ", the one-minute minimum"
    paid = item.instances * hours
    lines: list[Component] = []
    if free is not None:
        paid, lines = free.take("sagemaker", "hosting", paid, instance=item.instance)
    return [*lines, component(name, paid, prices.hosting(region, item.instance), unit="hour")]
