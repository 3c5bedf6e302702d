"""Throughput as the cost model predicts it, beside throughput as it was measured under saturation, of every profile.

The law is fitted to requests that were alone; what it says too much, in batches as full and as mixed, is what HTTP,
tokenising and the load generator took of the cores: a bill that forgets it buys too few instances. The cost model takes
it from the profile itself, so that its own saturation is met; how well it is met by another's tells what a model that
wasn't measured may be off by.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np

from cost_model.service_time import MeasuredModel, load_profiles
from cost_model.simulate.policy import BatchLaw, Policy, serve
from cost_model.simulate.traffic import Traffic, work_of
from cost_model.validation.leave_one_out import nearest
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.catalog.models import load_models
from rerank_toolkit.contracts.profile import Saturation
from tools.reference import markdown

HEADS = (
    "model",
    "engine",
    "documents/s measured",
    "by the law of lone requests",
    "measured over law",
    "predicted",
    "error",
    "with the share of",
    "error",
    "measured on",
)


def page() -> str:
    measured = [model for model in load_profiles()[0] if model.profile.saturation]
    shares = [model.engine_share for model in measured]
    return markdown.join(
        markdown.table(HEADS, [_row(model, measured) for model in measured]),
        f"Between {min(shares):.0%} and {max(shares):.0%}, {statistics.median(shares):.0%} in the median, of what the "
        "law allows: the rest of the cores' time went into HTTP, JSON, tokenising, and the load generator beside the "
        "server. *Predicted* is by the container's policy in virtual time, with the profile's own share of the law or "
        "with that of the profile that the model would be scaled from.",
    )


def _row(model: MeasuredModel, measured: Sequence[MeasuredModel]) -> list[str]:
    profile, other = model.profile, nearest(model, measured)
    throughput = profile.documents_per_second
    predicted, by_other = saturated(model, model.engine_share), saturated(model, other.engine_share)
    return [
        profile.model_id,
        f"{profile.engine} {profile.dtype}",
        f"{throughput:,.1f}",
        f"{throughput / model.engine_share:,.1f}",
        f"{model.engine_share:.1%}",
        f"{predicted:,.1f}",
        f"{predicted / throughput - 1:+.1%}",
        other.profile.model_id,
        f"{by_other / throughput - 1:+.1%}",
        f"{profile.measured_at:%Y-%m-%d}",
    ]


def saturated(measured: MeasuredModel, share: float) -> float:
    """Documents a second in virtual time as they were measured: so many requests always under way, where engines have
    such a share of the law's speed with several requests on the server."""
    profile, how, traffic = measured.profile, _how(measured), _requests(measured)
    law, around_s = BatchLaw.of(measured.law, share), measured.law.around_seconds(float(traffic.tokens_of_request[0]))
    endless = Policy(
        engines=profile.workers, token_budget=profile.token_budget, time_limit_s=math.inf, max_queued_tokens=2**62
    )
    first = np.arange(how.in_flight) * measured.law.around_per_request
    sent = np.zeros(how.requests)
    while True:  # each is sent when one before was answered: known moment after moment, the earliest first
        answered = np.sort(serve(traffic.at(sent), law, endless).answered) + around_s
        follows = np.concatenate([first, answered[: -how.in_flight]])
        if np.array_equal(follows, sent):
            return len(traffic.tokens) / float(answered[-1])
        sent = follows


def _requests(measured: MeasuredModel) -> Traffic:
    saturation, model = _how(measured), load_models()[measured.profile.model_id]
    documents = np.array(Workload().lengths(saturation.documents_per_request))
    tokens = np.rint(documents * saturation.tokens_per_document / documents.mean()).astype(np.int64)
    tokens = np.tile(np.clip(tokens, 1, model.max_tokens), saturation.requests)
    return Traffic(
        arrivals=np.zeros(saturation.requests),
        offsets=np.arange(saturation.requests + 1) * len(documents),
        tokens=tokens,
        work=work_of(model.shape)(tokens),
    )


def _how(measured: MeasuredModel) -> Saturation:
    saturation = measured.profile.saturation
    if saturation is None:
        raise ValueError(f"the profile of {measured.profile.model_id} tells of no saturation. This is a bug.")
    return saturation
