"""Throughput under saturation: a fixed number of requests always under way, until the time is up."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.target import Sample, Target
from rerank_toolkit.client import Overloaded
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.profile import Saturation

LONGEST_PAUSE_S = 1.0

Request = tuple[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Throughput:
    documents_per_second: float
    how: Saturation


def saturate(target: Target, requests: Sequence[Request], *, in_flight: int, seconds: float) -> Throughput:
    """Sends `requests` over and over for `seconds`, at least one by each caller, then waits for what is under way.

    Documents answered over the time from the first request to the last answer. A server that is never without
    work is busy to the end, so the drain belongs to both. Raises the first error other than a refusal.
    """
    stop = threading.Event()
    supply = itertools.cycle(requests)
    supply_lock = threading.Lock()
    outcomes: queue.SimpleQueue[Sample | ToolkitError | None] = queue.SimpleQueue()
    deadline = time.monotonic() + seconds

    def caller() -> None:
        try:
            while True:
                with supply_lock:
                    request = next(supply)
                outcomes.put(_outcome(target, request, stop))
                if stop.is_set() or time.monotonic() >= deadline:
                    break
        except Exception:  # whatever a request says whose client is closed under it by an interrupted measurement
            if not stop.is_set():
                raise
        finally:  # whatever happened: the collector waits for this word
            outcomes.put(None)

    start = time.perf_counter()
    # Daemons: whoever interrupts the measurement is not kept waiting for requests that are still under way.
    callers = [threading.Thread(target=caller, daemon=True, name=f"caller-{i}") for i in range(in_flight)]
    try:
        for thread in callers:
            thread.start()
        samples, refused = _collect(outcomes, len(callers))
    finally:
        stop.set()
    elapsed = time.perf_counter() - start
    if not samples:
        raise NotMeasurable(
            f"under load the endpoint refused all {refused} requests; record when it serves nobody else, or with "
            "more time (--budget-seconds)"
        )
    documents = sum(sample.documents for sample in samples)
    tokens = sum(sample.origin.tokens for sample in samples)
    squares = sum(sample.origin.sum_squared_tokens for sample in samples)
    return Throughput(
        round(documents / elapsed, 3),
        Saturation(
            documents_per_request=max(sample.documents for sample in samples),
            tokens_per_document=round(tokens / documents, 2),
            squared_tokens_per_document=round(squares / documents, 1),
            in_flight=in_flight,
            requests=len(samples),
            refused=refused,
            seconds=round(elapsed, 2),
        ),
    )


def _outcome(target: Target, request: Request, stop: threading.Event) -> Sample | ToolkitError:
    """What became of one request; after a refusal, once the wait that was asked for is over or `stop` is set."""
    try:
        return target.ask(*request)
    except Overloaded as error:
        stop.wait(min(error.retry_after or 0.1, LONGEST_PAUSE_S))
        return error
    except ToolkitError as error:
        stop.set()  # the measurement is lost: no caller goes on
        return error


def _collect(outcomes: queue.SimpleQueue[Sample | ToolkitError | None], callers: int) -> tuple[list[Sample], int]:
    """All samples and the number of refusals, once every caller has said that it is done."""
    samples: list[Sample] = []
    refused = 0
    while callers:
        match outcomes.get():
            case None:
                callers -= 1
            case Sample() as sample:
                samples.append(sample)
            case Overloaded():
                refused += 1
            case ToolkitError() as error:
                raise error
    return samples, refused
