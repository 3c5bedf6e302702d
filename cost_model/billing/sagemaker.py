"""SageMaker's own items: instances by the hour, serverless by the second, data and storage by the gigabyte."""

from __future__ import annotations

from typing import Literal

from cost_model.billing.agreements import software_line
from cost_model.billing.month import Month
from cost_model.components import SHORTEST_HOURS, Component, component
from cost_model.prices.book import PriceBook
from rerank_toolkit.contracts.usage import Async, Batch, Data, ProvisionedConcurrency, Realtime, Serverless, Storage


def realtime(item: Realtime, region: str, prices: PriceBook, month: Month) -> list[Component]:
    """Endpoint instances and their volumes."""
    return _endpoint("realtime", item, region, prices, month)


def async_(item: Async, region: str, prices: PriceBook, month: Month) -> list[Component]:
    """The same at the same rate, but without the free tier: what is published of it names real-time hours only."""
    return _endpoint("async", item, region, prices, month)


def batch(item: Batch, region: str, prices: PriceBook, month: Month) -> list[Component]:
    """Jobs, by the hour at the hosting rate."""
    return _instance_hours("batch", item, region, prices, month)


def _endpoint(
    kind: Literal["realtime", "async"], item: Realtime, region: str, prices: PriceBook, month: Month
) -> list[Component]:
    rate = prices.rate(region, "sagemaker", "endpoint-storage")
    return [
        *_instance_hours(kind, item, region, prices, month),
        component("Endpoint storage", item.storage_gb_month, rate, unit="GB-month"),
    ]


def serverless(item: Serverless, region: str, prices: PriceBook, month: Month) -> list[Component]:
    paid, lines = month.take_free("sagemaker", "serverless", item.seconds)
    rate = prices.serverless(region, item.memory_mb)
    line = component(f"Processing, {item.memory_mb} MB", paid, rate, unit="second")
    return [*lines, line, *month.discount("serverless", region, str(item.memory_mb), line)]


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
    kind: Literal["realtime", "async", "batch"], item: Realtime | Batch, region: str, prices: PriceBook, month: Month
) -> list[Component]:
    """By the second, and a minute at least, whatever the kind; then what is agreed beside the list price."""
    name = f"{'Job' if kind == 'batch' else 'Hosting'}, {item.instance}"
    hours = item.hours
    if 0 < hours < SHORTEST_HOURS:
        hours = SHORTEST_HOURS
        name += ", the one-minute minimum"
    used = paid = item.instances * hours
    lines: list[Component] = []
    if kind == "realtime":
        paid, lines = month.take_free("sagemaker", "hosting", used, instance=item.instance)
    rate = prices.hosting(region, item.instance, "hosting" if kind == "realtime" else kind)
    line = component(name, paid, rate, unit="hour")
    software = software_line(used, item.software_usd_per_hour, item.instance)
    return [
        *lines,
        line,
        *month.discount(kind, region, item.instance, line),
        *([software] if software else []),
    ]
