"""A load generator that costs little: one event loop, bodies made beforehand, connections kept, answers read later.

It computes on the same cores as the server it measures, so what it needs is measured too.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.load import REFUSALS
from rerank_toolkit.bench.texts import TextRuler
from rerank_toolkit.bench.trace import Arrival
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES, Origin, decode_origin

Result = TypeVar("Result")

LEAD_S = 0.05
"""Until the first request is due: time to hand all of them to the event loop."""


LEAST_TURNS = 4
"""Saturated for less, a server has hardly answered anything."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request and its end."""

    position: int
    """In the trace."""
    due_s: float
    """From the beginning of what was sent together."""
    late_s: float
    """By how much it was sent after that: the generator's own delay."""
    seconds: float
    """From when it was due to the whole answer."""
    status: int
    attributes: str

    @property
    def answered(self) -> bool:
        return self.status == 200

    def origin(self) -> Origin:
        """Raises NotMeasurable where the answer doesn't tell."""
        origin = decode_origin(self.attributes)
        if origin is None:
            raise NotMeasurable("the server doesn't tell how its answers are made: it is no container of this toolkit")
        return origin


def body_of(arrival: Arrival, ruler: TextRuler, *, query_tokens: int, seed: int) -> bytes:
    """A request whose pairs have about the arrival's tokens; other seeds give other texts."""
    texts = [
        ruler.text(tokens - ruler.overhead - query_tokens, start=1000 * seed + index)
        for index, tokens in enumerate(arrival.tokens)
    ]
    query = ruler.text(query_tokens, start=1_000_000 + seed)
    return msgspec.json.encode({"query": query, "documents": texts, "top_n": 1, "return_documents": False})


class Generator:
    """Sends `bodies`, by their position in the trace. To be used within one event loop."""

    def __init__(self, url: str, bodies: Sequence[bytes], *, timeout_s: float) -> None:
        self._url = f"{url.rstrip('/')}/invocations"
        self._bodies = bodies
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            headers={"Content-Type": "application/json"},
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def one_by_one(self, *, seconds: float, pause_s: float) -> list[Sent]:
        """Each when the one before was answered and `pause_s` has passed, for `seconds`; two at least."""
        start = time.monotonic()
        sent: list[Sent] = []
        for position in self._positions():
            due_s = time.monotonic() - start + pause_s
            await asyncio.sleep(pause_s)
            sent.append(await self._send(position, start, due_s))
            if len(sent) > 1 and time.monotonic() - start >= seconds:
                return sent
        raise RuntimeError("positions ended. This is a bug.")

    async def keep_under_way(self, in_flight: int, *, seconds: float) -> list[Sent]:
        """Always so many at once, for `seconds` and until LEAST_TURNS times as many have ended; in that order."""
        start = time.monotonic()
        supply = self._positions()
        sent: list[Sent] = []

        async def caller() -> None:
            while True:
                sent.append(await self._send(next(supply), start, time.monotonic() - start))
                if time.monotonic() - start >= seconds and len(sent) >= LEAST_TURNS * in_flight:
                    return

        await _all(caller() for _ in range(in_flight))
        return sent

    async def when_due(self, moments: Sequence[float]) -> list[Sent]:
        """The trace's first requests, each at its moment, whatever became of those before; in their order."""
        start = time.monotonic() + LEAD_S

        async def due(position: int, at: float) -> Sent:
            await asyncio.sleep(start + at - time.monotonic())
            return await self._send(position, start, at)

        return await _all(due(position, at) for position, at in enumerate(moments))

    def _positions(self) -> itertools.cycle[int]:
        return itertools.cycle(range(len(self._bodies)))

    async def _send(self, position: int, start: float, due_s: float) -> Sent:
        late_s = time.monotonic() - start - due_s
        try:
            response = await self._client.post(self._url, content=self._bodies[position])
        except httpx.TimeoutException:
            raise NotMeasurable(f"request {position} of the trace got no answer in {self._timeout_s:g} s") from None
        except httpx.TransportError as error:
            raise NotMeasurable(f"the connection to {self._url} broke: {error or type(error).__name__}") from None
        seconds = time.monotonic() - start - due_s
        if not response.is_success and response.status_code not in REFUSALS:
            told = f"answered request {position} of the trace with {response.status_code}"
            raise NotMeasurable(f"{self._url} {told}: {response.text[:300]}")
        attributes = response.headers.get(CUSTOM_ATTRIBUTES, "")
        return Sent(position, due_s, late_s, seconds, response.status_code, attributes)


async def _all(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Their results, in their order. The first that fails ends the others, and is raised itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except* NotMeasurable as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
