"""A deployment configuration: how traffic moves from the old fleet to the new one, and which alarms turn it back.

Time is cut: a wait of an hour, in which alarms may ring, lasts RERANK_LOCAL_LONGEST_WAIT_S here, and the periods of the
alarms are shorter by the same factor, though not below a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

from rerank_toolkit.local_sagemaker.sagemaker.fleets import Side, Traffic

_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Step:
    share: float
    """Of all requests, that the new fleet gets from now on."""
    wait_s: float
    """Until the next step."""


@dataclass(frozen=True, slots=True)
class Rollout:
    steps: tuple[Step, ...]
    final_wait_s: float
    """Before the old fleet ends."""
    alarms: tuple[str, ...]


AT_ONCE = Rollout((Step(1.0, 0.0),), 0.0, ())


def read_rollout(config: Mapping[str, Any] | None, *, count: int) -> Rollout:
    """The steps that a DeploymentConfig, free of faults, means for `count` instances or copies."""
    if not config:
        return AT_ONCE
    alarms = tuple(alarm["AlarmName"] for alarm in config.get("AutoRollbackConfiguration", {}).get("Alarms", ()))
    if rolling := config.get("RollingUpdatePolicy"):
        wait_s = float(rolling["WaitIntervalInSeconds"])
        return Rollout(_equal_steps(_share(rolling["MaximumBatchSize"], count), wait_s), 0.0, alarms)
    if policy := config.get("BlueGreenUpdatePolicy"):
        routing = policy["TrafficRoutingConfiguration"]
        wait_s = float(routing["WaitIntervalInSeconds"])
        steps: tuple[Step, ...]
        match routing["Type"]:
            case "CANARY":
                steps = (Step(_share(routing["CanarySize"], count), wait_s), Step(1.0, wait_s))
            case "LINEAR":
                steps = _equal_steps(_share(routing["LinearStepSize"], count), wait_s)
            case _:
                steps = (Step(1.0, wait_s),)
        return Rollout(steps, float(policy.get("TerminationWaitInSeconds", 0)), alarms)
    return Rollout(AT_ONCE.steps, 0.0, alarms)


def rollout_faults(config: Mapping[str, Any], *, count: int) -> list[str]:
    """What SageMaker would refuse of a DeploymentConfig for `count` instances or copies."""
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        return ["deploymentConfig has both a blueGreenUpdatePolicy and a rollingUpdatePolicy; it may have one"]
    if rolling:
        return _size_faults("rollingUpdatePolicy.maximumBatchSize", rolling["MaximumBatchSize"], count, 5)
    if not blue_green:
        return []
    routing = blue_green["TrafficRoutingConfiguration"]
    at = "blueGreenUpdatePolicy.trafficRoutingConfiguration"
    for kind, field, least in (("CANARY", "CanarySize", 1), ("LINEAR", "LinearStepSize", 10)):
        if routing["Type"] != kind:
            continue
        if field not in routing:
            return [f"{at} of type {kind} must have {field}"]
        return _size_faults(f"{at}.{field[0].lower()}{field[1:]}", routing[field], count, least)
    return []


def shift(
    traffic: Traffic[Side],
    new: Side,
    rollout: Rollout,
    *,
    trouble: Callable[[float], str | None],
    cancelled: Event,
    longest_wait_s: float,
    tell: Callable[[str], None],
) -> str | None:
    """Moves the traffic to `new`, step by step; gives why it is back at the old side, or None: `new` has it all, and
    the old side may be stopped.

    `trouble` is asked all the while, and tells why the rollout must end; it hears how much faster than stated time
    passes, as a factor below 1. `tell` hears VariantStatus's words.
    """
    traffic.incoming = new
    last = len(rollout.steps) - 1
    for index, step in enumerate(rollout.steps):
        tell("ActivatingTraffic")
        traffic.share = step.share
        tell("Baking")
        waits = (step.wait_s, rollout.final_wait_s if index == last else 0.0)
        if why := _bake(waits, longest_wait_s, trouble, cancelled):
            traffic.share, traffic.incoming = 0.0, None
            return why
    return None


def _bake(
    waits_s: Sequence[float], longest_s: float, trouble: Callable[[float], str | None], cancelled: Event
) -> str | None:
    wait_s = sum(min(wait_s, longest_s) for wait_s in waits_s)
    scale = wait_s / sum(waits_s) if sum(waits_s) else 1.0
    end = time.monotonic() + wait_s
    while True:
        if why := trouble(scale):
            return why
        left = end - time.monotonic()
        if cancelled.wait(max(0.0, min(left, _LOOK_EVERY_S))):
            return "The endpoint was deleted during its update."
        if left <= 0:
            return None


def _equal_steps(share: float, wait_s: float) -> tuple[Step, ...]:
    steps = []
    reached = 0.0
    while reached < 1.0:
        reached = min(1.0, reached + share)
        if reached > 1.0 - 1e-9:
            reached = 1.0
        steps.append(Step(reached, wait_s))
    return tuple(steps)


def _share(size: Mapping[str, Any], count: int) -> float:
    if size["Type"] == "CAPACITY_PERCENT":
        return min(1.0, float(size["Value"]) / 100)
    return min(1.0, float(size["Value"]) / max(1, count))


def _size_faults(at: str, size: Mapping[str, Any], count: int, least_percent: int) -> list[str]:
    value = size["Value"]
    if size["Type"] == "CAPACITY_PERCENT":
        if not least_percent <= value <= 50:
            return [f"{at} is {value} %; it must be from {least_percent} to 50"]
    elif value * 2 > count:
        return [f"{at} is {value} of {count}; at most half may change at once"]
    return []
