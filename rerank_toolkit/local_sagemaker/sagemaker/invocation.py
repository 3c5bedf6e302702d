"""One request to a container and what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import urllib3

from rerank_toolkit.local_sagemaker.sagemaker.container import Container

TIMED_OUT = 504
NO_ANSWER = 502


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a container is asked."""

    body: bytes
    headers: Mapping[str, str]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    """The container's; TIMED_OUT or NO_ANSWER if there was none."""
    seconds: float
    """That the container took."""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None
    """Why the container gave no answer."""

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "application/octet-stream")


def call(container: Container, asked: Invocation) -> Answer:
    """POSTs the body to /invocations and waits for the whole answer; never raises for what a container does."""
    started = time.perf_counter()
    timeout = urllib3.Timeout(total=asked.timeout_s)
    try:
        answer = container.pool.request("POST", "/invocations", body=asked.body, headers=asked.headers, timeout=timeout)
    except urllib3.exceptions.NewConnectionError as error:  # which urllib3 counts among the timeouts
        return _no_answer(container, error, started)
    except urllib3.exceptions.TimeoutError:
        return Answer(
            TIMED_OUT,
            time.perf_counter() - started,
            failure="Your invocation timed out while waiting for a response from container primary. "
            "Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again.",
        )
    except urllib3.exceptions.HTTPError as error:
        return _no_answer(container, error, started)
    return Answer(answer.status, time.perf_counter() - started, answer.data, answer.headers)


def _no_answer(container: Container, error: Exception, started: float) -> Answer:
    failure = f"The container does not answer: {error}. Its log: {container.log}"
    return Answer(NO_ANSWER, time.perf_counter() - started, failure=failure)
