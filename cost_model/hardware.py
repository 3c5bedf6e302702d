"""Peak arithmetic of a machine: the yardstick by which a measured speed is carried to another.

Every figure stands in hardware.toml with its source; what is assumed is in its own table there.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from cost_model.prices.book import Unknown
from rerank_toolkit.catalog.instances import Instance, load_instances
from rerank_toolkit.contracts.manifest import Dtype, Engine
from rerank_toolkit.contracts.profile import Hardware

TABLE = Path(__file__).with_name("hardware.toml")

ARM_SETS = frozenset({"neon", "sve_bf16"})


class MeasuredCpu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cpu_model: str
    instruction_set: str
    fp32_gflops_per_core: float
    source: str


class Gpu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    reported: list[str] = []
    fp16_tflops: float
    basis: Literal["published", "recalled"]


class Assumed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    two_thread_speedup: float
    gpu_derating: float
    serverless_vcpu_per_gb: float
    serverless_vcpu_per_gb_interval: tuple[float, float]
    serverless_instruction_set: str
    serverless_clock_mhz: float
    runtime_mib: float


class HardwareTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    flops_per_cycle: dict[str, int]
    gain_of_16_bits: dict[str, float]
    measured_cpu: list[MeasuredCpu]
    gpu: list[Gpu]
    assumed: Assumed


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """What one server process can at most compute, and how that was worked out."""

    gflops: float
    formula: str


@cache
def load_hardware() -> HardwareTable:
    return msgspec.toml.decode(TABLE.read_bytes(), type=HardwareTable)


def effective_cores(cores: float) -> float:
    """Cores that n cores are worth to one process: Amdahl's law through the measured speed-up of two threads.

    With s on two, the serial share is f = 2/s - 1, and n cores are worth 1 / (f + (1 - f) / n); below one core
    the share of the core itself.
    """
    if cores <= 1:
        return cores
    serial = 2 / load_hardware().assumed.two_thread_speedup - 1
    return 1 / (serial + (1 - serial) / cores)


def cpu_peak(cores: float, clock_mhz: float, instruction_set: str) -> Peak:
    """The fp32 peak of so many cores in one process."""
    per_cycle = load_hardware().flops_per_cycle[instruction_set]
    return Peak(
        gflops=effective_cores(cores) * clock_mhz / 1000 * per_cycle,
        formula=f"{_cores(cores)} × {clock_mhz / 1000:g} GHz × {per_cycle} fp32 FLOP/cycle ({instruction_set})",
    )


def instance_peak(instance: Instance) -> Peak | Unknown:
    """The peak of one server process on the type: fp16 of one GPU, or fp32 of all cores.

    Unknown, with its reason, for accelerators without an engine, burstable types and GPUs without a known peak.
    """
    if instance.kind == "accelerator":
        return Unknown(f"no engine here runs on {instance.accelerator}", "no engine here runs on its accelerator")
    if instance.gpu is not None:
        return _gpu_peak(instance.gpu)
    if instance.family.startswith("t"):
        return Unknown("burstable: its sustained share of a core is not in the catalogue")
    if instance.cpu_clock_mhz is None:
        return Unknown("its clock is not in the catalogue")
    return cpu_peak(instance.cores[0], instance.cpu_clock_mhz, instance.instruction_set)


def cpu_dtype(engine: Engine, instruction_set: str) -> Dtype:
    """What an engine computes in on such a CPU: OpenVINO in bf16 or, on Arm, fp16 where it can, else all in fp32."""
    if engine != "openvino" or instruction_set not in load_hardware().gain_of_16_bits:
        return "fp32"
    return "fp16" if instruction_set in ARM_SETS else "bf16"


def in_dtype(peak: Peak, dtype: Dtype, instruction_set: str) -> Peak:
    """A CPU's fp32 peak as that of `dtype`: fp32, or what `cpu_dtype` says of the set."""
    if dtype == "fp32":
        return peak
    gain = load_hardware().gain_of_16_bits[instruction_set]
    return Peak(gflops=peak.gflops * gain, formula=f"{peak.formula} × {gain:g} ({dtype})")


def serverless_peak(memory_mb: int, vcpu_per_gb: float | None = None) -> Peak:
    """The assumed peak of a serverless memory size."""
    assumed = load_hardware().assumed
    share = assumed.serverless_vcpu_per_gb if vcpu_per_gb is None else vcpu_per_gb
    vcpu = memory_mb / 1024 * share
    peak = cpu_peak(vcpu / 2, assumed.serverless_clock_mhz, assumed.serverless_instruction_set)
    return Peak(gflops=peak.gflops, formula=f"assumed {vcpu:g} vCPU = {peak.formula}")


def profile_peak(hardware: Hardware, cores: int) -> Peak | Unknown:
    """The peak (of a CPU in fp32) of the machine a profile was measured on, for a server on so many of its cores."""
    if hardware.gpu is not None:
        return _gpu_peak(hardware.gpu)
    used = min(cores, hardware.physical_cores)
    for cpu in load_hardware().measured_cpu:
        if (cpu.cpu_model, cpu.instruction_set) == (hardware.cpu_model, hardware.instruction_set):
            return Peak(
                gflops=effective_cores(used) * cpu.fp32_gflops_per_core,
                formula=f"{_cores(used)} × {cpu.fp32_gflops_per_core:g} fp32 GFLOPS (measured)",
            )
    clocks = [
        instance.cpu_clock_mhz
        for instance in load_instances().values()
        if instance.cpu_clock_mhz
        and (instance.instance == hardware.instance or instance.cpu_model == hardware.cpu_model)
    ]
    if not clocks or hardware.instruction_set not in load_hardware().flops_per_cycle:
        return Unknown(f"no clock is known of the CPU {hardware.cpu_model} ({hardware.instruction_set})")
    return cpu_peak(used, max(clocks), hardware.instruction_set)


def _gpu_peak(name: str) -> Peak | Unknown:
    """Of one GPU, derated: a server process uses one."""
    for gpu in load_hardware().gpu:
        if name in (gpu.name, *gpu.reported):
            derating = load_hardware().assumed.gpu_derating
            return Peak(
                gflops=gpu.fp16_tflops * 1000 * derating,
                formula=f"one {gpu.name} × {gpu.fp16_tflops:g} fp16 TFLOPS ({gpu.basis}) × {derating:g} (assumed)",
            )
    return Unknown(f"no fp16 peak is known of the GPU {name}", "no fp16 peak is known of its GPU")


def _cores(cores: float) -> str:
    worth = effective_cores(cores)
    count = f"{cores:g} core{'s' if cores > 1 else ''}"
    return count if cores <= 1 else f"{count} (worth {worth:.2f})"
