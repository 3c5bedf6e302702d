"""SageMaker's own items: instances by the hour, serverless by the second, data and storage by the gigabyte."""

from __future__ import annotations

from cost_model.billing.month import Month
from cost_model.components import SHORTEST_HOURS, Component, component
from cost_model.prices.book import PriceBook
from rerank_toolkit.contracts.usage import Async, Batch, Data, ProvisionedConcurrency, Realtime, Serverless, Storage


def realtime(item: Realtime, region: str, prices: PriceBook, month: Month) -> list[Component]:
    """Endpoint instances and their volumes."""
    return _endpoint(item, region, prices, month)


def async_(item: Async, region: str, prices: PriceBook, month: Month) -> list[Component]:
    """The same, but without the free tier: what is published of it names real-time hours only."""
    return _endpoint(item, region, prices, None)


def _endpoint(item: Realtime, region: str, prices: PriceBook, month: Month | None) -> list[Component]:
    return [
        *_instance_hours("Hosting", item, region, prices, month),
        component(
            "Endpoint storage",
            item.storage_gb_month,
            prices.rate(region, "sagemaker", "endpoint-storage"),
            unit="GB-month",
        ),
    ]


def batch(item: Batch, region: str, prices: PriceBook, month: Month) -> list[Component]:
    return _instance_hours("Job", item, region, prices, None)


def serverless(item: Serverless, region: str, prices: PriceBook, month: Month) -> list[Component]:
    paid, lines = month.take_free("sagemaker", "serverless", item.seconds)
    rate = prices.serverless(region, item.memory_mb)
    return [*lines, component(f"Processing, {item.memory_mb} MB", paid, rate, unit="second")]


def provisioned_concurrency(
    item: ProvisionedConcurrency, region: str, prices: PriceBook, month: Month
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


def data(item: Data, region: str, prices: PriceBook, month: Month) -> list[Component]:
    return [
        component("Data in", item.gb_in, prices.rate(region, "sagemaker", "data-in"), unit="GB"),
        component("Data out", item.gb_out, prices.rate(region, "sagemaker", "data-out"), unit="GB"),
    ]


def storage(item: Storage, region: str, prices: PriceBook, month: Month) -> list[Component]:
    rate = prices.rate(region, "sagemaker", "endpoint-storage")
    return [component("Endpoint storage", item.gb_month, rate, unit="GB-month")]


def _instance_hours(
    what: str, item: Realtime | Batch, region: str, prices: PriceBook, month: Month | None
) -> list[Component]:
    name = f"{what}, {item.instance}"
    hours = item.hours
    if 0 < hours < SHORTEST_HOURS:
        hours = SHORTEST_HOURS
        name += ", the one-minute minimum"
    paid = item.instances * hours
    lines: list[Component] = []
    if month is not None:
        paid, lines = month.take_free("sagemaker", "hosting", paid, instance=item.instance)
    return [*lines, component(name, paid, prices.hosting(region, item.instance), unit="hour")]
