"""What an option's figures leave open, in words: what whoever chooses it must know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cost_model.delays import load_delays
from cost_model.hardware import load_hardware

if TYPE_CHECKING:
    from cost_model.compare import Option

PAID_BY_REQUEST = frozenset({"serverless", "provisioned"})

TOLD = 1e-6
"""Share of the requests below which it isn't told that they wait for a start."""


def caveats(option: Option) -> Iterator[str]:
    """How its speed is known, and what it is assumed to run on and to wait for; a sentence each, without "; "."""
    yield from _speed(option)
    if option.mode in PAID_BY_REQUEST:
        yield from _serverless(option)
    if option.mode == "async":
        yield from _first_instance(option)


def _speed(option: Option) -> Iterator[str]:
    scaled = option.candidate.scaled
    if scaled.peak is None:
        return
    yield "its speed is scaled, not measured: measure an endpoint there before you rely on it"
    if interval := scaled.interval:
        yield f"a request may compute {interval.replace(' of it:', ' times as long:', 1)}"


def _serverless(option: Option) -> Iterator[str]:
    assumed = load_hardware().assumed
    low, high = assumed.serverless_vcpu_per_gb_interval
    yield (
        f"AWS publishes no CPU for a serverless memory size: {assumed.serverless_vcpu_per_gb:g} vCPU a GB is assumed, "
        f"from {low:g} to {high:g}"
    )
    cold = option.sizing.cold
    if cold < TOLD:
        return
    container = load_delays().container
    low, high = container.start_interval_s
    percentile = option.workload.slo_percentile
    counted = "counts" if cold > 1 - percentile / 100 else "doesn't count"
    yield (
        f"{_percent(cold)} of the requests wait for a container to start, about {container.start_s:g} s beside the "
        f"server's own start (assumed, {low:g} to {high:g}), which the p{percentile:g} {counted}"
    )


def _first_instance(option: Option) -> Iterator[str]:
    cold = option.sizing.cold
    if cold < TOLD:
        return
    delays = load_delays()
    minutes = (delays.async_.wake_s + delays.instance.start_s) / 60
    yield f"{_percent(cold)} of the requests wait for a first instance, about {minutes:.0f} minutes (assumed)"


def _percent(share: float) -> str:
    return f"{share * 100:.2g}%"
