"""Sides measured in turn, so that a machine that is slow for a minute is slow for all of them."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from rerank_toolkit.bench.sides import Scored, Side
from rerank_toolkit.bench.texts import TextRuler, words
from rerank_toolkit.bench.workload import Workload

WARM_UPS = 2
PAUSE_S = 0.15
"""Between two sides: some runtimes' threads spin a while after their work, on cores that are the next side's."""

Request = tuple[str, list[str]]


def workload_requests(workload: Workload, count: int, *, tokens_per_word: float = 1.0) -> list[Request]:
    """`count` different requests of the same mix of lengths.

    `tokens_per_word` is that of the tokenizer; the words are single tokens in the vocabularies of BERT and its kin.
    """
    ruler = TextRuler(tokens_per_word, 0.0)
    return [
        (
            ruler.text(workload.query_tokens, start=1_000_000 + seed),
            [
                ruler.text(tokens, start=1000 * seed + index)
                for index, tokens in enumerate(workload.lengths(workload.documents, seed=seed))
            ],
        )
        for seed in range(count)
    ]


def agreement_request(workload: Workload) -> Request:
    """Documents that hold more or fewer words of the query, so that their scores differ."""
    query = words(workload.query_tokens).split()
    documents = []
    for index, tokens in enumerate(workload.lengths(workload.documents)):
        shared = query[: index % (len(query) + 1)]
        filling = words(max(1, tokens - len(shared)), start=index + 1)
        documents.append(" ".join([*shared, filling]))
    return " ".join(query), documents


def interleave(
    sides: Sequence[Side], requests: Mapping[str, Sequence[Request]], progress: Callable[[str], None]
) -> dict[str, list[Scored]]:
    """Each side's requests by its name, as many for each, in rounds of one each after WARM_UPS that don't count.

    The order of the sides changes with each round.
    """
    for side in sides:
        for request in requests[side.name][:WARM_UPS]:
            side.score(*request)
    taken: dict[str, list[Scored]] = {side.name: [] for side in sides}
    order = random.Random(0)
    shuffled = list(sides)
    rounds = min(len(own) for own in requests.values())
    for index in range(rounds):
        order.shuffle(shuffled)
        start = time.monotonic()
        for side in shuffled:
            time.sleep(PAUSE_S)
            taken[side.name].append(side.score(*requests[side.name][index]))
        progress(f"round {index + 1} of {rounds}: {time.monotonic() - start:.1f} s")
    return taken


def median_ms(taken: Sequence[Scored]) -> float:
    return round(statistics.median(scored.seconds for scored in taken) * 1e3, 2)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them don't exceed; of one or more."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
