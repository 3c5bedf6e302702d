"""Throughput by the law of batches beside throughput as it was measured under saturation, of every profile.

The law is fitted to requests that were alone; saturation was measured apart. What the law says too much is what HTTP,
tokenising and the load generator took of the cores meanwhile: a bill that forgets it buys too few instances.
"""

from __future__ import annotations

import math
import statistics

import numpy as np

from cost_model.service_time import MeasuredModel, load_profiles
from cost_model.simulate.policy import BatchLaw, Policy, serve
from cost_model.simulate.traffic import Traffic, work_of
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.catalog.models import load_models
from tools.reference import markdown

REQUESTS = 40
"""At once: enough that the last, with idle engines beside it, weighs little."""


def page() -> str:
    measured = [model for model in load_profiles()[0] if model.profile.saturation]
    rows = [
        [
            model.profile.model_id,
            f"{model.profile.engine} {model.profile.dtype}",
            f"{by_law(model):,.1f}",
            f"{model.profile.documents_per_second:,.1f}",
            f"{engine_share(model):.1%}",
            f"{model.profile.measured_at:%Y-%m-%d}",
        ]
        for model in measured
    ]
    heads = ["model", "engine", "documents/s by the law", "measured", "measured over law", "measured on"]
    shares = [engine_share(model) for model in measured]
    return markdown.join(
        markdown.table(heads, rows),
        f"Between {min(shares):.0%} and {max(shares):.0%}, {statistics.median(shares):.0%} in the median: the rest of "
        "the cores' time went into HTTP, JSON, tokenising, and the load generator beside the server.",
    )


def engine_share(measured: MeasuredModel) -> float:
    """Of the throughput that the law alone allows, what was reached under saturation."""
    return measured.profile.documents_per_second / by_law(measured)


def by_law(measured: MeasuredModel) -> float:
    """Documents a second, of the requests that the profile's server was saturated with."""
    traffic = _queue(measured)
    profile = measured.profile
    policy = Policy(engines=profile.workers, token_budget=profile.token_budget, time_limit_s=math.inf)
    return len(traffic.tokens) / float(serve(traffic, batch_law(measured), policy).answered.max())


def batch_law(measured: MeasuredModel) -> BatchLaw:
    law = measured.law
    return BatchLaw(
        per_batch=law.per_batch,
        per_sequence=law.per_sequence,
        per_token=law.per_token,
        per_squared_token=law.per_squared_token,
    )


def _queue(measured: MeasuredModel) -> Traffic:
    """REQUESTS of those, all there from the start."""
    saturation = measured.profile.saturation
    if saturation is None:
        raise ValueError(f"the profile of {measured.profile.model_id} tells of no saturation. This is a bug.")
    model = load_models()[measured.profile.model_id]
    documents = np.array(Workload().lengths(saturation.documents_per_request))
    tokens = np.rint(documents * saturation.tokens_per_document / documents.mean()).astype(np.int64)
    tokens = np.tile(np.clip(tokens, 1, model.max_tokens), REQUESTS)
    return Traffic(
        arrivals=np.zeros(REQUESTS),
        offsets=np.arange(REQUESTS + 1) * len(documents),
        tokens=tokens,
        work=work_of(model.shape)(tokens),
    )
