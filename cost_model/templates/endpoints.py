"""The bill of an endpoint: its instances between the bounds that scale it, its provisioned units, its volumes.

An endpoint names its configuration, which names the instances; what scales them names the endpoint. What these tell
together stands with the endpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from cost_model.components import MONTH_HOURS
from cost_model.prices.book import InstanceUse, PriceBook, Unknown
from cost_model.templates.charges import Charge, by_use, fixed, unpriced
from cost_model.templates.intrinsics import referenced
from cost_model.templates.properties import Properties
from cost_model.templates.template import Resource
from rerank_toolkit.contracts.faults import Fault

ENDPOINT, CONFIG = "AWS::SageMaker::Endpoint", "AWS::SageMaker::EndpointConfig"
SCALABLE_TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
UNITS = "sagemaker:variant:DesiredProvisionedConcurrency"

Count = Decimal | Unknown


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How many of something there are, at least and at most."""

    least: Count
    most: Count

    def times(self, factor: int) -> Bounds:
        least, most = (bound if isinstance(bound, Unknown) else bound * factor for bound in (self.least, self.most))
        return Bounds(least=least, most=most)

    @property
    def shown(self) -> str:
        """Such as "2" or "1 to 4"."""
        if isinstance(self.least, Unknown) or isinstance(self.most, Unknown):
            return "?"
        return f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    """What scales a variant."""

    variant: str
    dimension: str | Unknown
    bounds: Bounds


def endpoint_charges(
    name: str, resources: Mapping[str, Resource], region: str, prices: PriceBook, faults: list[Fault]
) -> Iterator[Charge]:
    """Of the endpoint with that logical id; what is malformed is added to `faults`."""
    endpoint = Properties.of(name, resources[name], faults)
    config = _config(endpoint, resources, faults)
    if isinstance(config, Unknown):
        yield unpriced("Instances", config.reason)
        return
    use: InstanceUse = "async" if config.has("AsyncInferenceConfig") else "hosting"
    targets = [*_targets(name, endpoint, resources, faults)]
    for key, shadow in (("ProductionVariants", False), ("ShadowProductionVariants", True)):
        variants = config.parts(key)
        if isinstance(variants, Unknown):
            yield unpriced(key, variants.reason)
            continue
        for variant in variants:
            yield from _variant(variant, targets, region, prices, use, shadow=shadow)
    for what, rate in (("Data in", "data-in"), ("Data out", "data-out")):
        yield by_use(what, prices.rate(region, "sagemaker", rate), unit="GB")


def _config(endpoint: Properties, resources: Mapping[str, Resource], faults: list[Fault]) -> Properties | Unknown:
    """The configuration that an endpoint names, by reference or by its name."""
    name = endpoint.text("EndpointConfigName")
    if isinstance(name, Unknown):
        return name
    meant = referenced(name)
    for logical_id, resource in resources.items():
        if resource.type == CONFIG and (logical_id == meant or resource.properties.get("EndpointConfigName") == name):
            return Properties.of(logical_id, resource, faults)
    return Unknown(f"its configuration {name} is not in this template")


def _targets(
    name: str, endpoint: Properties, resources: Mapping[str, Resource], faults: list[Fault]
) -> Iterator[_Target]:
    """What scales this endpoint's variants: its ResourceId is endpoint/NAME/variant/VARIANT."""
    called = endpoint.text("EndpointName", default="")
    for logical_id, resource in resources.items():
        if resource.type != SCALABLE_TARGET:
            continue
        target = Properties.of(logical_id, resource, faults)
        scaled = target.text("ResourceId")
        match [] if isinstance(scaled, Unknown) else scaled.split("/"):
            case ["endpoint", meant, "variant", variant] if referenced(meant) == name or meant == called:
                dimension = target.text("ScalableDimension")
                yield _Target(variant=variant, dimension=dimension, bounds=_bounds(target))


def _bounds(target: Properties) -> Bounds:
    """Those of the target, and what its scheduled actions widen them to."""
    least, most = [target.whole("MinCapacity")], [target.whole("MaxCapacity")]
    actions = target.parts("ScheduledActions")
    for action in [actions] if isinstance(actions, Unknown) else actions:
        bounds = action if isinstance(action, Unknown) else action.part("ScalableTargetAction")
        if isinstance(bounds, Unknown):
            return Bounds(least=bounds, most=bounds)
        if bounds is not None:
            least += [bounds.whole("MinCapacity")] if bounds.has("MinCapacity") else []
            most += [bounds.whole("MaxCapacity")] if bounds.has("MaxCapacity") else []
    return Bounds(least=_furthest(least, lowest=True), most=_furthest(most, lowest=False))


def _furthest(bounds: Sequence[Count], *, lowest: bool) -> Count:
    known = [bound for bound in bounds if not isinstance(bound, Unknown)]
    unknown = next((bound for bound in bounds if isinstance(bound, Unknown)), None)
    return unknown or (min(known) if lowest else max(known))


def _variant(
    variant: Properties, targets: Sequence[_Target], region: str, prices: PriceBook, use: InstanceUse, *, shadow: bool
) -> Iterator[Charge]:
    name = variant.text("VariantName", default="AllTraffic")
    scaled = {target.dimension: target.bounds for target in targets if target.variant == name}
    said = "" if name == "AllTraffic" else f"{name}{' (shadow)' if shadow else ''}: "
    serverless = variant.part("ServerlessConfig")
    if isinstance(serverless, Unknown):
        yield unpriced(f"{said}processing", serverless.reason)
    elif serverless is not None:
        yield from _serverless(serverless, scaled.get(UNITS), region, prices, said)
    else:
        yield from _instances(variant, scaled.get(INSTANCES), region, prices, use, said=said)


def _instances(
    variant: Properties, scaled: Bounds | None, region: str, prices: PriceBook, use: InstanceUse, *, said: str
) -> Iterator[Charge]:
    instance = variant.text("InstanceType")
    bounds = scaled or _fleet(variant)
    if isinstance(instance, Unknown):
        yield unpriced(f"{said}instances", instance.reason)
        return
    hours = bounds.times(MONTH_HOURS)
    shown = f"{said}{instance}, {bounds.shown} × {MONTH_HOURS} hours"
    yield fixed(shown, hours.least, hours.most, prices.hosting(region, instance, use), unit="hour")
    if not variant.has("VolumeSizeInGB"):
        return
    gigabytes = variant.whole("VolumeSizeInGB")
    if isinstance(gigabytes, Unknown):
        yield unpriced(f"{said}volumes", gigabytes.reason)
        return
    kept = bounds.times(int(gigabytes))
    rate = prices.rate(region, "sagemaker", "endpoint-storage")
    yield fixed(f"{said}volumes, {bounds.shown} × {gigabytes} GB", kept.least, kept.most, rate, unit="GB-month")


def _fleet(variant: Properties) -> Bounds:
    """Of a variant that no target scales: its count, or the bounds between which SageMaker manages it."""
    managed = variant.part("ManagedInstanceScaling")
    if isinstance(managed, Unknown):
        return Bounds(least=managed, most=managed)
    if managed is not None and managed.text("Status", default="") == "ENABLED":
        open_ended = Unknown("ManagedInstanceScaling has no MaxInstanceCount")
        most = managed.whole("MaxInstanceCount") if managed.has("MaxInstanceCount") else open_ended
        return Bounds(least=managed.whole("MinInstanceCount", default=1), most=most)
    count = variant.whole("InitialInstanceCount", default=1)
    return Bounds(least=count, most=count)


def _serverless(
    config: Properties, scaled: Bounds | None, region: str, prices: PriceBook, said: str
) -> Iterator[Charge]:
    memory = config.whole("MemorySizeInMB")
    if isinstance(memory, Unknown):
        yield unpriced(f"{said}processing", memory.reason)
        return
    size = int(memory)
    units = scaled
    if units is None and config.has("ProvisionedConcurrency"):
        count = config.whole("ProvisionedConcurrency")
        units = Bounds(least=count, most=count)
    if units is not None:
        seconds = units.times(MONTH_HOURS * 3600)
        kept = f"{said}provisioned concurrency, {units.shown} × {size} MB"
        rate = prices.provisioned_concurrency(region, "usage", size)
        yield fixed(kept, seconds.least, seconds.most, rate, unit="second")
        on_units = prices.provisioned_concurrency(region, "duration", size)
        yield by_use(f"{said}processing on provisioned units, {size} MB", on_units, unit="second")
    yield by_use(f"{said}processing, {size} MB", prices.serverless(region, size), unit="second")
