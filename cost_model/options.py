"""The deployments that could be: every model on every endpoint type and serverless size, with price and speed.

A candidate carries all that its cost and response time follow from. What lacks a price, a speed or the memory is
not a candidate but left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from cost_model.hardware import Peak, cpu_dtype, in_dtype, instance_peak, load_hardware, serverless_peak
from cost_model.memory import memory_needed
from cost_model.prices.book import PriceBook, Rate, Unknown
from cost_model.service_time import MeasuredModel, Speed, find_speed
from cost_model.workload import Workload
from rerank_toolkit.catalog.instances import Instance, load_instances
from rerank_toolkit.catalog.limits import RequestLimits, load_limits
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.manifest import Dtype

Mode = Literal["realtime", "serverless"]
MODES: tuple[Mode, ...] = ("realtime", "serverless")


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """What can't be ranked; without `model` it is so for every model."""

    option: dict[str, Any]
    why: Unknown


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A place to run on, with its price and peak."""

    mode: Mode
    instance: Instance | None = None
    memory_mb: int
    """Of memory that there is, in MiB."""
    rate: Rate
    peak: Peak

    @property
    def kind(self) -> Literal["cpu", "gpu", "serverless"]:
        if self.instance is None:
            return "serverless"
        return "gpu" if self.instance.kind == "gpu" else "cpu"

    @property
    def instruction_set(self) -> str:
        """Of its CPU; of a serverless one the assumed."""
        return self.instance.instruction_set if self.instance else load_hardware().assumed.serverless_instruction_set

    @property
    def label(self) -> str:
        return self.instance.instance if self.instance else f"serverless {self.memory_mb // 1024} GB"

    @property
    def limits(self) -> RequestLimits:
        """Of size and time, of a request."""
        limits = load_limits()
        return limits.serverless if self.mode == "serverless" else limits.realtime

    @property
    def option(self) -> dict[str, Any]:
        place = {"instance": self.instance.instance} if self.instance else {"memory_mb": self.memory_mb}
        return {"mode": self.mode, **place}


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    model: Model
    host: Host
    dtype: Dtype
    speed: Speed
    ratio: float
    """Compute seconds here over those on the measured machine."""
    memory_needed: float
    basis: str
    """How the speed is known, then a colon and the particulars. It is always read off a law: interpolated on the
    machine that was measured and scaled elsewhere, and beyond the measured cells extrapolated."""


def find_hosts(
    prices: PriceBook, region: str, *, modes: Iterable[Mode] = MODES, instances: str = "*"
) -> tuple[list[Host], list[LeftOut]]:
    """The priced endpoint types that match the glob, and the serverless sizes, of the region."""
    hosts: list[Host] = []
    left_out: list[LeftOut] = []
    if "realtime" in modes:
        for name, instance in load_instances().items():
            if not fnmatchcase(name, instances):
                continue
            rate = prices.hosting(region, name)
            found = _host(rate, instance_peak(instance)) if instance.endpoint else Unknown("no endpoint accepts it")
            if isinstance(found, Unknown):
                left_out.append(LeftOut(option={"mode": "realtime", "instance": name}, why=found))
                continue
            rate, peak = found
            hosts.append(Host(mode="realtime", instance=instance, memory_mb=instance.memory_mib, rate=rate, peak=peak))
    if "serverless" in modes and instances == "*":
        for size in load_limits().serverless.memory_mb:
            rate = prices.serverless(region, size)
            found = _host(rate, serverless_peak(size))
            if isinstance(found, Unknown):
                left_out.append(LeftOut(option={"mode": "serverless", "memory_mb": size}, why=found))
                continue
            rate, peak = found
            hosts.append(Host(mode="serverless", memory_mb=size, rate=rate, peak=peak))
    return hosts, left_out


def _host(rate: Rate | Unknown, peak: Peak | Unknown) -> tuple[Rate, Peak] | Unknown:
    if isinstance(rate, Unknown):
        return rate
    if rate.suspect:
        return Unknown(f"its price is suspect: {rate.suspect}", "its price is suspect")
    if isinstance(peak, Unknown):
        return peak
    return rate, peak


def find_candidates(
    models: Sequence[Model], hosts: Sequence[Host], workload: Workload, measured: Sequence[MeasuredModel]
) -> tuple[list[Candidate], list[LeftOut]]:
    """Every model on every host that has the memory, in the order given."""
    candidates: list[Candidate] = []
    left_out: list[LeftOut] = []
    profiled = frozenset(one.profile.hardware.instance for one in measured)
    for model in models:
        speeds: dict[tuple[str | None, bool], Speed | Unknown] = {}
        for host in hosts:
            gpu = host.kind == "gpu"
            name = host.instance.instance if host.instance and host.instance.instance in profiled else None
            if (name, gpu) not in speeds:
                speeds[name, gpu] = find_speed(model, workload, measured, instance=name, gpu=gpu)
            found = _candidate(model, host, speeds[name, gpu], workload)
            if isinstance(found, Unknown):
                left_out.append(LeftOut(option={"model": model.id, **host.option}, why=found))
            else:
                candidates.append(found)
    return candidates, left_out


def _candidate(model: Model, host: Host, speed: Speed | Unknown, workload: Workload) -> Candidate | Unknown:
    if isinstance(speed, Unknown):
        return speed
    limit = host.limits
    if workload.request_bytes > limit.payload_bytes:
        return Unknown(f"a request is larger than the {limit.payload_mb} MB that {host.mode} takes")
    profile = speed.measured.profile
    on_gpu = host.kind == "gpu"
    dtype: Dtype = "fp16" if on_gpu else cpu_dtype(profile.engine, host.instruction_set)
    memory, memory_basis = memory_needed(model, dtype, speed)
    if memory > host.memory_mb:
        return Unknown(f"out of memory: needs {memory:.0f} MiB ({memory_basis}), has {host.memory_mb}", "out of memory")
    if host.instance and (profile.model_id, profile.hardware.instance) == (model.id, host.instance.instance):
        ratio, basis = 1.0, f"{'extrapolated' if speed.beyond else 'interpolated'}: the law of {speed.note}"
    else:
        peak = host.peak if on_gpu else in_dtype(host.peak, dtype, host.instruction_set)
        ratio = speed.work_ratio * speed.measured.peak.gflops / peak.gflops
        basis = _scaled(host, speed, peak, ratio)
    seconds = speed.moments.compute_s * ratio
    if seconds > limit.timeout_s:
        return Unknown(
            f"a request would take {seconds:.0f} s; {host.mode} ends one after {limit.timeout_s} s",
            "a request would take longer than the endpoint's time limit",
        )
    return Candidate(
        model=model,
        host=host,
        dtype=dtype,
        speed=speed,
        ratio=ratio,
        memory_needed=memory,
        basis="; ".join(filter(None, [basis, speed.beyond, speed.part, f"memory: {memory_basis}"])),
    )


def _scaled(host: Host, speed: Speed, peak: Peak, ratio: float) -> str:
    work = "" if speed.work_ratio == 1 else f"{speed.work_ratio:.3g} (FLOPs of the models) × "
    peaks = f"{ratio / speed.work_ratio:.3g} (peaks: {speed.measured.peak.formula} to {peak.formula})"
    word = "scaled, extrapolated" if speed.beyond else "scaled"
    basis = f"{word}: {ratio:.3g} × the compute time of {speed.note} = {work}{peaks}"
    if host.mode == "realtime":
        return basis
    low, high = load_hardware().assumed.serverless_vcpu_per_gb_interval
    slow, fast = (
        speed.moments.compute_s * ratio * host.peak.gflops / serverless_peak(host.memory_mb, share).gflops
        for share in (low, high)
    )
    return f"{basis}; with {low:g} to {high:g} vCPU per GB a request computes for {fast:.2g} to {slow:.2g} s; warm only"
