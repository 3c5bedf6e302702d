"""The queue of an asynchronous endpoint: requests wait here until an instance takes them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Condition, Thread

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
"""For requests that have waited too long while no instance takes any."""
MOST_THREADS = 64
DEFAULT_CONCURRENCY = 4
"""Requests at once for each instance where the configuration says nothing: SageMaker then "chooses an optimal value",
and doesn't tell which."""


@dataclass(frozen=True)
class AsyncRequest:
    inference_id: str
    headers: Mapping[str, str]
    """For the container."""
    body: bytes | None
    """None: it lies at `input_location`."""
    input_location: str | None
    output_location: str
    failure_location: str | None
    time_to_live_s: float
    """That it may wait."""
    timeout_s: float
    """That the container may take."""
    received: datetime = field(default_factory=lambda: datetime.now(UTC))
    received_at: float = field(default_factory=time.monotonic)

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.received_at


class AsyncQueue:
    """Hands requests on in their order, as many at once as `capacity` says; nothing while that is 0.

    `work` is called for each in a thread and gives False for one that must go back into the queue, because its
    container was taken away; `expire` is called for those that have waited too long.
    """

    def __init__(
        self,
        name: str,
        *,
        capacity: Callable[[], int],
        work: Callable[[AsyncRequest], bool],
        expire: Callable[[AsyncRequest], None],
    ) -> None:
        self._capacity = capacity
        self._work = work
        self._expire = expire
        self._waiting: deque[AsyncRequest] = deque()
        self._under_way = 0
        self._closed = False
        self._change = Condition()
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix=f"async {name}")
        Thread(target=self._dispatch, name=f"queue {name}", daemon=True).start()

    def __len__(self) -> int:
        """Requests that wait or are under way."""
        with self._change:
            return len(self._waiting) + self._under_way

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def oldest_age_s(self) -> float:
        """0 if none waits."""
        with self._change:
            return self._waiting[0].age_s if self._waiting else 0.0

    def put(self, request: AsyncRequest) -> None:
        with self._change:
            self._waiting.append(request)
            self._change.notify_all()

    def wake(self) -> None:
        """The capacity has changed."""
        with self._change:
            self._change.notify_all()

    def close(self) -> None:
        """What waits is dropped, as SageMaker drops it with the endpoint."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _dispatch(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(self._may_go_on, LOOK_EVERY_S)
                if self._closed:
                    return
                expired = [request for request in self._waiting if request.age_s > request.time_to_live_s]
                for request in expired:
                    self._waiting.remove(request)
                taken = []
                while self._waiting and self._under_way < self._capacity():
                    taken.append(self._waiting.popleft())
                    self._under_way += 1
                for request in taken:
                    self._threads.submit(self._run, request)
            for request in expired:
                self._expire(request)

    def _may_go_on(self) -> bool:
        return self._closed or (bool(self._waiting) and self._under_way < self._capacity())

    def _run(self, request: AsyncRequest) -> None:
        done = True
        try:
            done = self._work(request)
        except Exception:  # a defect of ours must not stop the queue
            logger.exception("asynchronous request %s", request.inference_id)
        finally:
            with self._change:
                self._under_way -= 1
                if not done and not self._closed:
                    self._waiting.appendleft(request)
                self._change.notify_all()
