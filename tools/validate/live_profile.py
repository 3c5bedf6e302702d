"""What the cost model knew beforehand of a server that was measured live: the terms that its model's profile tells."""

from __future__ import annotations

import numpy as np

from cost_model.service_time import MeasuredModel, load_profiles
from rerank_toolkit.bench.replay_report import ReplayReport
from tools.validate.live_terms import Fitted, Server, Terms
from tools.validate.saturation import batch_law, engine_share


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
    """A profile tells nothing of noise, nor of what is around a request on a busy server."""
    law = measured.law
    return Terms(
        batches=Fitted(batch_law(measured), np.ones(1)),
        around_s=np.array([law.around_per_request, law.around_per_token]),
        stretch=1.0,
        wake_s=0.0,
        engine_share=engine_share(measured),
    )


def profile_capacity(server: Server, terms: Terms) -> float:
    """Tokens a second of the trace."""
    return terms.engine_share * server.fastest(terms.batches.law, list(server.lengths))
