"""A measured speed carried to another machine: a roofline, and how far it may be off.

On a CPU an engine takes time in proportion to its share of the peak, and never less than reading the model's weights
from memory once a batch. On a GPU that was not measured the time is that of `cost_model.gpu`. What a ratio leaves
uncertain are its causes; they are taken as independent, so their logarithms add up by squares.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from cost_model.gpu import TOKEN_BUDGET, load_gpu_law
from cost_model.hardware import Cause, Peak, engine_worth, engines_on, load_hardware, many_cores
from cost_model.service_time.law import Law
from cost_model.service_time.request import Alone, request_alone
from cost_model.service_time.speed import Speed
from cost_model.workload import Workload
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.catalog.shapes import encoder_parameters
from rerank_toolkit.contracts.manifest import Dtype

BYTES: dict[Dtype, int] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}

TWICE = 2.0
"""What goes so many times beyond the measured requests has a wider interval; up to there the law is trusted."""

TOLD = 1.02
"""Causes that change a time by less are not named."""


class Scaled(msgspec.Struct, frozen=True, kw_only=True):
    """A workload's request on a machine."""

    speed: Speed
    peak: Peak | None
    """What it was scaled to, in the dtype that runs there; None on the very machine that was measured."""
    ratio: float
    """Compute seconds here (`Moments.compute_s`) over those on the measured machine."""
    ratio_low: float
    """The least that `ratio` may be, as far as the causes tell."""
    ratio_high: float
    engines: int
    alone_s: float
    """Mean compute seconds of a request that has this machine to itself."""
    deviation_s: float
    """Standard deviation of that."""
    saturated_s: float
    """What a request takes of this machine's time where others are always there: for all that is computed, tokenised
    and waited for meanwhile."""
    law: Law | None
    """Of a batch on one of its engines; None on a GPU that was not measured."""
    causes: tuple[Cause, ...]
    streaming: float = 1.0
    """By what factor reading the weights is slower than computing with them; 1 where it isn't."""

    @property
    def engine_share(self) -> float:
        """Of its speed with one request, what an engine has with several; 1 on a GPU that was not measured."""
        return self.speed.measured.engine_share if self.law else 1.0

    @property
    def basis(self) -> str:
        """How the ratio is known: a word, a colon, and the formula."""
        speed, peak = self.speed, self.peak
        word = "scaled, extrapolated" if speed.beyond else "scaled"
        if peak is None:
            return f"{'extrapolated' if speed.beyond else 'interpolated'}: the law of {speed.note}"
        if self.law is None:
            derating = load_hardware().assumed.gpu_derating
            return (
                f"{word}: {self.ratio * speed.moments.compute_s * 1e3:.3g} ms of compute by a roofline over "
                f"{peak.formula}, fitted to {load_gpu_law().source}, at {derating:g} of that speed (assumed of torch)"
            )
        work = "" if speed.work_ratio == 1 else f"{speed.work_ratio:.3g} (FLOPs of the models) × "
        peaks = self.ratio / speed.work_ratio / self.streaming
        memory = f" × {self.streaming:.3g} (reading the weights)" if self.streaming > 1 else ""
        return (
            f"{word}: {self.ratio:.3g} × the compute time of {speed.note} = {work}{peaks:.3g} "
            f"(peaks: {speed.measured.peak.formula} to {peak.formula}){memory}"
        )

    @property
    def among_others(self) -> str:
        """What is left of that speed under load; empty where nothing was measured of it."""
        share = self.engine_share
        return "" if share == 1 else f"{share:.0%} of that speed among other requests (measured under saturation)"

    @property
    def interval(self) -> str:
        """Such as "0.8 to 1.9 of it: its clock under load, …"; empty where nothing is uncertain."""
        told = [cause.name for cause in self.causes if cause.slow / cause.fast >= TOLD]
        if not told:
            return ""
        return f"{self.ratio_low / self.ratio:.2g} to {self.ratio_high / self.ratio:.2g} of it: {', '.join(told)}"


def measured_here(speed: Speed) -> Scaled:
    """The speed on the very machine, of the very model and dtype, that were measured: read off the law."""
    return _scaled(
        speed,
        None,
        ratio=1.0,
        engines=speed.measured.profile.workers,
        alone=speed.moments.alone,
        saturated_s=_among_others(speed),
        law=speed.measured.law,
        causes=_of_law(speed),
    )


def scale(
    speed: Speed, model: Model, workload: Workload, peak: Peak, *, dtype: Dtype, engines: int | None = None
) -> Scaled:
    """The speed on a machine of `peak`, which is that of `dtype` (`hardware.in_dtype`), on a GPU of fp16.

    `engines` where they are not as many as the container starts by itself: memory may allow fewer.
    """
    if peak.on_gpu:
        return _from_gpu(speed, peak) if speed.measured.peak.on_gpu else _by_gpu_law(speed, model, workload, peak)
    profile, there = speed.measured.profile, speed.measured.peak
    had, has = profile.workers, engines or engines_on(peak.cores, profile.engine)
    fast = there.core_gflops * engine_worth(max(there.cores, had), had)
    here = peak.core_gflops * engine_worth(peak.cores, has)
    of_engine = speed.work_ratio * fast / here
    moments = speed.moments
    streaming, memory = _streaming(model, dtype, peak, has, of_engine * moments.compute_s * had / moments.passes)
    slower = of_engine * streaming
    alone = request_alone(
        speed.measured.law, workload, model.max_tokens, engines=has, token_budget=profile.token_budget
    )
    return _scaled(
        speed,
        peak,
        ratio=slower * had / has,
        engines=has,
        alone=_slower(alone, slower),
        saturated_s=slower * had / has * _among_others(speed),
        law=_times(speed.measured.law, slower),
        streaming=streaming,
        causes=[
            *_of_law(speed),
            *peak.causes,
            Cause("the share of its peak", *load_hardware().assumed.share_of_peak_elsewhere),
            *many_cores(has),
            *memory,
        ],
    )


def _streaming(model: Model, dtype: Dtype, peak: Peak, engines: int, pass_s: float) -> tuple[float, list[Cause]]:
    """By what factor reading the weights once takes longer than a pass's compute, at least 1; and its interval."""
    if peak.bandwidth is None:
        return 1.0, []
    gigabytes = encoder_parameters(model.shape) * BYTES[dtype] / 1e9
    usual, slow, fast = (
        max(1.0, gigabytes / (gb_s * peak.cores / engines) / pass_s)
        for gb_s in (peak.bandwidth.gb_s, peak.bandwidth.low, peak.bandwidth.high)
    )
    return usual, [Cause("memory bandwidth", fast / usual, slow / usual)]


def _from_gpu(speed: Speed, peak: Peak) -> Scaled:
    """From one GPU to another: what a pass costs whatever its size is its launch, the rest goes by the peaks."""
    there, moments = speed.measured.peak, speed.moments
    launch = min(speed.measured.law.per_pass * moments.passes / moments.compute_s, 1.0)

    def times(rest: float) -> float:
        return speed.work_ratio * (launch + (1 - launch) * rest)

    ratio = times(there.core_gflops / peak.core_gflops)
    causes = _of_law(speed)
    if peak.bandwidth and there.bandwidth:
        other = times(there.bandwidth.gb_s / peak.bandwidth.gb_s) / ratio
        causes.append(Cause("by memory bandwidth instead of by peak", min(1.0, other), max(1.0, other)))
    law = _times(speed.measured.law, ratio)
    return _scaled(
        speed,
        peak,
        ratio=ratio,
        engines=1,
        alone=_slower(moments.alone, ratio),
        saturated_s=_among_others(speed) * ratio,
        law=law,
        causes=causes,
    )


def _by_gpu_law(speed: Speed, model: Model, workload: Workload, peak: Peak) -> Scaled:
    assumed, law = load_hardware().assumed, load_gpu_law()
    raw = workload.length_moments(model.max_tokens)
    documents = workload.documents_per_request
    batches = max(1, math.ceil(documents / max(1, TOKEN_BUDGET // raw[1])))
    each = documents / batches
    of_batch = law.seconds(model.shape, sequences=each, tokens=each * raw[1], squared_tokens=each * raw[2], peak=peak)
    seconds = batches * of_batch / assumed.gpu_derating
    slow, fast = (assumed.gpu_derating / share for share in assumed.gpu_derating_interval)
    return _scaled(
        speed,
        peak,
        ratio=seconds / speed.moments.compute_s,
        engines=1,
        alone=_slower(speed.moments.alone, seconds / speed.moments.alone.mean_s),
        saturated_s=seconds,
        law=None,
        causes=[
            Cause(f"torch at {assumed.gpu_derating:g} of TensorRT's speed", fast, slow),
            Cause("the law's own error", 1 / (1 + law.error), 1 + law.error),
            *_beyond(speed),
        ],
    )


def _scaled(
    speed: Speed,
    peak: Peak | None,
    *,
    ratio: float,
    engines: int,
    alone: Alone,
    saturated_s: float,
    law: Law | None,
    causes: Iterable[Cause],
    streaming: float = 1.0,
) -> Scaled:
    known = tuple(causes)
    fast = math.sqrt(sum(math.log(cause.fast) ** 2 for cause in known))
    slow = math.sqrt(sum(math.log(cause.slow) ** 2 for cause in known))
    return Scaled(
        speed=speed,
        peak=peak,
        ratio=ratio,
        ratio_low=ratio * math.exp(-fast),
        ratio_high=ratio * math.exp(slow),
        engines=engines,
        alone_s=alone.mean_s,
        deviation_s=alone.deviation_s,
        saturated_s=saturated_s,
        law=law,
        causes=known,
        streaming=streaming,
    )


def _among_others(speed: Speed) -> float:
    """Of a request, on the measured machine."""
    return speed.moments.saturated_s / speed.measured.engine_share


def _of_law(speed: Speed) -> list[Cause]:
    error = speed.measured.law.error
    causes = [Cause("the law's own error", 1 / (1 + error), 1 + error), *_beyond(speed)]
    if speed.work_ratio != 1:
        by_flops = load_hardware().assumed.model_by_flops
        causes.append(Cause("another model by its FLOPs", 1 / by_flops, by_flops))
    return causes


def _beyond(speed: Speed) -> list[Cause]:
    """Beyond twice what was measured, half of the logarithm of how far: the law is no more than a guess there."""
    if speed.beyond_ratio <= TWICE:
        return []
    wide = math.sqrt(speed.beyond_ratio)
    return [Cause(f"{speed.beyond_ratio:.2g} × beyond what was measured", 1 / wide, wide)]


def _slower(alone: Alone, times: float) -> Alone:
    return Alone(mean_s=times * alone.mean_s, deviation_s=times * alone.deviation_s)


def _times(law: Law, ratio: float) -> Law:
    return msgspec.structs.replace(
        law,
        per_pass=law.per_pass * ratio,
        per_sequence=law.per_sequence * ratio,
        per_token=law.per_token * ratio,
        per_squared_token=law.per_squared_token * ratio,
    )
