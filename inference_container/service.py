"""A served model at work: from a body to a ranking, without HTTP.

Parsing, tokenising and the rendering of many documents run in worker threads, compute in the dispatcher's; the
event loop only waits.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import msgspec
import numpy as np

from inference_container.body import Decoded, decode
from inference_container.dialects import JSON, JSON_LINES, Dialect, Inquiry, Ranking, RerankTask
from inference_container.dispatcher import Dispatcher, closed_error
from inference_container.errors import InvalidRequest, QueueFull, RequestTooLarge
from inference_container.job import Scores
from inference_container.metrics import Metrics
from inference_container.served import EncodedTask, ServedModel
from inference_container.tokenization import QueryTooLong
from rerank_toolkit.contracts.faults import MOST_FAULTS, Fault
from rerank_toolkit.contracts.settings import Settings

_DOCUMENTS_AT_ONCE = 512
_CHARACTERS_AT_ONCE = 1_000_000
"""Tokenised in one go; in between, a request of a million can be given up. As many are rendered in no time."""

_QUERIES_AT_ONCE = 512

_ENCODER = msgspec.json.Encoder()

_WARM_UP_LIMIT_S = 300.0

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class RerankService:
    """Answers the tasks of one process."""

    def __init__(self, model: ServedModel, settings: Settings, metrics: Metrics) -> None:
        self.model = model
        self._settings = settings
        # The tokenizer uses every core for one request; a second worker lets a small request past a large one.
        self._workers = ThreadPoolExecutor(2, thread_name_prefix="tokenize")
        self._tokens_read = 0  # of requests that are being tokenised
        self._closed = ""
        self._dispatcher = Dispatcher(
            model.replicas,
            token_budget=model.token_budget,
            max_queued_tokens=settings.max_queued_tokens,
            time_limit_s=settings.time_limit_s,
            metrics=metrics,
        )

    @property
    def fault(self) -> str | None:
        """Why nothing more will be answered here; None while all is well."""
        return self._dispatcher.fault

    @property
    def outage(self) -> str | None:
        """Why requests need not wait until that has passed."""
        return self._dispatcher.outage

    async def warm_up(self) -> None:
        """Answers one request of 512 tokens, from which the dispatcher learns how fast this machine is."""
        task = RerankTask(["how fast is this machine"], ["word " * 200] * 4, max_document_tokens=120)
        await self.score(await self.encode(task), deadline=time.monotonic() + _WARM_UP_LIMIT_S)

    async def decode(self, body: bytearray, content_type: str) -> Decoded:
        """Clears the body. Raises NotJson, NotCsv, UnsupportedEncoding."""

        def decode_and_clear() -> Decoded:
            decoded = decode(body, content_type)
            body.clear()
            return decoded

        return await self._in_worker(decode_and_clear)

    async def parse(self, dialect: Dialect, decoded: Decoded) -> Inquiry:
        """Raises InvalidRequest."""
        return await self._in_worker(dialect.parse, decoded.content, self.model.names)

    async def encode(self, *tasks: RerankTask, deadline: float = math.inf) -> EncodedTask:
        """All documents, one task's after the other's.

        Raises Refused as soon as what was read of them is too much to be scored by `deadline`, or others that are
        being read leave no room; InvalidRequest for queries that are too long and documents that may not be cut.
        """
        encoded = EncodedTask()
        count = sum(len(task.documents) for task in tasks)
        try:
            for task in tasks:
                await self._encode_task(task, encoded, count, deadline)
        finally:
            self._tokens_read -= encoded.tokens
        self._refuse_cuts(tasks, encoded)
        return encoded

    async def _encode_task(self, task: RerankTask, encoded: EncodedTask, count: int, deadline: float) -> None:
        """Adds a task to what is encoded of a request of `count` documents."""
        queries = await self._encode_queries(task)
        least = encoded.tokens + len(task.documents) * self.model.tokenizer.special_tokens
        if task.query_of is None:
            least += len(task.documents) * len(queries[0])
        else:
            least += sum(len(queries[query]) for query in task.query_of)
        if least > self._settings.max_queued_tokens:
            documents = f"{len(encoded.flops) + len(task.documents):,} documents"
            query = "this query" if len(queries) == 1 else "these queries"
            raise RequestTooLarge(
                f"{documents} with {query} have at least {least:,} tokens; at most "
                f"{self._settings.max_queued_tokens:,} may wait here; send fewer or shorter documents",
                reason="too_large",
            )
        for first, last in _spans(task.documents):
            pairs, flops, query_lengths = await self._in_worker(self.model.encode, task, queries, first, last)
            encoded.extend(pairs, flops, query_lengths)
            self._tokens_read += sum(pairs.lengths)
            self._check_room(encoded, count, deadline)

    async def _encode_queries(self, task: RerankTask) -> list[list[int]]:
        queries: list[list[int]] = []
        for first in range(0, len(task.queries), _QUERIES_AT_ONCE):
            queries += await self._in_worker(self._read_queries, task, first)
        return queries

    def _read_queries(self, task: RerankTask, first: int) -> list[list[int]]:
        queries: list[list[int]] = []
        faults: list[Fault] = []
        for position, query in enumerate(task.queries[first : first + _QUERIES_AT_ONCE], start=first):
            try:
                queries.append(self.model.tokenizer.encode_query(query))
            except QueryTooLong as error:
                field = task.name_query(position)
                faults += [msgspec.structs.replace(fault, field=field) for fault in error.faults]
            if len(faults) == MOST_FAULTS:
                break
        if faults:
            raise InvalidRequest(faults)
        return queries

    def _check_room(self, encoded: EncodedTask, count: int, deadline: float) -> None:
        """Of a request of `count` documents, by what is encoded of it."""
        read = len(encoded.flops)
        documents = f"the {'' if read == count else f'first {read:,} of '}{count:,} documents"
        self._dispatcher.foresee(
            encoded.tokens,
            encoded.total_flops,
            encoded.longest_flops,
            found=f"{documents} have {encoded.tokens:,} tokens with the query",
            partial=read < count,
            deadline=deadline,
        )
        if self._tokens_read > self._settings.max_queued_tokens:
            raise QueueFull(
                f"requests of {self._tokens_read:,} tokens are being read; at most "
                f"{self._settings.max_queued_tokens:,} may wait here",
                reason="queue_full",
                retry_after_s=1,
            )

    async def score(self, encoded: EncodedTask, *, deadline: float) -> Scores:
        """Raises as Dispatcher.score."""
        if not encoded.flops:  # a search without hits
            return Scores(np.zeros(0, dtype=np.float32), inference_s=0, queue_s=0, batches=0, padding_ratio=0)
        return await self._dispatcher.score(encoded.work, deadline=deadline)

    async def render(self, inquiry: Inquiry, encoded: EncodedTask, scores: Scores, *, media_type: str = JSON) -> bytes:
        """The answer in its dialect's media type: for JSON_LINES what is rendered is a list of the lines."""
        ranking = Ranking(
            model=self.model.manifest.display_name,
            logits=scores.logits,
            lengths=encoded.pairs.lengths,
            query_lengths=encoded.query_lengths,
            truncated=encoded.pairs.truncated,
        )

        def render() -> bytes:
            answer = inquiry.render(ranking)
            if media_type == JSON_LINES and isinstance(answer, list):
                return _ENCODER.encode_lines(answer)
            return _ENCODER.encode(answer)

        return render() if inquiry.documents <= _DOCUMENTS_AT_ONCE else await self._in_worker(render)

    def close(self, reason: str, *, timeout_s: float) -> None:
        """Fails what is left with NotReady(reason), and waits so long for the batches that are being computed."""
        self._closed = reason
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._dispatcher.close(reason, timeout_s=timeout_s)

    def _refuse_cuts(self, tasks: Sequence[RerankTask], encoded: EncodedTask) -> None:
        faults: list[Fault] = []
        first = 0
        for task in tasks:
            cut = encoded.pairs.truncated[first : first + len(task.documents)]
            if not task.truncate and any(cut):
                faults += [self._fault_of_cut(task, index) for index in range(len(cut)) if cut[index]]
            first += len(task.documents)
        if faults:
            raise InvalidRequest(faults[:MOST_FAULTS])

    def _fault_of_cut(self, task: RerankTask, index: int) -> Fault:
        limit = f"fit into {self.model.manifest.max_tokens:,} tokens beside the query"
        if task.max_document_tokens:
            limit = f"have at most {task.max_document_tokens:,} tokens and {limit}"
        return Fault(task.name_document(index), f"does not {limit}, and truncate is false", "too_long")

    async def _in_worker(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Raises NotReady if the service is closed before a worker has come to it."""

        def guarded() -> Result:
            try:
                return function(*args, **kwargs)
            except Exception:
                raise
            except BaseException as panic:  # of the tokenizer's native code: no Exception, so it would pass every net
                raise RuntimeError(f"native code panicked: {type(panic).__name__}") from panic

        try:
            future = self._workers.submit(guarded)
        except RuntimeError:  # the workers take nothing more
            raise closed_error(self._closed) from None
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():  # the caller has left, or the time is up
                raise
            raise closed_error(self._closed) from None


def _spans(documents: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and last (exclusive) of each group that is tokenised in one go."""
    first = characters = 0
    for index, text in enumerate(documents):
        if index > first and (index - first == _DOCUMENTS_AT_ONCE or characters + len(text) > _CHARACTERS_AT_ONCE):
            yield first, index
            first, characters = index, 0
        characters += len(text)
    if documents:
        yield first, len(documents)
