"""The places that a model could run on: endpoint types, serverless sizes, and their like outside SageMaker.

A host is a size with its memory, its peak and its rates by region. What a deployment on it costs depends on the mode
too (cost_model/modes). What lacks a price or a peak is left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from cost_model.hardware import Peak, cpu_peak, instance_peak, load_hardware, serverless_peak
from cost_model.prices.book import PriceBook, Rate, Unknown
from rerank_toolkit.catalog.instances import Instance, load_instances
from rerank_toolkit.catalog.limits import load_limits

ELSEWHERE = Path(__file__).with_name("elsewhere.toml")

Service = Literal["instance", "serverless", "lambda", "fargate", "azure-container-apps", "azure-functions", "cloud-run"]
Kind = Literal["cpu", "gpu", "serverless", "elsewhere"]


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """What can't be ranked; without `model` it is so for every model."""

    option: dict[str, Any]
    why: Unknown


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A size to run on, with its peak and what it costs in each region asked for."""

    service: Service
    instance: Instance | None = None
    vcpu: float | None = None
    """Outside SageMaker: what is billed as such."""
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    memory_mb: int
    """Of memory that there is, in MiB."""
    instruction_set: str
    """Of its CPU; where no type says it, the assumed."""
    peak: Peak
    rates: dict[str, Rate] = {}
    """By region, of an instance an hour and of serverless a second. Elsewhere a bill has several (billing)."""
    regions: frozenset[str] = frozenset()
    """Of those asked for, where it has a price."""

    @property
    def kind(self) -> Kind:
        if self.instance is None:
            return "serverless" if self.service == "serverless" else "elsewhere"
        return "gpu" if self.instance.kind == "gpu" else "cpu"

    @property
    def label(self) -> str:
        if self.instance:
            return self.instance.instance
        gigabytes = f"{self.memory_mb / 1024:g} GB"
        if self.service == "serverless":
            return f"serverless {gigabytes}"
        arm = " arm" if self.architecture == "arm64" else ""
        cores = f"{self.vcpu:g} vCPU " if self.service in BY_VCPU else ""
        return f"{NAMES[self.service]} {cores}{gigabytes}{arm}"

    @property
    def option(self) -> dict[str, Any]:
        """What names it, in JSON."""
        if self.instance:
            return {"instance": self.instance.instance}
        named: dict[str, Any] = {"memory_mb": self.memory_mb}
        if self.service in BY_VCPU:
            named["vcpu"] = self.vcpu
        if self.architecture != "x86_64":
            named["architecture"] = self.architecture
        return named


NAMES: Mapping[Service, str] = {
    "lambda": "Lambda",
    "fargate": "Fargate",
    "azure-container-apps": "Container Apps",
    "azure-functions": "Azure Functions",
    "cloud-run": "Cloud Run",
}
BY_VCPU: frozenset[Service] = frozenset({"fargate", "azure-container-apps", "cloud-run"})


class Size(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A size of a service outside SageMaker."""

    vcpu: float
    memory_mb: int


class Offer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a service outside SageMaker offers: a row of elsewhere.toml."""

    service: Service
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    vcpus_per_core: int
    instruction_set: str
    clock_mhz: float
    rates: list[str]
    """Names of the rates that its bill can't do without."""
    sizes: list[Size]
    basis: str


def find_hosts(
    prices: PriceBook,
    regions: str | Sequence[str],
    *,
    services: Iterable[Service] = ("instance", "serverless"),
    instances: str = "*",
) -> tuple[list[Host], list[LeftOut]]:
    """The priced sizes of these services; of instances the types that match the glob.

    A size that is priced in some of several regions is a host there, and left out in the others.
    """
    asked = (regions,) if isinstance(regions, str) else tuple(regions)
    hosts: list[Host] = []
    left_out: list[LeftOut] = []
    for service in dict.fromkeys(services):
        if service == "instance":
            found = _instances(prices, asked, instances)
        elif service == "serverless":
            found = _serverless(prices, asked)
        else:
            found = _elsewhere(prices, asked, service)
        for one in found:
            (hosts if isinstance(one, Host) else left_out).append(one)  # type: ignore[arg-type]
    return hosts, left_out


def _instances(prices: PriceBook, regions: Sequence[str], pattern: str) -> Iterator[Host | LeftOut]:
    for name, instance in load_instances().items():
        if not fnmatchcase(name, pattern):
            continue
        if not instance.endpoint:
            yield LeftOut(option={"instance": name}, why=Unknown("no endpoint accepts it"))
            continue
        peak = instance_peak(instance)
        rates: dict[str, Rate] = {}
        for region in regions:
            rate = _sound(prices.hosting(region, name))
            if isinstance(rate, Unknown):
                yield LeftOut(option={"instance": name, "region": region}, why=rate)
            else:
                rates[region] = rate
        if rates and isinstance(peak, Unknown):
            yield LeftOut(option={"instance": name}, why=peak)
        elif rates and isinstance(peak, Peak):
            yield Host(
                service="instance",
                instance=instance,
                architecture=instance.architecture,
                memory_mb=instance.memory_mib,
                instruction_set=instance.instruction_set,
                peak=peak,
                rates=rates,
                regions=frozenset(rates),
            )


def _serverless(prices: PriceBook, regions: Sequence[str]) -> Iterator[Host | LeftOut]:
    for size in load_limits().serverless.memory_mb:
        rates: dict[str, Rate] = {}
        for region in regions:
            rate = _sound(prices.serverless(region, size))
            if isinstance(rate, Unknown):
                yield LeftOut(option={"mode": "serverless", "memory_mb": size, "region": region}, why=rate)
            else:
                rates[region] = rate
        if rates:
            yield Host(
                service="serverless",
                memory_mb=size,
                instruction_set=load_hardware().assumed.serverless_instruction_set,
                peak=serverless_peak(size),
                rates=rates,
                regions=frozenset(rates),
            )


def _elsewhere(prices: PriceBook, regions: Sequence[str], service: Service) -> Iterator[Host | LeftOut]:
    for offer in load_offers():
        if offer.service != service:
            continue
        priced: set[str] = set()
        for region in regions:
            missing = [rate for name in offer.rates if isinstance(rate := prices.tiers(region, service, name), Unknown)]
            if missing:
                option = {"mode": service, "architecture": offer.architecture, "region": region}
                yield LeftOut(
                    option=option, why=Unknown(missing[0].reason, f"{NAMES[service]} has no known price there")
                )
            else:
                priced.add(region)
        for size in offer.sizes if priced else ():
            yield Host(
                service=service,
                vcpu=size.vcpu,
                architecture=offer.architecture,
                memory_mb=size.memory_mb,
                instruction_set=offer.instruction_set,
                peak=_offered_peak(offer, size),
                regions=frozenset(priced),
            )


def _offered_peak(offer: Offer, size: Size) -> Peak:
    peak = cpu_peak(size.vcpu / offer.vcpus_per_core, offer.clock_mhz, offer.instruction_set)
    return msgspec.structs.replace(peak, formula=f"{size.vcpu:g} vCPU ({offer.basis}) = {peak.formula}")


def _sound(rate: Rate | Unknown) -> Rate | Unknown:
    if isinstance(rate, Rate) and rate.suspect:
        return Unknown(f"its price is suspect: {rate.suspect}", "its price is suspect")
    return rate


@cache
def load_offers() -> tuple[Offer, ...]:
    """The sizes outside SageMaker."""

    class Table(msgspec.Struct, forbid_unknown_fields=True):
        offers: list[Offer]

    return tuple(msgspec.toml.decode(ELSEWHERE.read_bytes(), type=Table).offers)
