"""A usage file priced, item by item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from cost_model.billing import elsewhere, sagemaker
from cost_model.billing.agreements import plan_faults
from cost_model.billing.month import Month
from cost_model.components import Component, is_complete, total
from cost_model.prices.book import PriceBook, Rate, Unknown
from cost_model.shown import Shown
from rerank_toolkit.catalog.instances import UnknownInstance, find_instance
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts import usage
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

Biller = Callable[[Any, str, PriceBook, Month], list[Component]]

BILLERS: Mapping[type[usage.Item], Biller] = {
    usage.Realtime: sagemaker.realtime,
    usage.Async: sagemaker.async_,
    usage.Batch: sagemaker.batch,
    usage.Serverless: sagemaker.serverless,
    usage.ProvisionedConcurrency: sagemaker.provisioned_concurrency,
    usage.Data: sagemaker.data,
    usage.Storage: sagemaker.storage,
    usage.Lambda: elsewhere.lambda_,
    usage.LambdaProvisionedConcurrency: elsewhere.lambda_provisioned_concurrency,
    usage.Fargate: elsewhere.fargate,
    usage.AzureFunctions: elsewhere.azure_functions,
    usage.AzureContainerApps: elsewhere.azure_container_apps,
    usage.CloudRun: elsewhere.cloud_run,
    usage.Metered: elsewhere.metered,
}


class PricedItem(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    components: list[Component]

    @property
    def total(self) -> Decimal:
        return total(self.components)

    @property
    def complete(self) -> bool:
        return is_complete(self.components)


class Estimate(Shown, msgspec.Struct, frozen=True, kw_only=True):
    region: str
    items: list[PricedItem]
    warnings: list[str]

    @property
    def total(self) -> Decimal:
        return sum((item.total for item in self.items), Decimal(0))

    @property
    def complete(self) -> bool:
        """False where a line has no known price: the total is then a lower bound."""
        return all(item.complete for item in self.items)


def estimate(used: usage.Usage, prices: PriceBook, *, name: str = "usage") -> Estimate:
    """The bill of `used`.

    Raises InvalidInput with every item whose instance type, memory size or region is unknown or not offered;
    `name` says whose usage it is. A price that is merely missing makes an unpriced line instead.
    """
    faults = [*_region_faults(used.region, prices)]
    if not faults:
        faults = plan_faults(used.savings_plan, used.region, prices) + [
            fault
            for at, item in enumerate(used.items)
            for fault in _item_faults(f"items[{at}]", item, used.region, prices)
        ]
    if faults:
        raise InvalidInput(name, faults)
    month = Month(prices, free_tier=used.free_tier, savings_plan=used.savings_plan)
    items = [_priced(item, used.region, prices, month) for item in used.items]
    return Estimate(region=used.region, items=items, warnings=[*_warnings(used, prices), *month.warnings])


def _priced(item: usage.Item, region: str, prices: PriceBook, month: Month) -> PricedItem:
    lines = BILLERS[type(item)](item, region, prices, month)
    used = [line for line in lines if line.quantity]
    return PricedItem(kind=str(item.__struct_config__.tag), components=used or lines[:1])


def _region_faults(region: str, prices: PriceBook) -> list[Fault]:
    if region in prices.regions:
        return []
    return [Fault("region", f"is {region!r}; prices are known in {', '.join(prices.regions)}", "unknown_region")]


def _item_faults(field: str, item: usage.Item, region: str, prices: PriceBook) -> list[Fault]:
    match item:
        case usage.Realtime() | usage.Batch():
            try:
                find_instance(item.instance)
            except UnknownInstance as error:
                return [Fault(f"{field}.instance", f"is {item.instance!r}; {error}", "unknown_instance")]
            rate = prices.hosting(region, item.instance)
            if isinstance(rate, Unknown):
                return [Fault(f"{field}.instance", f"is {item.instance!r}; {rate.reason}", "not_offered")]
        case usage.Serverless():
            rate = prices.serverless(region, item.memory_mb)
            if isinstance(rate, Unknown):
                return [Fault(f"{field}.memory_mb", f"is {item.memory_mb}; {rate.reason}", "not_offered")]
        case usage.ProvisionedConcurrency():
            sizes = load_limits().serverless.memory_mb
            if item.memory_mb not in sizes:
                offered = ", ".join(map(str, sizes))
                return [Fault(f"{field}.memory_mb", f"is {item.memory_mb}; sizes are {offered} MB", "not_offered")]
        case usage.Metered():
            known = [(service, name) for service, name in prices.rate_names() if service != "sagemaker"]
            if (item.service, item.name) not in known:
                names = ", ".join(f"{service} {name}" for service, name in known)
                found = f"names {item.service!r} {item.name!r}; rates are known of {names}"
                return [Fault(field, found, "unknown_rate")]
    return []


def _warnings(used: usage.Usage, prices: PriceBook) -> list[str]:
    warnings = []
    for at, item in enumerate(used.items):
        if not isinstance(item, usage.Realtime | usage.Batch):
            continue
        rate = prices.hosting(used.region, item.instance)
        if isinstance(rate, Rate) and rate.suspect:
            warnings.append(f"items[{at}]: the price of {item.instance} in {used.region} is suspect: {rate.suspect}")
        if isinstance(item, usage.Batch) and not find_instance(item.instance).transform:
            warnings.append(
                f"items[{at}]: {item.instance} is no type for batch transform; the hours are priced as another job's"
            )
    return warnings
