"""An inference component: what its copies have for themselves, and whether an instance has it."""

from __future__ import annotations

from collections.abc import Iterator

from infra.inference_component import reserved_mb
from rerank_toolkit.catalog.instances import Instance, UnknownInstance, find_instance
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment


def check_inference_component(deployment: Deployment, field: str) -> Iterator[Fault]:
    if deployment.count < 1:
        yield Fault(
            f"{field}.count",
            f"is {deployment.count}; SageMaker creates a component with at least 1 copy, which scaling may take away",
        )
    least = load_limits().endpoint.component_memory_mb
    reserved, need = reserved_mb(deployment), deployment.expected.memory_mib
    if reserved is None:
        yield Fault(
            f"{field}.memory_mb",
            "is missing, and expected.memory_mib too; a copy reserves memory, so one of them has to say how much",
        )
    elif need is not None and reserved < need:
        yield Fault(f"{field}.memory_mb", f"is {reserved}, but the server needs {need:,.0f} MiB; reserve that")
    elif reserved < least:
        yield Fault(f"{field}.memory_mb", f"is {reserved}; SageMaker reserves at least {least} MB for a copy")
    try:
        instance = find_instance(deployment.instance or "")
    except UnknownInstance:
        return  # a fault of its own
    yield from _check_shares(deployment, instance, field)


def _check_shares(deployment: Deployment, instance: Instance, field: str) -> Iterator[Fault]:
    copies, name = deployment.copies_per_instance, instance.instance
    if instance.gpu_count:
        if instance.gpu_count % copies:
            yield Fault(
                f"{field}.copies_per_instance",
                f"is {copies}; the {instance.gpu_count} of {name} go to copies as whole GPUs, in equal shares",
            )
        return
    least = load_limits().endpoint.component_cpu_cores
    if instance.vcpu / copies < least:
        yield Fault(
            f"{field}.copies_per_instance",
            f"is {copies}, which leaves each {instance.vcpu / copies:g} of the {instance.vcpu} vCPUs of {name}; "
            f"SageMaker gives a copy at least {least:g}",
        )
    # With expected.memory_mib unknown, what is reserved tells.
    if deployment.memory_mb is not None and deployment.memory_mb * copies > instance.memory_mib:
        yield Fault(
            f"{field}.memory_mb",
            f"is {deployment.memory_mb} for each of {copies} on {name}, which has {instance.memory_mib:,} MiB in all",
        )
