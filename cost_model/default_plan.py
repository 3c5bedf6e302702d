"""infra/default_plan.json: a CPU and a GPU endpoint for every reranker, on the cheapest type that will do.

    python -m cost_model.default_plan [--out FILE]

The rules are for a start, not for a workload: `rerank cost compare` chooses for one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Literal

import cyclopts

from cost_model.components import MONTH_HOURS, component
from cost_model.prices.book import PriceBook, Rate, Unknown, shipped_prices
from rerank_toolkit import __version__
from rerank_toolkit.catalog.instances import VNNI_INSTRUCTION_SETS, Instance, load_instances
from rerank_toolkit.catalog.models import Model, load_models
from rerank_toolkit.contracts.documents import encode, write
from rerank_toolkit.contracts.errors import NothingMeetsConstraints
from rerank_toolkit.contracts.manifest import Dtype, Engine, artifact_name
from rerank_toolkit.contracts.plan import Deployment, Expectation, Image, LocalArtifact, Plan

REGION = "us-east-1"
REPOSITORY = "rerank-toolkit"

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
    cpu = cheapest(prices, REGION, meets_cpu_rule)
    gpu = cheapest(prices, REGION, meets_gpu_rule)
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


def _deployment(
    model: Model, suffix: Literal["Cpu", "Gpu"], engine: Engine, dtype: Dtype, host: tuple[Instance, Rate]
) -> Deployment:
    instance, rate = host
    hours = component(f"{instance.instance}, 1 × {MONTH_HOURS} hours", Decimal(MONTH_HOURS), rate)
    line = hours.as_cost_line()
    return Deployment(
        stack=f"{model.stack}{suffix}",
        model=model.id,
        artifact=LocalArtifact(path=f"artifacts/{artifact_name(model.id, engine, dtype)}"),
        image=Image(repository=REPOSITORY, tag=f"{suffix.lower()}-{__version__}"),
        engine=engine,
        dtype=dtype,
        mode="realtime",
        instance=instance.instance,
        count=1,
        expected=Expectation(
            monthly_cost=line.cost if line else None,
            cost_components=[line] if line else [],
            basis=f"cost: {hours.basis}; speed: unknown, no workload was given",
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
