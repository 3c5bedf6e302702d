"""What the demo prints about rankings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from demo.asking import Answer
from demo.collection import Passage, Question
from demo.metrics import hit_rate, mean_reciprocal_rank, rank_of
from demo.narrator import WIDTH

SHOWN = 3
HIT_AT = 3
_SNIPPET = (WIDTH - 16) // 2


@dataclass(frozen=True)
class Outcome:
    """One question, ranked both ways."""

    question: Question
    bm25: list[Passage]
    answer: Answer

    @property
    def bm25_rank(self) -> int | None:
        return rank_of(self.question.right, [passage.id for passage in self.bm25])

    @property
    def reranked_rank(self) -> int | None:
        return rank_of(self.question.right, [passage.id for passage in self.answer.passages])


def examples(outcomes: Sequence[Outcome], every: int) -> RenderableType:
    """Each `every`-th of the questions whose right passage is among the candidates: the others show nothing but
    that the first stage missed."""
    found = [outcome for outcome in outcomes if outcome.bm25_rank is not None]
    rule = f"One in {every} of the {len(found)} questions whose right passage (✓) is among the candidates:"
    return Group(Text(f"\n{rule}"), *(example(outcome) for outcome in found[every - 1 :: every]), Text())


def example(outcome: Outcome) -> RenderableType:
    """The question over the heads of both rankings; ✓ marks the passage that answers it."""
    question = outcome.question
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column("", justify="right")
    table.add_column("BM25", no_wrap=True, width=_SNIPPET)
    table.add_column("reranked (relevance)", no_wrap=True, width=_SNIPPET)
    best = zip(outcome.bm25, outcome.answer.passages, outcome.answer.scores, strict=True)
    for place, (first, second, score) in enumerate(list(best)[:SHOWN], start=1):
        table.add_row(str(place), _snippet(first, question, ""), _snippet(second, question, f"{score:.3f} "))
    moved = f"right passage: BM25 {_place(outcome.bm25_rank)}, reranked {_place(outcome.reranked_rank)}"
    return Group(Text(f"\n{question.text}", style="bold"), table, Text(f"   {moved}", style="dim"))


def quality(outcomes: Sequence[Outcome], passages: int) -> RenderableType:
    """hit@3 and MRR side by side, and what they are measured on."""
    candidates = len(outcomes[0].bm25)
    before = [outcome.bm25_rank for outcome in outcomes]
    after = [outcome.reranked_rank for outcome in outcomes]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    for name in ("BM25", "reranked"):
        table.add_column(name, justify="right")
    table.add_row(f"hit@{HIT_AT}", f"{hit_rate(before, HIT_AT):.3f}", f"{hit_rate(after, HIT_AT):.3f}")
    table.add_row(f"MRR@{candidates}", f"{mean_reciprocal_rank(before):.3f}", f"{mean_reciprocal_rank(after):.3f}")

    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old is not None and new is not None]
    better, worse = sum(new < old for old, new in pairs), sum(new > old for old, new in pairs)
    note = (
        f"{len(outcomes)} questions, one right passage each among {passages:,}; "
        f"the reranker orders BM25's first {candidates}. "
        f"In {len(outcomes) - len(pairs)} questions the right one is not among these and counts as missed by both. "
        f"Of the other {len(pairs)}, reranking moved it up in {better}, down in {worse}."
    )
    return Group(table, Text(f"\n{note}\n"))


def _snippet(passage: Passage, question: Question, prefix: str) -> Text:
    right = passage.id == question.right
    text = Text.assemble(("✓ ", "bold green") if right else "  ", prefix, passage.text)
    text.truncate(_SNIPPET, overflow="ellipsis")
    return text


def _place(rank: int | None) -> str:
    return "not among the candidates" if rank is None else f"place {rank}"
