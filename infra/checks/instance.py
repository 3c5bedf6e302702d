"""The instance type: whether SageMaker has it there, and whether the engine runs on it."""

from __future__ import annotations

from collections.abc import Iterator

from infra.served import Served, is_package
from rerank_toolkit.catalog.instances import (
    BF16_INSTRUCTION_SETS,
    GPUS_WITHOUT_BF16,
    VNNI_INSTRUCTION_SETS,
    Instance,
    UnknownInstance,
    find_instance,
    load_instances,
)
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Mode


def check_instance(served: Served, mode: Mode, region: str, field: str) -> Iterator[Fault]:
    """Of a mode on instances."""
    if served.instance is None:
        yield Fault(f"{field}.instance", f"is missing; mode {mode} runs on an instance type such as ml.c7i.xlarge")
        return
    try:
        instance = find_instance(served.instance)
    except UnknownInstance as error:
        yield Fault(f"{field}.instance", str(error))
        return
    if mode == "batch" and not instance.transform:
        yield Fault(f"{field}.instance", f"is {instance.instance}, which SageMaker does not take for transform jobs")
    if mode != "batch" and not instance.endpoint:
        yield Fault(f"{field}.instance", f"is {instance.instance}, which SageMaker does not take for endpoints")
    if region in _known_regions() and region not in instance.regions:
        offered = ", ".join(instance.regions) or "in none that we know"
        yield Fault(
            f"{field}.instance", f"is {instance.instance}, which is not offered in {region}; offered in {offered}"
        )
    if not is_package(served):
        yield from _check_precision(served, instance, field)


def _known_regions() -> set[str]:
    return {region for instance in load_instances().values() for region in instance.regions}


def _check_precision(served: Served, instance: Instance, field: str) -> Iterator[Fault]:
    name, engine, dtype = instance.instance, served.engine, served.dtype
    if instance.kind == "accelerator":
        yield Fault(
            f"{field}.instance", f"is {name} with {instance.accelerator}, on which no engine of this version runs"
        )
        return
    if engine == "openvino" and instance.kind == "gpu":
        yield Fault(f"{field}.engine", f"is openvino, which leaves the GPU of {name} idle; expected torch")
    if engine == "torch" and dtype == "int8":
        yield Fault(
            f"{field}.dtype",
            "is int8, which engine torch does not run; expected fp32, bf16 or fp16, or engine openvino",
        )
    if instance.kind == "gpu":
        if dtype == "bf16" and instance.gpu in GPUS_WITHOUT_BF16:
            yield Fault(
                f"{field}.dtype", f"is bf16, which the {instance.gpu} of {name} does not compute; expected fp16 or fp32"
            )
    elif engine == "torch" and dtype == "bf16" and instance.instruction_set not in BF16_INSTRUCTION_SETS:
        # openvino computes in fp32 there, from the same weights.
        yield Fault(
            f"{field}.dtype",
            f"is bf16, but {name} is sure to have {instance.instruction_set} only, which emulates it; expected fp32",
        )
    elif engine == "openvino" and dtype == "int8" and instance.instruction_set not in VNNI_INSTRUCTION_SETS:
        yield Fault(
            f"{field}.dtype",
            f"is int8, but {name} is sure to have {instance.instruction_set} only, without VNNI; expected bf16",
        )
    elif dtype == "fp16" and instance.architecture != "arm64":
        yield Fault(
            f"{field}.dtype", f"is fp16, which the x86 CPU of {name} emulates; expected fp32, or bf16 where it has it"
        )
