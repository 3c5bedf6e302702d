"""The jina-sagemaker client, and the rows of its batch transform jobs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import msgspec

from inference_container.csv_rows import MalformedRow
from inference_container.dialects.base import (
    JSON,
    JSON_LINES,
    Example,
    Inquiry,
    JsonDialect,
    ModelNames,
    Ranking,
    RerankTask,
)
from inference_container.dialects.reading import BODY, bounded, join, plain_text, query_faults, read
from inference_container.errors import InvalidRequest
from rerank_toolkit.contracts.faults import MOST_FAULTS, Fault
from rerank_toolkit.contracts.wire import Text


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One query and its documents."""

    query: str | Text
    """What the documents are ranked by."""
    documents: Annotated[list[str | Text], msgspec.Meta(min_length=1)]
    """The texts to rank."""
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How many of the best to answer with; absent: all."""
    id: str | None = None
    """Of a row of a batch transform job; the answer has it too."""


class CountedTokens(msgspec.Struct, frozen=True):
    id: str
    """Made up for this answer."""
    total_tokens: int
    """Read by the model."""


class NamedDocument(msgspec.Struct, frozen=True):
    id: str
    """Made up for this answer."""
    text: str
    """As it was sent."""


class NamedResult(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """Made up for this answer."""
    index: int
    """Position in the item's documents."""
    document: NamedDocument
    """The text itself."""
    relevance_score: float
    """Between 0 and 1."""
    usage: CountedTokens
    """The document's tokens and the special ones, not the query's."""


class ItemAnswer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """That of the row; else made up for this answer."""
    query_usage: CountedTokens
    """The query's own tokens, counted once."""
    results: list[NamedResult]
    """Best first; at most top_n."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    data: list[ItemAnswer]
    """An entry for each item, in their order."""
    parameters: dict[str, object] = {}
    """Always empty for a reranker; the client's format has it."""


class JinaSageMakerDialect(JsonDialect):
    """`data` is an item, as the client sends it, or a list of them, as it does for jina-reranker-m0.

    The client hands on what `data` of the answer holds: one entry for each item.
    """

    name = "jina-sagemaker"
    request = Item
    examples: Sequence[Example] = (
        Example(
            {
                "data": {
                    "documents": [
                        {"text": "Berlin is the capital of Germany."},
                        {"text": "Bananas are rich in potassium."},
                    ],
                    "query": "What is the capital of Germany?",
                    "top_n": 1,
                }
            }
        ),
    )

    def parse(self, body: object, names: ModelNames) -> Inquiry:
        data = body.get("data") if isinstance(body, dict) else None
        match data:
            case dict():
                return _inquire([data], ["data"], names, self._render)
            case [_, *_]:
                return _inquire(data, [f"data[{index}]" for index in range(len(data))], names, self._render)
            case []:
                raise InvalidRequest([Fault("data", "has 0 items; expected at least 1", "too_short")])
        shown = "is missing" if data is None else "is of another type"
        expected = "expected an object with query and documents, or a list of them"
        raise InvalidRequest([Fault("data", f"{shown}; {expected}", "wrong_type")])

    def _render(self, answers: list[ItemAnswer]) -> object:
        return Answer(data=answers)


class JinaSageMakerRows(JinaSageMakerDialect):
    """The rows of a batch transform job, as `inference_container.csv_rows` reads them: a line of answer for each.

    Batch transform puts as many rows into a body as it likes and the answers one after the other, and can join each
    with its row if they are as many.
    """

    examples: Sequence[Example] = ()

    def __init__(self, *, one_document: bool = False) -> None:
        """`one_document`: all rows' answers in one `data` instead."""
        self.media_type = JSON if one_document else JSON_LINES

    def parse(self, body: object, names: ModelNames) -> Inquiry:
        if not isinstance(body, list):
            raise InvalidRequest([Fault(BODY, "is JSON; expected rows of CSV", "wrong_type")])
        return _inquire(body, [f"rows[{index}]" for index in range(len(body))], names, self._render)

    def _render(self, answers: list[ItemAnswer]) -> object:
        if self.media_type == JSON:
            return super()._render(answers)
        return [Answer(data=[answer]) for answer in answers]


def _inquire(
    items: Sequence[object], places: Sequence[str], names: ModelNames, render: Callable[[list[ItemAnswer]], object]
) -> Inquiry:
    sound: list[Item] = []
    faults: list[Fault] = []
    for item, place in zip(items, places, strict=True):
        if isinstance(item, MalformedRow):
            faults.append(Fault(place, item.why, "malformed"))
        elif fault := _asks_for_embeddings(item, place, names):
            faults.append(fault)
        else:
            one, found = read(item, Item, field=place)
            faults += found + query_faults(item, field=join(place, "query"))
            sound += [one] if one else []
        if len(faults) > MOST_FAULTS:
            break
    if faults:
        raise InvalidRequest(bounded(faults))
    tasks = [
        RerankTask(
            queries=[plain_text(item.query)],
            documents=[plain_text(document) for document in item.documents],
            query_field=f"{place}.query",
            document_field=f"{place}.documents[{{index}}]",
        )
        for item, place in zip(sound, places, strict=True)
    ]
    return Inquiry(tasks, partial(_render_items, sound, tasks, render))


def _asks_for_embeddings(item: object, place: str, names: ModelNames) -> Fault | None:
    match item:
        case {"query": _} | {"documents": _}:
            return None
        case {"text": _} | {"image": _} | {"url": _} | {"bytes": _}:
            return Fault(
                place,
                f"is something to embed, and this server ranks: it has {names.served}; send query and documents",
                "not_an_embedding_model",
            )
    return None


def _render_items(
    items: Sequence[Item],
    tasks: Sequence[RerankTask],
    render: Callable[[list[ItemAnswer]], object],
    ranking: Ranking,
) -> object:
    answers: list[ItemAnswer] = []
    first = 0
    for item, task in zip(items, tasks, strict=True):
        answers.append(_answer(item, task, ranking.part(first, len(task.documents))))
        first += len(task.documents)
    return render(answers)


def _answer(item: Item, task: RerankTask, ranking: Ranking) -> ItemAnswer:
    scores = ranking.relevance_scores()
    return ItemAnswer(
        id=item.id or _new_id(),
        query_usage=CountedTokens(_new_id(), ranking.query_lengths[0]),
        results=[
            NamedResult(
                id=_new_id(),
                index=index,
                document=NamedDocument(_new_id(), task.documents[index]),
                relevance_score=scores[index],
                usage=CountedTokens(_new_id(), ranking.lengths[index] - ranking.query_lengths[index]),
            )
            for index in ranking.best_first()[: item.top_n]
        ],
    )


def _new_id() -> str:
    # Not uuid4: three for each of 40,000 documents would be as many system calls.
    return f"{random.getrandbits(128):032x}"
