"""The first stage: BM25 over all passages, which leaves the reranker a few candidates a question."""

from __future__ import annotations

from collections.abc import Sequence

import bm25s

from demo.collection import Passage, Question


def bm25_candidates(passages: Sequence[Passage], questions: Sequence[Question], count: int) -> list[list[Passage]]:
    """For each question its `count` best passages, best first.

    bm25s' defaults (Lucene's formula, k1 = 1.5, b = 0.75) over lower-cased words less English stop words.
    """
    index = bm25s.BM25()
    index.index(
        bm25s.tokenize([passage.text for passage in passages], stopwords="en", show_progress=False),
        show_progress=False,
    )
    queries = bm25s.tokenize([question.text for question in questions], stopwords="en", show_progress=False)
    found, _ = index.retrieve(queries, k=min(count, len(passages)), show_progress=False)
    return [[passages[row] for row in rows] for rows in found]
