"""What the cost model knew beforehand of a server that was measured live: the terms that its model's profile tells."""

from __future__ import annotations

import numpy as np
from scipy import special

from cost_model.service_time import MeasuredModel, load_profiles
from cost_model.simulate.machine import measured_noise
from rerank_toolkit.bench.replay_report import ReplayReport
from tools.validate.live_terms import Fitted, Server, Terms

DRAWS = 101
"""Factors that stand for the noise of batches."""


def find_profile(report: ReplayReport) -> MeasuredModel | None:
    """That of the same model, engine and dtype, with as many threads, on the same kind of CPU; the latest."""
    measured, _ = load_profiles()
    alike = [
        one
        for one in measured
        if (one.profile.model_id, one.profile.engine, one.profile.dtype) == (report.model, report.engine, report.dtype)
        and (one.profile.threads, one.profile.workers) == (report.threads, report.workers)
        and one.profile.hardware.cpu_model == report.conditions.hardware.cpu_model
        and one.profile.saturation
    ]
    return max(alike, key=lambda one: one.profile.measured_at, default=None)


def profile_terms(measured: MeasuredModel) -> Terms:
    """As the cost model simulates: a profile tells of noise, but not what is around a request on a busy server."""
    noise = measured_noise(measured.profile)
    middles = special.ndtri((np.arange(DRAWS) + 0.5) / DRAWS)
    return Terms(
        batches=Fitted(measured.law, np.exp(noise * middles - noise**2 / 2)),
        stretch=1.0,
        wake_s=0.0,
        engine_share=measured.engine_share,
    )


def profile_capacity(server: Server, terms: Terms, *, in_flight: int) -> float:
    """Tokens a second of the trace."""
    return terms.engine_share * server.fastest(terms.batches.law, list(server.lengths), in_flight=in_flight)
