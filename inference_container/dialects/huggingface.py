"""Text classification as the Hugging Face containers serve it, and as OpenSearch's connector asks for it."""

from __future__ import annotations

from functools import partial
from typing import Literal

import msgspec

from inference_container.dialects.base import Example, Inquiry, ModelNames, Ranking, RerankTask
from inference_container.dialects.reading import blank_query_faults, bounded, read, read_all
from inference_container.dialects.tei import Direction, TypedErrors
from inference_container.errors import InvalidRequest
from rerank_toolkit.contracts.faults import Fault


class TextPair(msgspec.Struct, frozen=True):
    text: str
    """The query."""
    text_pair: str
    """The document."""


class Parameters(msgspec.Struct, frozen=True):
    function_to_apply: Literal["sigmoid", "none"] = "sigmoid"
    """none: logits instead of numbers between 0 and 1."""


class HuggingFaceRequest(msgspec.Struct, frozen=True, kw_only=True):
    inputs: list[object] | dict[str, object]
    """A pair, or a list of them."""
    parameters: Parameters = Parameters()
    """Of the classification pipeline; what is not listed below is ignored."""
    raw_scores: bool = False
    """True: as function_to_apply none."""
    truncate: bool = True
    """False: a document that doesn't fit is an error instead of being cut."""
    truncation_direction: Direction = "right"
    """The end of a document that is cut."""


class Classified(msgspec.Struct, frozen=True):
    label: str
    """LABEL_0, the one class that a reranker has."""
    score: float
    """Between 0 and 1, or the logit."""


class HuggingFaceDialect(TypedErrors):
    """Answered in the order of the inputs. A body that asks for embeddings has `inputs` too, and is told so."""

    name = "huggingface"
    request = HuggingFaceRequest
    examples = (
        Example(
            {
                "inputs": [
                    {"text": "What is the capital of Germany?", "text_pair": "Berlin is the capital of Germany."},
                    {"text": "What is the capital of Germany?", "text_pair": "Bananas are rich in potassium."},
                ]
            }
        ),
        Example({"inputs": {"text": "What is a reranker?", "text_pair": "It sorts documents by relevance."}}),
    )

    def parse(self, body: object, names: ModelNames) -> Inquiry:
        if fault := _asks_for_embeddings(body, names):
            raise InvalidRequest([fault])
        plain = body
        if isinstance(body, dict) and isinstance(body.get("parameters"), dict):
            options = {name: value for name, value in body["parameters"].items() if value is not None}
            plain = {**body, "parameters": options}
        request, faults = read(plain, HuggingFaceRequest)
        pairs, found = _read_pairs(plain.get("inputs") if isinstance(plain, dict) else None)
        # An input that is wrong in itself is named by its part, not twice.
        faults = [fault for fault in faults if not (found and fault.field == "inputs")] + found
        if request is None or faults:
            raise InvalidRequest(bounded(faults))
        many = isinstance(request.inputs, list)
        place = "inputs[{index}]" if many else "inputs"
        task = RerankTask.of_pairs(
            [(pair.text, pair.text_pair) for pair in pairs],
            truncate=request.truncate,
            truncation_direction="left" if request.truncation_direction.casefold() == "left" else "right",
            query_field=f"{place}.text",
            document_field=f"{place}.text_pair",
        )
        if faults := blank_query_faults(task):
            raise InvalidRequest(faults)
        raw = request.raw_scores or request.parameters.function_to_apply == "none"
        return Inquiry([task], partial(_render, raw))


def _asks_for_embeddings(body: object, names: ModelNames) -> Fault | None:
    match body:
        case {"inputs": str()} | {"inputs": [str(), *_]}:
            return Fault(
                "inputs",
                f"is text to embed, and this server ranks: it has {names.served}; send pairs of text and text_pair, "
                "or query and texts",
                "not_an_embedding_model",
            )
    return None


def _read_pairs(inputs: object) -> tuple[list[TextPair], list[Fault]]:
    match inputs:
        case []:
            return [], [Fault("inputs", "has 0 items; expected at least 1", "too_short")]
        case list():
            return read_all(inputs, TextPair, field="inputs")
        case dict():
            pair, faults = read(inputs, TextPair, field="inputs")
            return [pair] if pair else [], faults
    return [], []


def _render(raw: bool, ranking: Ranking) -> list[Classified]:
    return [Classified("LABEL_0", score) for score in ranking.scores(raw=raw)]
