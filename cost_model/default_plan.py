"""infra/default_plan.json: a CPU and a GPU endpoint for every reranker, on the cheapest type that will do.

    python -m cost_model.default_plan [--out FILE]

The rules are for a start, not for a workload: `rerank cost compare` chooses for one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal

import cyclopts
import msgspec

from cost_model.components import MONTH_HOURS, component
from cost_model.hosts import Host, find_hosts
from cost_model.memory import memory_on
from cost_model.options import Candidate, find_candidates
from cost_model.plan_parts import (
    artifact_of,
    expected_memory_mib,
    expected_start_s,
    image_of,
    settings_of,
    start_basis,
    startup_timeout_s,
)
from cost_model.prices.book import PriceBook, Rate, Unknown, shipped_prices
from cost_model.service_time import PROFILES, MeasuredModel, load_profiles
from cost_model.workload import read_workload
from rerank_toolkit.catalog.instances import VNNI_INSTRUCTION_SETS, Instance, load_instances
from rerank_toolkit.catalog.models import Model, load_models
from rerank_toolkit.contracts.documents import encode, write
from rerank_toolkit.contracts.errors import NothingMeetsConstraints
from rerank_toolkit.contracts.manifest import Dtype, Engine
from rerank_toolkit.contracts.plan import Deployment, Expectation, Plan

REGION = "us-east-1"

CPU_RULE = "cheapest x86_64 type with AVX-512 VNNI, at least 4 vCPUs and 8 GiB, without a GPU or accelerator"
GPU_RULE = "cheapest type with one NVIDIA GPU of at least 16 GiB and compute capability 7.5 to 8.9"

TENSOR_CORE_GPUS = frozenset({"NVIDIA T4 Tensor Core", "NVIDIA A10G", "NVIDIA L4", "NVIDIA L40S"})
"""Of compute capability 7.5, 8.6, 8.9 and 8.9, which every current GPU build of torch supports."""


def meets_cpu_rule(instance: Instance) -> bool:
    return (
        instance.kind == "cpu"
        and instance.architecture == "x86_64"
        and instance.instruction_set in VNNI_INSTRUCTION_SETS
        and instance.vcpu >= 4
        and instance.memory_mib >= 8 * 1024
    )


def meets_gpu_rule(instance: Instance) -> bool:
    return instance.gpu in TENSOR_CORE_GPUS and instance.gpu_count == 1 and (instance.gpu_memory_mib or 0) >= 16 * 1024


def cheapest(prices: PriceBook, region: str, rule: Callable[[Instance], bool]) -> tuple[Instance, Rate]:
    """The cheapest endpoint type in the region that the rule accepts, with its hourly rate.

    A suspect price is no price. Equal prices go to the name that sorts first. Raises NothingMeetsConstraints.
    """
    priced = [
        (rate.usd, name, instance, rate)
        for name, instance in load_instances().items()
        if instance.endpoint
        and rule(instance)
        and not isinstance(rate := prices.hosting(region, name), Unknown)
        and not rate.suspect
    ]
    if not priced:
        raise NothingMeetsConstraints(f"no priced endpoint type in {region} meets the default plan's rule")
    _, _, instance, rate = min(priced, key=lambda row: row[:2])
    return instance, rate


def default_plan(prices: PriceBook | None = None) -> Plan:
    """Two deployments a model, in the catalogue's order; without `prices` by those that ship, as the plan does."""
    prices = prices or shipped_prices()
    measured, _ = load_profiles((PROFILES,))
    cpu, gpu = (_place(prices, rule, measured) for rule in (meets_cpu_rule, meets_gpu_rule))
    deployments: list[Deployment] = []
    for model in load_models().values():
        deployments.append(_deployment(model, "Cpu", "openvino", "bf16", cpu))
        deployments.append(_deployment(model, "Gpu", "torch", "fp16", gpu))
    return Plan(
        id="default",
        region=REGION,
        price_date=prices.origin(REGION).as_of,
        workload=f"none: one instance, always on. CPU: {CPU_RULE}. GPU: {GPU_RULE}",
        deployments=deployments,
    )


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where all models of a kind are put."""

    instance: Instance
    rate: Rate
    host: Host
    measured: Sequence[MeasuredModel]

    def candidate(self, model: Model, engine: Engine) -> Candidate:
        """The model there, with memory for documents as long as it reads.

        How long it starts follows from its speed, which is that for the workload that is taken where none is given.
        """
        found, left_out = find_candidates(
            [model], [self.host], read_workload(), self.measured, engines=[engine], dtypes=("fp32", "bf16", "fp16")
        )
        if not found:
            reasons = "; ".join(item.why.reason for item in left_out)
            raise NothingMeetsConstraints(f"{model.id} does not run on {self.instance.instance}: {reasons}")
        candidate, peak = found[0], self.host.peak
        memory = memory_on(
            model,
            engine,
            candidate.dtype,
            cores=1.0 if peak.on_gpu else peak.cores,
            memory_mb=self.host.memory_mb,
            longest_tokens=model.max_tokens,
        )
        return msgspec.structs.replace(candidate, memory=memory)


def _place(prices: PriceBook, rule: Callable[[Instance], bool], measured: Sequence[MeasuredModel]) -> _Place:
    instance, rate = cheapest(prices, REGION, rule)
    hosts, _ = find_hosts(prices, REGION, services=["instance"], instances=instance.instance)
    return _Place(instance=instance, rate=rate, host=hosts[0], measured=measured)


def _deployment(model: Model, suffix: Literal["Cpu", "Gpu"], engine: Engine, dtype: Dtype, place: _Place) -> Deployment:
    instance, rate = place.instance, place.rate
    candidate = place.candidate(model, engine)
    hours = component(f"{instance.instance}, 1 × {MONTH_HOURS} hours", Decimal(MONTH_HOURS), rate)
    line = hours.as_cost_line()
    return Deployment(
        stack=f"{model.stack}{suffix}",
        model=model.id,
        artifact=artifact_of(candidate),
        image=image_of(place.host),
        engine=engine,
        dtype=dtype,
        mode="realtime",
        instance=instance.instance,
        count=1,
        startup_timeout_s=startup_timeout_s(candidate, "realtime"),
        environment=settings_of(candidate, "realtime").to_environment(),
        expected=Expectation(
            memory_mib=expected_memory_mib(candidate),
            start_s=expected_start_s(candidate),
            monthly_cost=line.cost if line else None,
            cost_components=[line] if line else [],
            basis=f"cost: {hours.basis}; speed: unknown, no workload was given; memory of {model.max_tokens:,} "
            f"tokens a document: {candidate.memory.basis}; {start_basis(candidate)}",
        ),
    )


def main(*, out: Path | None = None) -> None:
    """Writes the default plan.

    Parameters
    ----------
    out
        File to write; without it the plan goes to stdout.
    """
    plan = default_plan()
    if out is None:
        sys.stdout.buffer.write(encode(plan))
    else:
        write(out, plan)


if __name__ == "__main__":
    cyclopts.run(main)
