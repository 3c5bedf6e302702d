"""The sides of a comparison: whoever takes a query and documents as text and gives a score for each."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx
import msgspec

from rerank_toolkit.bench.errors import NotComparable, NotMeasurable
from rerank_toolkit.bench.texts import TextRuler
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES, Origin, RerankResponse, decode_origin

ANSWER_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Scored:
    """One request's answer."""

    logits: list[float]
    """In the documents' order."""
    seconds: float
    """From texts to scores, as this side's caller sees it."""
    origin: Origin | None = None
    """How it was made, where the side is our container."""


class Side(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int:
        """Of the process at the head of those that compute."""

    def score(self, query: str, documents: Sequence[str]) -> Scored: ...


class ContainerSide:
    """Our container's server, over HTTP."""

    def __init__(self, name: str, url: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self._url = f"{url}/invocations"
        self._client = _http_client()

    def score(self, query: str, documents: Sequence[str]) -> Scored:
        start = time.perf_counter()
        body = msgspec.json.encode({"query": query, "documents": documents, "return_documents": False})
        response = self._client.post(self._url, content=body, headers={"Content-Type": "application/json"})
        _expect_success(self.name, response)
        answer = msgspec.json.decode(response.content, type=RerankResponse)
        seconds = time.perf_counter() - start
        scores = {item.index: item.relevance_score for item in answer.results}
        logits = [_logit(scores[index]) for index in range(len(documents))]
        return Scored(logits, seconds, decode_origin(response.headers.get(CUSTOM_ATTRIBUTES, "")))

    def ruler(self) -> TextRuler:
        """For texts of a wanted number of tokens of this server's model; takes two small requests."""
        return TextRuler.calibrate(self._count_tokens)

    def close(self) -> None:
        self._client.close()

    def _count_tokens(self, query: str, documents: Sequence[str]) -> int:
        origin = self.score(query, documents).origin
        if origin is None:
            raise NotMeasurable(f"{self.name} doesn't tell how many tokens it read: it is no container of this toolkit")
        return origin.tokens


def _http_client() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=ANSWER_TIMEOUT_S)


def _expect_success(name: str, response: httpx.Response) -> None:
    if not response.is_success:
        raise NotComparable(f"{name} answered {response.status_code}: {response.text[:300]}")


def _logit(probability: float) -> float:
    """What a sigmoid made `probability` of; the ends, where no logit is left, count as the largest that is."""
    least = 1e-15
    clipped = min(max(probability, least), 1 - least)
    return math.log(clipped / (1 - clipped))
