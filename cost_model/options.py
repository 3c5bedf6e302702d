"""The deployments that could be: every model in every engine and precision on every host, with its speed and memory.

A candidate carries all that its response time follows from; how it is run and what that costs is its mode's
(cost_model/modes). What lacks a speed or the memory is not a candidate but left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from cost_model.hardware import cpu_dtype, in_dtype
from cost_model.hosts import Host, LeftOut, find_hosts
from cost_model.int8 import Int8, find_int8
from cost_model.memory import MemoryNeed, memory_on, workers_started
from cost_model.prices.book import Unknown
from cost_model.scaling import Scaled, measured_here, scale
from cost_model.service_time import MeasuredModel, Speed, find_speed
from cost_model.workload import Workload
from rerank_toolkit.catalog.instances import VNNI_INSTRUCTION_SETS
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.manifest import Dtype, Engine

__all__ = ["Candidate", "Host", "LeftOut", "find_candidates", "find_hosts"]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    model: Model
    host: Host
    engine: Engine
    dtype: Dtype
    """What it computes in there; the artifact of OpenVINO is one for bf16, fp16 and fp32."""
    speed: Speed
    scaled: Scaled
    """Its speed on the host."""
    memory: MemoryNeed
    int8: Int8 | None = None
    """What is known of the model in int8, where that is its dtype."""
    opted_in: bool = True
    """int8 loses a little, so it is compared, and chosen only by whoever asked for it."""

    @property
    def memory_needed(self) -> float:
        """MiB at the peak."""
        return self.memory.mib

    @property
    def workers_fit(self) -> bool:
        """Whether memory has room for as many workers as the container starts by itself."""
        cores = 1.0 if self.host.peak.on_gpu else self.host.peak.cores
        started = workers_started(self.model, self.engine, self.dtype, cores=cores, memory_mb=self.host.memory_mb)
        return self.memory.workers >= started

    @property
    def server_start_s(self) -> float | None:
        """From the start of the server to its first answer, as measured and in proportion to its compute.

        None where no profile tells, and on a GPU where none was measured on one: what a driver takes to load has
        nothing to do with how fast it then computes.
        """
        measured = self.speed.measured
        started = measured.profile.startup_s
        if started is None or (self.host.peak.on_gpu and not measured.peak.on_gpu):
            return None
        return started * self.ratio

    @property
    def ratio(self) -> float:
        """Compute seconds here over those on the measured machine."""
        return self.scaled.ratio

    @property
    def basis(self) -> str:
        """How the speed is known, then a colon and the particulars.

        It is always read off a law: interpolated on the machine that was measured and scaled elsewhere, and beyond
        the measured cells extrapolated.
        """
        parts = [
            self.scaled.basis,
            self.scaled.interval,
            self.scaled.among_others,
            self.speed.beyond,
            self.speed.part,
            f"memory: {self.memory.basis}",
            self.int8.basis if self.int8 else "",
        ]
        return "; ".join(filter(None, parts))


class _Way(msgspec.Struct, frozen=True):
    """To run a model on a host."""

    engine: Engine
    dtype: Dtype
    measured: tuple[MeasuredModel, ...]
    """The profiles to scale from."""
    int8: Int8 | None = None


def find_candidates(
    models: Sequence[Model],
    hosts: Sequence[Host],
    workload: Workload,
    measured: Sequence[MeasuredModel],
    *,
    engines: Iterable[Engine] = ("openvino", "torch"),
    dtypes: Iterable[Dtype] = ("fp32", "bf16", "fp16", "int8"),
    int8_opted_in: bool = False,
) -> tuple[list[Candidate], list[LeftOut]]:
    """Every model in every way on every host that has the memory, in the order given."""
    candidates: list[Candidate] = []
    left_out: list[LeftOut] = []
    profiles = _Profiles(measured, frozenset(engines), frozenset(dtypes))
    for model in models:
        speeds: dict[tuple[str | None, bool, Engine], Speed | Unknown] = {}
        for host in hosts:
            name = host.instance.instance if host.instance else None
            measured_on = name if name in profiles.instances else None
            for way in profiles.ways(model, host):
                key = (measured_on, host.kind == "gpu", way.engine)
                if key not in speeds:
                    speeds[key] = find_speed(model, workload, way.measured, instance=measured_on, gpu=key[1])
                found = _candidate(model, host, way, speeds[key], workload)
                if isinstance(found, Unknown):
                    option = {"model": model.id, **host.option, "engine": way.engine, "dtype": way.dtype}
                    left_out.append(LeftOut(option=option, why=found))
                elif way.int8 and not int8_opted_in:
                    candidates.append(msgspec.structs.replace(found, opted_in=False))
                else:
                    candidates.append(found)
    return candidates, left_out


class _Profiles:
    """The profiles by engine, and the ways that they allow."""

    def __init__(self, measured: Sequence[MeasuredModel], engines: frozenset[Engine], dtypes: frozenset[Dtype]) -> None:
        self.instances = frozenset(one.profile.hardware.instance for one in measured)
        """Types that something was measured on."""
        self._all = tuple(measured)
        self._engines = engines
        self._dtypes = dtypes
        on_cpus = [one for one in measured if one.profile.hardware.gpu is None and one.profile.dtype != "int8"]
        self._on_cpus: Mapping[Engine, tuple[MeasuredModel, ...]] = {
            engine: of_engine
            for engine in ("openvino", "torch")
            if (of_engine := tuple(one for one in on_cpus if one.profile.engine == engine))
        }

    def ways(self, model: Model, host: Host) -> Iterator[_Way]:
        """What the host runs: torch in fp16 on GPUs, on CPUs each engine that was measured in what it computes there.

        OpenVINO in int8 too, where the CPU multiplies 8-bit numbers soundly and what the model loses by it is known.
        """
        if host.kind == "gpu":
            yield from self._asked(_Way("torch", "fp16", self._all))
            return
        for engine, of_engine in self._on_cpus.items():
            yield from self._asked(_Way(engine, cpu_dtype(engine, host.instruction_set), of_engine))
            int8 = find_int8(model)
            if engine == "openvino" and int8 and host.instruction_set in VNNI_INSTRUCTION_SETS:
                yield from self._asked(_Way(engine, "int8", of_engine, int8))
        if not self._on_cpus:  # whatever was measured is scaled from
            yield from self._asked(_Way("openvino", cpu_dtype("openvino", host.instruction_set), self._all))

    def _asked(self, way: _Way) -> Iterator[_Way]:
        if way.engine in self._engines and way.dtype in self._dtypes:
            yield way


def _candidate(model: Model, host: Host, way: _Way, speed: Speed | Unknown, workload: Workload) -> Candidate | Unknown:
    if isinstance(speed, Unknown):
        return speed
    memory = _memory(model, host, way, speed)
    if memory.mib > host.memory_mb:
        needed = f"out of memory: needs {memory.mib:.0f} MiB ({memory.basis}), has {host.memory_mb}"
        return Unknown(needed, "out of memory")
    profile = speed.measured.profile
    very_type = host.instance is not None and profile.hardware.instance == host.instance.instance
    if very_type and profile.model_id == model.id and way.int8 is None:
        scaled = measured_here(speed)
    else:
        peak = host.peak if host.peak.on_gpu else in_dtype(host.peak, way.dtype, host.instruction_set)
        scaled = scale(speed, model, workload, peak, dtype=way.dtype, engines=memory.workers)
    return Candidate(
        model=model,
        host=host,
        engine=way.engine,
        dtype=way.dtype,
        speed=speed,
        scaled=scaled,
        memory=memory,
        int8=way.int8,
    )


def _memory(model: Model, host: Host, way: _Way, speed: Speed) -> MemoryNeed:
    """With as many workers as the container starts, or as many fewer as have room."""
    return memory_on(
        model,
        way.engine,
        way.dtype,
        cores=1.0 if host.peak.on_gpu else host.peak.cores,
        memory_mb=host.memory_mb,
        longest_tokens=speed.longest_tokens,
    )
