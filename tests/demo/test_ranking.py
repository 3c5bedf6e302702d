"""The figures that the demo prints, on rankings whose figures are known."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from demo.asking import Answer, AnswerMalformed, read_answer
from demo.collection import Passage, Question, load_passages, load_questions
from demo.metrics import hit_rate, mean_reciprocal_rank, rank_of
from demo.report import Outcome, example, examples, quality
from demo.retrieval import bm25_candidates

A, B, C, D = (Passage(name, f"text of {name}") for name in "ABCD")


def outcome(right: str, bm25: list[Passage], reranked: list[Passage]) -> Outcome:
    scores = [1 / place for place in range(1, len(reranked) + 1)]
    return Outcome(Question(f"q-{right}", f"Which is {right}?", right), bm25, Answer("m", reranked, scores, tokens=9))


def printed(renderable: RenderableType) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_rank_counts_from_one() -> None:
    assert rank_of("A", ["A", "B"]) == 1
    assert rank_of("B", ["A", "B"]) == 2
    assert rank_of("C", ["A", "B"]) is None


def test_hit_rate_is_the_share_within_k() -> None:
    assert hit_rate([1, 3, 4, None], 3) == 0.5
    assert hit_rate([1, 3, 4, None], 1) == 0.25


def test_reciprocal_ranks_are_averaged_with_zero_for_the_missing() -> None:
    assert mean_reciprocal_rank([1, 2, 4, None]) == pytest.approx((1 + 1 / 2 + 1 / 4) / 4)


def test_quality_names_both_rankings_and_what_they_are_of() -> None:
    outcomes = [
        outcome("A", bm25=[D, B, C, A], reranked=[A, B, C, D]),
        outcome("B", bm25=[B, A, C, D], reranked=[A, B, C, D]),
        outcome("missing", bm25=[B, A, C, D], reranked=[A, B, C, D]),
    ]
    text = printed(quality(outcomes, passages=1234))

    assert [line.split() for line in text.splitlines() if "@" in line] == [
        ["hit@3", "0.333", "0.667"],
        ["MRR@4", "0.417", "0.500"],
    ]
    words = " ".join(text.split())
    assert "3 questions, one right passage each among 1,234; the reranker orders BM25's first 4." in words
    assert "In 1 questions the right one is not among these" in words
    assert "Of the other 2, reranking moved it up in 1, down in 1." in words


def test_an_example_marks_the_right_passage_and_tells_its_places() -> None:
    text = printed(example(outcome("C", bm25=[A, B, D, C], reranked=[C, A, B, D])))

    assert "Which is C?" in text
    assert "✓ 1.000 text of C" in text
    assert text.count("✓") == 1
    assert "BM25 place 4, reranked place 1" in text


def test_examples_are_taken_by_the_rule_that_they_state() -> None:
    found = [outcome(name, bm25=[A, B, C, D], reranked=[A, B, C, D]) for name in "ABCD"]
    missed = outcome("missing", bm25=[A, B, C, D], reranked=[A, B, C, D])

    text = printed(examples([missed, *found, missed], every=2))

    assert "One in 2 of the 4 questions whose right passage (✓) is among the candidates" in text
    assert [name for name in (*"ABCD", "missing") if f"Which is {name}?" in text] == ["B", "D"]


def test_an_answer_gives_the_passages_in_its_order() -> None:
    document = {
        "model": "m",
        "usage": {"total_tokens": 12},
        "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}],
    }
    assert read_answer(document, [A, B]) == Answer("m", [B, A], [0.9, 0.2], tokens=12)


@pytest.mark.parametrize("order", [[0], [0, 0], [0, 1, 2]])
def test_an_answer_must_rank_each_passage_once(order: list[int]) -> None:
    document = {
        "model": "m",
        "usage": {"total_tokens": 12},
        "results": [{"index": index, "relevance_score": 0.5} for index in order],
    }
    with pytest.raises(AnswerMalformed, match="2 passages were sent, the answer ranks"):
        read_answer(document, [A, B])


def test_another_body_is_named() -> None:
    with pytest.raises(AnswerMalformed, match=r"not Jina's response body \(KeyError\('results'\)\): .*detail"):
        read_answer({"detail": "too busy"}, [A])


def test_bm25_finds_a_passage_by_its_own_words() -> None:
    passages = load_passages()
    wanted = passages[::97]
    queries = [Question(passage.id, " ".join(passage.text.split()[:25]), passage.id) for passage in wanted]

    found = bm25_candidates(passages, queries, 5)

    assert [candidates[0] for candidates in found] == wanted
    assert {len(candidates) for candidates in found} == {5}


def test_bm25_leaves_the_reranker_something_to_win() -> None:
    passages, questions = load_passages(), load_questions()
    found = bm25_candidates(passages, questions, 10)
    ranks = [rank_of(q.right, [p.id for p in ps]) for q, ps in zip(questions, found, strict=True)]

    assert hit_rate(ranks, 3) < hit_rate(ranks, 10) < 1
