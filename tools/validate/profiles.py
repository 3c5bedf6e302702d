"""Our own profiles: how well each law fits, and what it says of what was left out."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from cost_model.service_time import MeasuredModel, load_profiles
from cost_model.service_time.law import cross_errors
from cost_model.validation.leave_one_out import (
    LeftOut,
    nearest,
    of_a_model,
    of_long_documents,
    of_the_second_engine,
    shape_of,
)
from tools.reference import markdown

HEADS = ("predicted", "from", "figures fitted", "figures predicted", "median error", "bias", "worst")


def section(_: Path) -> str:
    measured, unusable = load_profiles()
    if unusable:
        raise LookupError("; ".join(unusable))
    by_id = {one.profile.model_id: one for one in measured}
    tiny, turbo, base = (by_id[f"jina-reranker-v1-{name}-en"] for name in ("tiny", "turbo", "base"))
    return markdown.join(
        "The law of each profile, of what one engine computes, over the profile's requests. Crosswise: each request by "
        "the law of all others.",
        markdown.table(
            [
                "model",
                "engine",
                "measured",
                "engines",
                "ms a pass",
                "µs a sequence",
                "µs a token",
                "ns a token²",
                "error (rms)",
                "crosswise, median",
            ],
            [_law(one) for one in measured],
        ),
        "A model that was not measured goes by its FLOPs from one that was. Turbo by its neighbours:",
        _table(of_a_model(turbo, sources) for sources in ([tiny], [base], [tiny, base])),
        "And each by the one that it would be scaled from. The worst are requests of a few tokens, where what a batch "
        "costs whatever its size counts, which doesn't go by FLOPs; for them and for wider models the error is large, "
        "so a profile of one's own model is worth its ten minutes.",
        _table(of_a_model(one, [nearest(one, measured)]) for one in measured),
        "Two engines at work, by a law of requests that keep one busy:",
        _table(found for one in measured if (found := of_the_second_engine(one))),
        "Long documents, by a law of short ones, which ties attention to the other FLOPs as most profiles do.",
        _table(of_long_documents(one) for one in measured),
    )


def _law(one: MeasuredModel) -> Sequence[str]:
    profile, law = one.profile, one.law
    crosswise = cross_errors(
        profile.cells,
        shape=shape_of(profile),
        engines=profile.workers,
        token_budget=profile.token_budget,
        padded=law.padded,
    )
    return [
        profile.model_id,
        f"{profile.engine} {profile.engine_version} {profile.dtype}",
        f"{profile.measured_at:%Y-%m-%d} on {profile.hardware.cpu_model}",
        str(profile.workers),
        f"{law.per_pass * 1e3:.2f}",
        f"{law.per_sequence * 1e6:.0f}",
        f"{law.per_token * 1e6:.1f}",
        f"{law.per_squared_token * 1e9:.1f}",
        f"{law.error:.1%}",
        f"{statistics.median(map(abs, crosswise)):.1%}",
    ]


def _table(found: Iterator[LeftOut]) -> str:
    return markdown.table(
        HEADS,
        [
            [
                one.what,
                one.by,
                str(one.fitted),
                str(one.errors.count),
                f"{one.errors.median:.1%}",
                f"{one.errors.bias:+.1%}",
                f"{one.errors.worst:+.0%}",
            ]
            for one in found
        ],
    )
