"""How fast engines are, learned from what they have computed."""

from __future__ import annotations

import math

from cost_model.simulate.compiling import compiled
from cost_model.simulate.records import Engine, Instance, Settings


@compiled
def learn(instance: Instance, engine: Engine, rules: Settings, now: float) -> None:
    """Pace.add, of seconds that are at most an outlier."""
    seconds = engine.seconds
    per_batch, per_work = pace(instance, rules)
    if not math.isnan(per_work):
        expected = per_batch + per_work * engine.work
        if expected:
            seconds = min(seconds, rules.outlier * expected)
    keep = 0.5 ** (seconds / rules.rate_memory)
    instance.batches = keep * instance.batches + 1
    instance.work = keep * instance.work + engine.work
    instance.work_squared = keep * instance.work_squared + engine.work * engine.work
    instance.seconds = keep * instance.seconds + seconds
    instance.work_seconds = keep * instance.work_seconds + engine.work * seconds
    instance.measured_at = now


@compiled
def pace(instance: Instance, rules: Settings) -> tuple[float, float]:
    """Pace.law: seconds per batch and per work; NaN before anything was measured."""
    if instance.work == 0:
        return 0.0, rules.initial_pace if rules.initial_pace > 0 else math.nan
    mean = instance.seconds / instance.work
    spread = instance.batches * instance.work_squared - instance.work**2
    slope = 0.0
    if spread > 0:
        slope = (instance.batches * instance.work_seconds - instance.work * instance.seconds) / spread
    if spread <= 1e-6 * instance.work**2 or not 0 < slope < mean:
        return 0.0, mean
    return (instance.seconds - slope * instance.work) / instance.batches, slope
