"""Every resource of a template with its charges."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec

from cost_model.components import MONTH_HOURS
from cost_model.prices.book import PriceBook, Rate, Unknown
from cost_model.templates.charges import Billed, Charge, by_use, fixed, unpriced
from cost_model.templates.endpoints import ENDPOINT, endpoint_charges
from cost_model.templates.intrinsics import Resolver
from cost_model.templates.properties import Properties
from cost_model.templates.template import Resource, Template
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

TABLE = Path(__file__).with_name("resources.toml")

HIGH_RESOLUTION_S = 60
"""An alarm of a shorter period has a price of its own."""

EMF_INTERVAL = "RERANK_EMF_INTERVAL_S"

_INSTANCE = re.compile(r'"InstanceType"\s*:\s*"(ml\.[\w.]+)"')


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    unit: str
    rate: tuple[str, str]
    quantity: Decimal | None = None
    """Units a month; None: as many as are used."""


class _Charged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: str
    charges: list[_Line]


class _Free(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    types: list[str]
    why: str


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    charged: list[_Charged]
    free: list[_Free]


@cache
def _table() -> tuple[Mapping[str, list[_Line]], frozenset[str]]:
    """The lines of each type that has some, and the types that are free of charge."""
    table = msgspec.toml.decode(TABLE.read_bytes(), type=_Table)
    return (
        {charged.type: charged.charges for charged in table.charged},
        frozenset(name for free in table.free for name in free.types),
    )


def bill_template(template: Template, prices: PriceBook) -> list[Billed]:
    """Its resources that are to be, in its order. Raises InvalidInput with every fault of the template."""
    resolver = Resolver(template)
    resources = resolver.resources()
    faults = resolver.faults
    if template.region not in prices.regions:
        known = ", ".join(prices.regions)
        faults.append(Fault("region", f"is {template.region!r}; prices are known in {known}", "unknown_region"))
    billed = [
        Billed(
            stack=template.stack,
            id=name,
            type=resource.type,
            charges=tuple(_charges(name, resources, template.region, prices, faults)),
        )
        for name, resource in resources.items()
    ]
    if faults:
        raise InvalidInput(template.source, list(dict.fromkeys(faults)))
    return billed


def _charges(
    name: str, resources: Mapping[str, Resource], region: str, prices: PriceBook, faults: list[Fault]
) -> Iterator[Charge]:
    resource = resources[name]
    if resource.type == ENDPOINT:
        yield from endpoint_charges(name, resources, region, prices, faults)
        return
    lines, free = _table()
    if (own := OWN.get(resource.type)) is not None:
        yield from own(Properties.of(name, resource, faults), region, prices)
    elif resource.type in lines:
        yield from _by_table(lines[resource.type], region, prices)
    elif resource.type not in free:
        yield unpriced(resource.type, "what it is charged for is not known here")


def _by_table(lines: Sequence[_Line], region: str, prices: PriceBook) -> Iterator[Charge]:
    for line in lines:
        rate = _first_tier(prices, region, *line.rate)
        if line.quantity is None:
            yield by_use(line.name, rate, unit=line.unit)
        else:
            yield fixed(line.name, line.quantity, line.quantity, rate, unit=line.unit)


def _first_tier(prices: PriceBook, region: str, service: str, name: str) -> Rate | Unknown:
    tiers = prices.tiers(region, service, name)
    return tiers if isinstance(tiers, Unknown) else tiers[0].rate


def _alarm(alarm: Properties, region: str, prices: PriceBook) -> Iterator[Charge]:
    """One that looks at an expression is charged for each of its metrics."""
    metrics = alarm.parts("Metrics")
    if isinstance(metrics, Unknown):
        yield unpriced("Alarm", metrics.reason)
        return
    stats = [metric.part("MetricStat") for metric in metrics if metric.has("MetricStat")] or [alarm]
    periods = [stat.whole("Period", default=HIGH_RESOLUTION_S) for stat in stats if isinstance(stat, Properties)]
    fast = any(not isinstance(period, Unknown) and period < HIGH_RESOLUTION_S for period in periods)
    rate = _first_tier(prices, region, "cloudwatch", "alarm-high-resolution" if fast else "alarm")
    count = Decimal(len(stats))
    name = "Alarm" if len(stats) == 1 else f"Alarm on {len(stats)} metrics"
    yield fixed(f"{name}{', high resolution' if fast else ''}", count, count, rate, unit="alarm-month")


def _vpc_endpoint(endpoint: Properties, region: str, prices: PriceBook) -> Iterator[Charge]:
    """An interface endpoint is charged by the hour in each zone; a gateway endpoint is free of charge."""
    if endpoint.text("VpcEndpointType", default="Gateway") == "Gateway":
        return
    zones = endpoint.count("SubnetIds")
    rate = _first_tier(prices, region, "vpc", "interface-endpoint")
    hours = zones if isinstance(zones, Unknown) else zones * MONTH_HOURS
    yield fixed("Interface endpoint, in each zone", hours, hours, rate, unit="hour")
    yield by_use("Data through it", _first_tier(prices, region, "vpc", "interface-endpoint-data"), unit="GB")


def _state_machine(machine: Properties, region: str, prices: PriceBook) -> Iterator[Charge]:
    """Its transitions, and the instances of the jobs that its definition starts."""
    yield by_use("Transitions", _first_tier(prices, region, "stepfunctions", "transitions"), unit="transition")
    definition = machine.text("DefinitionString", default="")
    if isinstance(definition, Unknown):
        yield unpriced("Jobs", definition.reason)
        return
    for instance in dict.fromkeys(_INSTANCE.findall(definition)):
        yield by_use(f"Jobs on {instance}", prices.hosting(region, instance, "batch"), unit="hour")


def _model(model: Properties, region: str, prices: PriceBook) -> Iterator[Charge]:
    """What runs is billed with the endpoint, but not a seller's software; metrics that the container writes into its
    log are CloudWatch's."""
    container = model.part("PrimaryContainer")
    if isinstance(container, Properties) and container.has("ModelPackageName"):
        yield unpriced("Marketplace software", "what the seller asks by the hour is not in the template")
    environment = container.part("Environment") if isinstance(container, Properties) else None
    if isinstance(environment, Properties) and environment.text(EMF_INTERVAL, default="0") not in ("0", "0.0"):
        rate = _first_tier(prices, region, "cloudwatch", "custom-metric")
        yield by_use("Metrics of the container", rate, unit="metric-month")


OWN: Mapping[str, Callable[[Properties, str, PriceBook], Iterator[Charge]]] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::EC2::VPCEndpoint": _vpc_endpoint,
    "AWS::SageMaker::Model": _model,
    "AWS::StepFunctions::StateMachine": _state_machine,
}
