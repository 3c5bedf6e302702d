"""A served model at work: from a body to a ranking, without HTTP.

Parsing and tokenising run in worker threads, compute in the dispatcher's; the event loop only waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from inference_container.body import decode_json
from inference_container.dialects import Dialect, Ranking, RerankTask
from inference_container.dispatcher import Dispatcher, Scores
from inference_container.errors import InvalidRequest, RequestTooLarge
from inference_container.metrics import Metrics
from inference_container.served import EncodedTask, ServedModel
from rerank_toolkit.contracts.faults import MOST_FAULTS, Fault
from rerank_toolkit.contracts.settings import Settings

_DOCUMENTS_AT_ONCE = 512
"""Tokenised in one go; in between, a request of a million can be given up."""

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
        self._dispatcher = Dispatcher(
            model.engine,
            token_budget=settings.token_budget,
            max_queued_tokens=settings.max_queued_tokens,
            time_limit_s=settings.time_limit_s,
            metrics=metrics,
        )

    @property
    def alive(self) -> bool:
        """Whether it can still answer anything."""
        return self._dispatcher.alive

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
        """Raises RequestTooLarge as soon as it is one, InvalidRequest for documents that may not be cut."""
        encoded = EncodedTask()
        for first in range(0, len(task.documents), _DOCUMENTS_AT_ONCE):
            encoded.extend(*await self._in_worker(self.model.encode, task, first, first + _DOCUMENTS_AT_ONCE))
            if encoded.tokens > self._settings.max_queued_tokens:
                raise RequestTooLarge(
                    f"the first {first + _DOCUMENTS_AT_ONCE:,} of {len(task.documents):,} documents have "
                    f"{encoded.tokens:,} tokens with the query; at most {self._settings.max_queued_tokens:,} may "
                    "wait here; send fewer or shorter documents",
                    reason="too_large",
                )
        if not task.truncate and encoded.truncated:
            raise InvalidRequest([self._fault_of_cut(task, index) for index in encoded.truncated[:MOST_FAULTS]])
        return encoded

    async def score(self, encoded: EncodedTask, *, deadline: float) -> Scores:
        """Raises as Dispatcher.score."""
        return await self._dispatcher.score(encoded.work, deadline=deadline)

    def rank(self, encoded: EncodedTask, scores: Scores) -> Ranking:
        return Ranking(
            model=self.model.manifest.display_name,
            logits=scores.logits,
            tokens=encoded.tokens,
            truncated_documents=len(encoded.truncated),
        )

    def close(self, reason: str, *, timeout_s: float) -> None:
        """Fails what is left with NotReady(reason), and waits so long for the batch that is being computed."""
        self._dispatcher.close(reason, timeout_s=timeout_s)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _fault_of_cut(self, task: RerankTask, index: int) -> Fault:
        limit = f"fit into {self.model.manifest.max_tokens:,} tokens beside the query"
        if task.max_document_tokens:
            limit = f"have at most {task.max_document_tokens:,} tokens and {limit}"
        return Fault(f"{task.documents_field}[{index}]", f"does not {limit}, and truncate is false", "too_long")

    async def _in_worker(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._workers, lambda: function(*args, **kwargs))
