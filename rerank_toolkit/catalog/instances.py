"""The instance types that SageMaker hosts models on: instances.csv, typed.

An empty cell is an unknown and becomes None. The instruction set is that of the least CPU in the family, because a
family may mix generations and an endpoint can't choose; `instruction_set_basis` says how it is known.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

TABLE = Path(__file__).with_name("instances.csv")

InstructionSet = Literal["avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx", "neon", "sve_bf16"]

BF16_INSTRUCTION_SETS: frozenset[str] = frozenset({"avx512_bf16", "amx", "sve_bf16"})
"""CPUs that multiply bf16 in hardware; elsewhere a bf16 model is emulated and slower than fp32."""

VNNI_INSTRUCTION_SETS: frozenset[str] = frozenset({"avx512_vnni", "avx512_bf16", "amx"})
"""CPUs that multiply 8-bit numbers into 32-bit sums; older ones add pairs in 16 bits first, which overflow."""

GPUS_WITHOUT_BF16: frozenset[str] = frozenset({"NVIDIA T4 Tensor Core"})
"""Turing has no bf16 arithmetic; every later architecture has."""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One hosted type, and what an endpoint on it can count on."""

    instance: str
    architecture: Literal["x86_64", "arm64"]
    vcpu: int
    memory_mib: int
    instruction_set: InstructionSet
    instruction_set_basis: str
    local_nvme: bool
    """With local NVMe storage, an endpoint configuration must not name a KMS key."""
    endpoint: bool
    """Accepted by an endpoint configuration."""
    transform: bool
    """Accepted by a batch transform job."""
    regions: tuple[str, ...]
    """Of the regions whose prices are known: those where hosting on it is offered."""
    physical_cores: int | None = None
    cpu_model: str | None = None
    cpu_clock_mhz: int | None = None
    ddr_mhz: int | None = None
    l3_mb: float | None = None
    coremark: int | None = None
    network_mbps: int | None = None
    gpu: str | None = None
    gpu_count: int | None = None
    gpu_memory_mib: int | None = None
    """Of each GPU."""
    accelerator: str | None = None
    accelerator_count: int | None = None

    @property
    def family(self) -> str:
        return self.instance.split(".")[1]

    @property
    def kind(self) -> Literal["cpu", "gpu", "accelerator"]:
        if self.gpu:
            return "gpu"
        return "accelerator" if self.accelerator else "cpu"

    @property
    def cores(self) -> tuple[int, str]:
        """Physical cores and how the number is known: hyper-threads are not cores."""
        if self.physical_cores is not None:
            return self.physical_cores, "published"
        if self.architecture == "arm64":
            return self.vcpu, "a Graviton vCPU is a core"
        return max(1, self.vcpu // 2), "assumed two threads a core"


@cache
def load_instances() -> dict[str, Instance]:
    """All hosted types by name, such as ml.c7i.xlarge."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    instances = [
        msgspec.convert({**row, "regions": row.get("regions", "").split()}, Instance, strict=False) for row in rows
    ]
    return {instance.instance: instance for instance in instances}


class UnknownInstance(LookupError):
    """No hosted type has this name."""

    def __init__(self, name: str) -> None:
        family = name.rpartition(".")[0]
        near = [known for known in load_instances() if family and known.startswith(f"{family}.")]
        hint = (
            f"known of this family are {', '.join(near)}"
            if near
            else "`rerank cost prices show` lists those of a region"
        )
        super().__init__(f"no hosted instance type is called {name!r}; {hint}")


def find_instance(name: str) -> Instance:
    """The type called `name`; raises UnknownInstance."""
    try:
        return load_instances()[name]
    except KeyError:
        raise UnknownInstance(name) from None
