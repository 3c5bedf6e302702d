"""A served model at work: from a body to a ranking, without HTTP.

Parsing, tokenising and the rendering of many documents run in worker threads, compute in the dispatcher's; the
event loop only waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import msgspec

from inference_container.body import decode_json
from inference_container.dialects import Dialect, Ranking, RerankTask
from inference_container.dispatcher import Dispatcher, Scores, closed_error
from inference_container.errors import InvalidRequest, QueueFull, RequestTooLarge
from inference_container.metrics import Metrics
from inference_container.served import EncodedTask, ServedModel
from rerank_toolkit.contracts.faults import MOST_FAULTS, Fault
from rerank_toolkit.contracts.settings import Settings

_DOCUMENTS_AT_ONCE = 512
"""Tokenised in one go; in between, a request of a million can be given up. As many are rendered in no time."""

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
            model.engine,
            token_budget=settings.token_budget,
            max_queued_tokens=settings.max_queued_tokens,
            time_limit_s=settings.time_limit_s,
            metrics=metrics,
        )

    @property
    def fault(self) -> str | None:
        """Why nothing more will be answered here; None while all is well."""
        return self._dispatcher.fault

    async def warm_up(self) -> None:
        """Answers one request of 512 tokens, from which the dispatcher learns how fast this machine is."""
        task = RerankTask("how fast is this machine", ["word " * 200] * 4, max_document_tokens=120)
        await self.score(await self.encode(task), deadline=time.monotonic() + _WARM_UP_LIMIT_S)

    async def parse(self, dialect: Dialect, body: bytearray) -> RerankTask:
        """Raises NotJson, InvalidRequest."""

        def parse() -> RerankTask:
            return dialect.parse(decode_json(body), self.model.names)

        return await self._in_worker(parse)

    async def encode(self, task: RerankTask) -> EncodedTask:
        """Raises RequestTooLarge as soon as it is one, QueueFull if others that are being read leave no room,
        QueryTooLong, InvalidRequest for documents that may not be cut."""
        query = await self._in_worker(self.model.tokenizer.encode_query, task.query)
        count = len(task.documents)
        least = count * (len(query) + self.model.tokenizer.special_tokens)
        if least > self._settings.max_queued_tokens:
            raise self._too_large(f"{count:,} documents with this query have at least {least:,} tokens")
        encoded = EncodedTask()
        try:
            for first in range(0, count, _DOCUMENTS_AT_ONCE):
                last = min(first + _DOCUMENTS_AT_ONCE, count)
                pairs, flops = await self._in_worker(self.model.encode, task, query, first, last)
                encoded.extend(pairs, flops)
                self._tokens_read += sum(pairs.lengths)
                self._check_room(encoded, f"the first {last:,} of {count:,} documents")
        finally:
            self._tokens_read -= encoded.tokens
        if not task.truncate and encoded.truncated:
            raise InvalidRequest([self._fault_of_cut(task, index) for index in encoded.truncated[:MOST_FAULTS]])
        return encoded

    def _check_room(self, encoded: EncodedTask, documents: str) -> None:
        if encoded.tokens > self._settings.max_queued_tokens:
            raise self._too_large(f"{documents} have {encoded.tokens:,} tokens with the query")
        if self._tokens_read > self._settings.max_queued_tokens:
            raise QueueFull(
                f"requests of {self._tokens_read:,} tokens are being read; at most "
                f"{self._settings.max_queued_tokens:,} may wait here",
                reason="queue_full",
                retry_after_s=1,
            )

    def _too_large(self, found: str) -> RequestTooLarge:
        return RequestTooLarge(
            f"{found}; at most {self._settings.max_queued_tokens:,} may wait here; send fewer or shorter documents",
            reason="too_large",
        )

    async def score(self, encoded: EncodedTask, *, deadline: float) -> Scores:
        """Raises as Dispatcher.score."""
        return await self._dispatcher.score(encoded.work, deadline=deadline)

    async def render(self, dialect: Dialect, task: RerankTask, encoded: EncodedTask, scores: Scores) -> bytes:
        """The answer in the dialect's JSON."""
        ranking = Ranking(
            model=self.model.manifest.display_name,
            logits=scores.logits,
            tokens=encoded.tokens,
            truncated_documents=len(encoded.truncated),
        )

        def render() -> bytes:
            return msgspec.json.encode(dialect.render(task, ranking))

        return render() if len(task.documents) <= _DOCUMENTS_AT_ONCE else await self._in_worker(render)

    def close(self, reason: str, *, timeout_s: float) -> None:
        """Fails what is left with NotReady(reason), and waits so long for the batch that is being computed."""
        self._closed = reason
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._dispatcher.close(reason, timeout_s=timeout_s)

    def _fault_of_cut(self, task: RerankTask, index: int) -> Fault:
        limit = f"fit into {self.model.manifest.max_tokens:,} tokens beside the query"
        if task.max_document_tokens:
            limit = f"have at most {task.max_document_tokens:,} tokens and {limit}"
        return Fault(f"{task.documents_field}[{index}]", f"does not {limit}, and truncate is false", "too_long")

    async def _in_worker(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Raises NotReady if the service is closed before a worker has come to it."""
        try:
            future = self._workers.submit(function, *args, **kwargs)
        except RuntimeError:  # the workers take nothing more
            raise closed_error(self._closed) from None
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():  # the caller has left, or the time is up
                raise
            raise closed_error(self._closed) from None
