"""Requests of every shape, each sent alone: how compute time depends on documents and on their lengths.

A scouting pass sends each shape once, small to large, and leaves out what would take too long. Then as many more
samples as the time allows are spread evenly over rounds, all shapes interleaved, so that a machine that is slow
for a minute is slow for all of them. Medians are recorded.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from rerank_toolkit.bench.target import Sample, Target
from rerank_toolkit.bench.texts import TextRuler
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.catalog.models import load_models
from rerank_toolkit.client import ClientError, InvalidRequest, Overloaded, TimedOut
from rerank_toolkit.contracts.profile import Cell

DOCUMENTS = (1, 4, 16, 64)
TOKENS = (16, 64, 128, 256, 512, 2048, 8192)
"""Of the pair: query, document and special tokens."""
ESSENTIAL = frozenset({(1, 16), (1, 128), (4, 128)})
"""Measured whatever it takes: fixed cost, cost by length and cost by documents can't be told apart without them."""

MOST_SAMPLES = 25
SCOUTING_SHARE = 0.4
"""Of the grid's time, for the first pass. What a slow model leaves out, it could not have repeated anyway."""
LONGEST_SHARE = 0.25
"""Of the grid's time, for one request."""
LONGEST_S = 30.0
"""Half of what SageMaker gives an endpoint to answer: the prediction may be wrong by a factor."""
UNSTEADY_SAMPLES = 5
"""From so many on, two that take twice the median are more than one hiccup."""
CHEAP = 0.1
"""Of the longest request: what costs less is scouted twice, for the first of a shape may be slow for once."""
LENGTH_EXPONENT = 1.5
"""Growth of compute with length, between the feed-forward's 1 and attention's 2."""
SAME_LENGTH = 1.1
"""A truncated text this little longer than the last is the same measurement again."""

Progress = Callable[[str], None]
Shape = tuple[int, int]
"""Documents, and tokens of each as wanted."""


def measure_grid(target: Target, ruler: TextRuler, *, seconds: float, progress: Progress) -> list[Cell]:
    """Cells for the ESSENTIAL shapes and all others that fit into `seconds`.

    Raises the endpoint's error if it answers none of them.
    """
    deadline = time.monotonic() + seconds
    lengths = [tokens for tokens in TOKENS if tokens <= longest_text(target.first.model)]
    requests = {(count, tokens): _request(ruler, count, tokens) for tokens in lengths for count in DOCUMENTS}
    scouted = _scout(target, requests, seconds, progress)

    shapes = list(scouted)
    costs = [scouted[shape].latency_ms / 1000 for shape in shapes]
    plan = dict(zip(shapes, plan_samples(costs, deadline - time.monotonic(), MOST_SAMPLES), strict=True))
    rounds = max(plan.values())
    if rounds:
        progress(f"measuring {len(shapes)} shapes of request in {rounds} rounds")
    else:
        progress(f"measured {len(shapes)} shapes of request once; more time would give medians")
    samples: dict[Shape, list[Sample]] = {shape: [] for shape in shapes}
    lost = 0
    order = random.Random(0)
    for index in range(rounds):
        order.shuffle(shapes)
        for shape in shapes:
            if not falls_in_round(plan[shape], index, rounds) or time.monotonic() >= deadline:
                continue
            try:
                samples[shape].append(target.ask(*requests[shape]))
            except (Overloaded, TimedOut):
                lost += 1
    if lost:
        progress(f"samples lost to requests refused or not answered in time: {lost}; does the endpoint serve others?")
    unsteady = sum(_unsteady(taken) for taken in samples.values())
    if unsteady:
        progress(
            f"unsteady: {unsteady} of {len(shapes)} shapes took twice their median, more than once; "
            "is the machine busy with something else?"
        )
    # The first request of a shape pays for what later ones find in place: kept only where there is no other.
    return [_cell(samples[shape] or [scouted[shape]]) for shape in sorted(scouted)]


def plan_samples(costs: Sequence[float], seconds: float, most: int) -> list[int]:
    """How often to measure requests that take `costs` seconds each, within `seconds` altogether.

    Each gets the same time; what the cheap ones leave over, at `most` samples, goes to the dearer ones. A request
    that costs more than its share gets none.
    """
    plan = [0] * len(costs)
    left = max(seconds, 0.0)
    for position, index in enumerate(sorted(range(len(costs)), key=lambda i: costs[i])):
        share = left / (len(costs) - position)
        plan[index] = min(most, int(share / costs[index]))
        left -= plan[index] * costs[index]
    return plan


def falls_in_round(samples: int, index: int, rounds: int) -> bool:
    """Whether one of `samples`, spread evenly over `rounds`, is due in round `index`."""
    return (index + 1) * samples // rounds > index * samples // rounds


def predict_seconds(known: Mapping[Shape, float], shape: Shape) -> float:
    """An upper guess for `shape` from smaller ones: no gain by batching, LENGTH_EXPONENT for longer texts.

    The lowest of what each smaller shape lets expect, so that one slow answer doesn't count; 0 if there is none.
    """
    documents, tokens = shape
    return min(
        (
            seconds * documents / fewer * (tokens / shorter) ** LENGTH_EXPONENT
            for (fewer, shorter), seconds in known.items()
            if fewer <= documents and shorter <= tokens
        ),
        default=0.0,
    )


def _scout(
    target: Target, requests: Mapping[Shape, tuple[str, list[str]]], seconds: float, progress: Progress
) -> dict[Shape, Sample]:
    """One sample of each shape that fits; tells which don't, and why."""
    longest = min(LONGEST_S, seconds * LONGEST_SHARE)
    end = time.monotonic() + seconds * SCOUTING_SHARE
    scouted: dict[Shape, Sample] = {}
    left_out: list[Shape] = []
    refusal: ClientError | None = None
    cut_at = math.inf  # the model's longest text, once an answer has shown it
    for shape in sorted(requests, key=lambda shape: (shape[0] * shape[1], shape[1])):
        if shape[1] > cut_at:
            continue
        costs = {other: sample.latency_ms / 1000 for other, sample in scouted.items()}
        too_long = predict_seconds(costs, shape) > min(longest, end - time.monotonic())
        if too_long and shape not in ESSENTIAL:
            left_out.append(shape)
            continue
        try:
            sample = target.ask(*requests[shape])
            if sample.latency_ms / 1000 < longest * CHEAP:
                sample = min(sample, target.ask(*requests[shape]), key=lambda sample: sample.latency_ms)
        except (InvalidRequest, Overloaded, TimedOut) as error:
            refusal = error
            progress(f"left out {_names([shape])}: {error}")
            continue
        if sample.truncated_documents:
            cut_at = _cut_at(scouted, shape, sample)
            if shape[1] > cut_at:
                continue
        scouted[shape] = sample
    if not scouted:
        raise refusal or RuntimeError("no shape was asked for. This is a bug.")
    left_out = [shape for shape in left_out if shape[1] <= cut_at]
    if left_out:
        unless_cut = "" if target.first.model in load_models() else ", as far as the model reads such texts"
        progress(f"left out for want of time{unless_cut}: {_names(left_out)}")
    return scouted


def longest_text(model: str) -> float:
    """The last of TOKENS worth asking `model` for; infinite for one that the catalogue doesn't know."""
    known = load_models().get(model)
    reads = known.max_tokens if known else math.inf
    return min((tokens for tokens in TOKENS if tokens >= reads), default=math.inf)


def _cut_at(scouted: Mapping[Shape, Sample], shape: Shape, sample: Sample) -> int:
    """The last of TOKENS worth asking for, now that `sample` was cut to the model's longest text."""
    shorter = [other for other in scouted if other[1] < shape[1]]
    if not shorter:
        return shape[1]
    last = scouted[max(shorter, key=lambda other: (other[1], -other[0]))]
    same = _tokens_per_document(sample) <= _tokens_per_document(last) * SAME_LENGTH
    return max(length for _, length in shorter) if same else shape[1]


def _request(ruler: TextRuler, documents: int, tokens: int) -> tuple[str, list[str]]:
    query_tokens = Workload().query_tokens
    length = max(1.0, tokens - query_tokens - ruler.overhead)
    return ruler.text(query_tokens), [ruler.text(length, start=index + 1) for index in range(documents)]


def _unsteady(samples: Sequence[Sample]) -> bool:
    latencies = sorted(sample.latency_ms for sample in samples)
    return len(latencies) >= UNSTEADY_SAMPLES and latencies[-2] >= 2 * statistics.median(latencies)


def _cell(samples: Sequence[Sample]) -> Cell:
    last = samples[-1]
    latencies = sorted(sample.latency_ms for sample in samples)
    return Cell(
        documents=last.documents,
        tokens_per_document=round(_tokens_per_document(last), 2),
        tokens=last.origin.tokens,
        sum_squared_tokens=last.origin.sum_squared_tokens,
        inference_ms=round(statistics.median(sample.origin.inference_ms for sample in samples), 3),
        queue_ms=round(statistics.median(sample.origin.queue_ms for sample in samples), 3),
        latency_ms=round(statistics.median(latencies), 3),
        latency_p95_ms=round(latencies[math.ceil(0.95 * len(latencies)) - 1], 3),  # nearest rank
        samples=len(samples),
    )


def _tokens_per_document(sample: Sample) -> float:
    return sample.origin.tokens / sample.documents


def _names(shapes: Sequence[Shape]) -> str:
    """Such as "16, 64 documents of 2,048 tokens; 4, 16, 64 documents of 8,192 tokens"."""
    counts: dict[int, list[str]] = {}
    for count, tokens in sorted(shapes, key=lambda shape: (shape[1], shape[0])):
        counts.setdefault(tokens, []).append(str(count))
    return "; ".join(f"{', '.join(of_tokens)} documents of {tokens:,} tokens" for tokens, of_tokens in counts.items())
