"""Peak arithmetic and memory bandwidth of a machine: the yardsticks by which a measured speed is carried to another.

Every figure stands in hardware.toml with its source; what is assumed is in its own table there. What a peak leaves
uncertain are its causes: each says how much less or more time a request could take than by the peak alone.
"""

from __future__ import annotations

import re
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

Interval = tuple[float, float]


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class MeasuredCpu(_Row, frozen=True, kw_only=True):
    cpu_model: str
    instruction_set: str
    fp32_gflops_per_core: float
    source: str


class Socket(_Row, frozen=True, kw_only=True):
    generation: str
    gb_s: float
    cores: int
    basis: Literal["published", "recalled"]


class Gpu(_Row, frozen=True, kw_only=True):
    name: str
    reported: list[str] = []
    fp16_tflops: float
    basis: Literal["published", "recalled"]
    gb_s: float
    gb_s_basis: str


class Accelerator(_Row, frozen=True, kw_only=True):
    name: str
    fp16_tflops: float
    gb_s: float
    basis: str


class Assumed(_Row, frozen=True, kw_only=True):
    two_thread_speedup: float
    two_process_speedup: float
    gpu_derating: float
    gpu_derating_interval: Interval
    share_of_peak_elsewhere: Interval
    share_of_products: float
    clock_under_load: float
    cores_per_channel: float
    cores_per_channel_interval: Interval
    serverless_vcpu_per_gb: float
    serverless_vcpu_per_gb_interval: Interval
    serverless_instruction_set: str
    serverless_clock_mhz: float
    model_by_flops: float


class HardwareTable(_Row, frozen=True, kw_only=True):
    flops_per_cycle: dict[str, int]
    gain_of_16_bits: dict[str, float]
    gain_of_16_bits_interval: dict[str, Interval]
    gain_of_8_bits: dict[str, float]
    measured_cpu: list[MeasuredCpu]
    socket: list[Socket]
    gpu: list[Gpu]
    accelerator: list[Accelerator]
    assumed: Assumed


class Cause(msgspec.Struct, frozen=True):
    """Something that a scaled time leaves uncertain, and between which factors of that time."""

    name: str
    fast: float
    """At most 1."""
    slow: float
    """At least 1."""


class Bandwidth(msgspec.Struct, frozen=True, kw_only=True):
    """Of memory, GB/s for each core while all are at work; of a GPU for the whole."""

    gb_s: float
    low: float
    high: float
    basis: str


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """What one server can at most compute, and how that was worked out."""

    gflops: float
    """Of all cores, an engine on each, or of one GPU."""
    formula: str
    core_gflops: float
    """Of one core, or of the GPU."""
    cores: float = 1.0
    """Physical; a part of one where no more is given."""
    on_gpu: bool = False
    bandwidth: Bandwidth | None = None
    """None where nothing is known of it."""
    causes: tuple[Cause, ...] = ()

    def times(self, gain: float, what: str, *causes: Cause) -> Peak:
        """The peak in numbers of which it computes `gain` times as many."""
        return msgspec.structs.replace(
            self,
            gflops=self.gflops * gain,
            core_gflops=self.core_gflops * gain,
            formula=f"{self.formula} × {gain:g} ({what})",
            causes=(*self.causes, *causes),
        )


@cache
def load_hardware() -> HardwareTable:
    return msgspec.toml.decode(TABLE.read_bytes(), type=HardwareTable)


def effective_cores(cores: float, speedup_of_two: float | None = None) -> float:
    """What n cores are worth to one process of as many threads: Amdahl's law through what two were measured to do.

    With a speed-up of s on two, the serial share is f = 2/s - 1, and n cores are worth 1 / (f + (1 - f) / n); below
    one core the share of the core itself.
    """
    if cores <= 1:
        return cores
    serial = 2 / (speedup_of_two or load_hardware().assumed.two_thread_speedup) - 1
    return 1 / (serial + (1 - serial) / cores)


def engines_on(cores: float, engine: Engine) -> int:
    """Engines that the container starts on so many cores: one a core of openvino, one on all of torch.

    Memory may allow fewer (`cost_model.memory.workers_that_fit`).
    """
    return max(1, int(cores)) if engine == "openvino" else 1


def engine_worth(cores: float, engines: int) -> float:
    """Cores that each of `engines` on `cores` is worth while all of them work."""
    threads = cores / engines
    alone = effective_cores(threads)
    return alone * load_hardware().assumed.two_process_speedup / 2 if engines > 1 else alone


def many_cores(engines: int) -> list[Cause]:
    """What is uncertain of more than two processes on one machine: at worst they follow Amdahl's law."""
    if engines <= 2:
        return []
    assumed = load_hardware().assumed
    worst = effective_cores(engines, assumed.two_process_speedup)
    usual = engines * assumed.two_process_speedup / 2
    return [Cause("more than two engines at work", assumed.two_process_speedup / 2, usual / worst)]


def cpu_peak(
    cores: float,
    clock_mhz: float,
    instruction_set: str,
    *,
    causes: tuple[Cause, ...] = (),
    bandwidth: Bandwidth | None = None,
) -> Peak:
    """The fp32 peak of so many cores, an engine on each."""
    per_cycle = load_hardware().flops_per_cycle[instruction_set]
    return _cpu_peak(
        cores,
        clock_mhz / 1000 * per_cycle,
        f"{clock_mhz / 1000:g} GHz × {per_cycle} fp32 FLOP/cycle ({instruction_set})",
        causes=causes,
        bandwidth=bandwidth,
    )


def _cpu_peak(
    cores: float, core_gflops: float, of_one: str, *, causes: tuple[Cause, ...], bandwidth: Bandwidth | None
) -> Peak:
    engines = engines_on(cores, "openvino")
    worth = engines * engine_worth(cores, engines)
    count = f"{cores:g} core{'s' if cores > 1 else ''}"
    return Peak(
        gflops=worth * core_gflops,
        formula=f"{count}{f' (worth {worth:.2f})' if cores > 1 else ''} × {of_one}",
        core_gflops=core_gflops,
        cores=cores,
        bandwidth=bandwidth,
        causes=causes,
    )


def instance_peak(instance: Instance) -> Peak | Unknown:
    """The peak of one server on the type: fp16 of one GPU, or fp32 of all cores.

    Unknown, with its reason, for accelerators without an engine, burstable types and GPUs without a known peak.
    """
    if instance.accelerator is not None:
        device = accelerator_peak(instance.accelerator)
        said = device.formula if isinstance(device, Peak) else instance.accelerator
        return Unknown(f"no engine here runs on {said}", "no engine here runs on its accelerator")
    if instance.gpu is not None:
        return gpu_peak(instance.gpu)
    if instance.family.startswith("t"):
        return Unknown("burstable: its sustained share of a core is not in the catalogue")
    if instance.cpu_clock_mhz is None:
        return Unknown("its clock is not in the catalogue")
    return cpu_peak(
        instance.cores[0],
        instance.cpu_clock_mhz,
        instance.instruction_set,
        causes=_clock(instance),
        bandwidth=_bandwidth(instance),
    )


def _clock(instance: Instance) -> tuple[Cause, ...]:
    """The catalogue's clock is the highest; the one kept under load stands in many a CPU's name, as in "@ 2.90GHz"."""
    if instance.architecture == "arm64" or instance.cpu_clock_mhz is None:
        return ()
    kept = re.search(r"@ ([\d.]+)GHz", instance.cpu_model or "")
    factor = instance.cpu_clock_mhz / (1000 * float(kept[1])) if kept else load_hardware().assumed.clock_under_load
    return (Cause("its clock under load", 1.0, factor),) if factor > 1 else ()


def _bandwidth(instance: Instance) -> Bandwidth | None:
    for socket in load_hardware().socket:
        if instance.instruction_set_basis.startswith(socket.generation):
            each = socket.gb_s / socket.cores
            return Bandwidth(gb_s=each, low=each, high=2 * each, basis=f"{socket.generation}, {socket.basis}")
    if instance.ddr_mhz is None:
        return None
    assumed = load_hardware().assumed
    channel = instance.ddr_mhz * 8 / 1000  # 64 bits at each transfer
    few, many = assumed.cores_per_channel_interval
    return Bandwidth(
        gb_s=channel / assumed.cores_per_channel,
        low=channel / many,
        high=channel / few,
        basis=f"a channel of {channel:g} GB/s for {assumed.cores_per_channel:g} cores (assumed)",
    )


def cpu_dtype(engine: Engine, instruction_set: str) -> Dtype:
    """What an engine computes in on such a CPU: OpenVINO in bf16 or, on Arm, fp16 where it can, else all in fp32."""
    if engine != "openvino" or instruction_set not in load_hardware().gain_of_16_bits:
        return "fp32"
    return "fp16" if instruction_set in ARM_SETS else "bf16"


def in_dtype(peak: Peak, dtype: Dtype, instruction_set: str) -> Peak:
    """A CPU's fp32 peak as that of `dtype`: fp32, what `cpu_dtype` says of the set, or int8 where it has VNNI.

    Raises KeyError for a dtype that the set doesn't compute in.
    """
    if dtype == "fp32":
        return peak
    table = load_hardware()
    if dtype == "int8":
        gain, least, most = table.gain_of_8_bits[instruction_set], 1.0, 1.0
    else:
        gain = table.gain_of_16_bits[instruction_set]
        least, most = (bound / gain for bound in table.gain_of_16_bits_interval[instruction_set])
    if least == most == 1:
        return peak.times(gain, dtype)
    products = table.assumed.share_of_products
    fast = 1 - products + products / most
    return peak.times(gain, dtype, Cause(f"{dtype} on {instruction_set}, which was not measured", fast, 1 / least))


def serverless_peak(memory_mb: int, vcpu_per_gb: float | None = None) -> Peak:
    """The assumed peak of a serverless memory size."""
    assumed = load_hardware().assumed
    usual = assumed.serverless_vcpu_per_gb
    share = usual if vcpu_per_gb is None else vcpu_per_gb
    low, high = assumed.serverless_vcpu_per_gb_interval
    vcpu = memory_mb / 1024 * share
    peak = cpu_peak(
        vcpu / 2,
        assumed.serverless_clock_mhz,
        assumed.serverless_instruction_set,
        causes=(Cause(f"{low:g} to {high:g} vCPU per GB", usual / high, usual / low),),
    )
    return msgspec.structs.replace(peak, formula=f"assumed {vcpu:g} vCPU = {peak.formula}")


def profile_peak(hardware: Hardware, cores: int) -> Peak | Unknown:
    """The peak (of a CPU in fp32) of the machine a profile was measured on, for a server on so many of its cores."""
    if hardware.gpu is not None:
        return gpu_peak(hardware.gpu)
    used = min(cores, hardware.physical_cores)
    for cpu in load_hardware().measured_cpu:
        if (cpu.cpu_model, cpu.instruction_set) == (hardware.cpu_model, hardware.instruction_set):
            each = cpu.fp32_gflops_per_core
            return _cpu_peak(used, each, f"{each:g} fp32 GFLOPS (measured)", causes=(), bandwidth=None)
    clocks = [
        instance.cpu_clock_mhz
        for instance in load_instances().values()
        if instance.cpu_clock_mhz
        and (instance.instance == hardware.instance or instance.cpu_model == hardware.cpu_model)
    ]
    if not clocks or hardware.instruction_set not in load_hardware().flops_per_cycle:
        return Unknown(f"no clock is known of the CPU {hardware.cpu_model} ({hardware.instruction_set})")
    return cpu_peak(used, max(clocks), hardware.instruction_set)


def gpu_peak(name: str) -> Peak | Unknown:
    """Of one GPU in fp16, a server process using one; `name` is the catalogue's or what torch reports."""
    for gpu in load_hardware().gpu:
        if name in (gpu.name, *gpu.reported):
            return _device_peak(gpu.name, gpu.fp16_tflops, gpu.basis, gpu.gb_s, gpu.gb_s_basis)
    return Unknown(f"no fp16 peak is known of the GPU {name}", "no fp16 peak is known of its GPU")


def accelerator_peak(name: str) -> Peak | Unknown:
    """Of one Inferentia or Trainium device, by the catalogue's name. What it says is what an engine there could do."""
    for device in load_hardware().accelerator:
        if name == device.name:
            return _device_peak(name, device.fp16_tflops, device.basis, device.gb_s, device.basis)
    return Unknown(f"no peak is known of the accelerator {name}", "no peak is known of its accelerator")


def _device_peak(name: str, tflops: float, basis: str, gb_s: float, gb_s_basis: str) -> Peak:
    return Peak(
        gflops=tflops * 1000,
        formula=f"one {name}: {tflops:g} fp16 TFLOPS ({basis}), {gb_s:g} GB/s ({gb_s_basis})",
        core_gflops=tflops * 1000,
        on_gpu=True,
        bandwidth=Bandwidth(gb_s=gb_s, low=gb_s, high=gb_s, basis=gb_s_basis),
    )
