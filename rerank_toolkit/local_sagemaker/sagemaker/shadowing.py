"""Shadow variants: they get copies of the requests, and their answers reach nobody."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Fleet, Member, Replaced
from rerank_toolkit.local_sagemaker.sagemaker.host import Host, NoCapacity
from rerank_toolkit.local_sagemaker.sagemaker.invocation import Invocation, call
from rerank_toolkit.local_sagemaker.sagemaker.metrics import Metrics
from rerank_toolkit.local_sagemaker.sagemaker.observations import observe

logger = logging.getLogger(__name__)

_THREADS = 8
_MOST_WAITING = 64
"""Copies beyond are not sent: a shadow that can't keep up must not fill the memory."""


class Shadowing:
    def __init__(self, host: Host, metrics: Metrics) -> None:
        self._host = host
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="shadow")
        self._room = BoundedSemaphore(_THREADS + _MOST_WAITING)

    def copy(self, endpoint: Endpoint, fleet: Fleet, member: Member, asked: Invocation) -> None:
        """Sends a copy to the fleet's shadow, as often as the weights say; the caller never waits for it."""
        shadow = fleet.shadow_of(member)
        if shadow is None:
            return
        if not self._room.acquire(blocking=False):
            logger.warning("%s: the shadow %s can't keep up, a copy was not sent", endpoint.name, shadow.name)
            return
        self._threads.submit(self._send, endpoint, shadow, asked)

    def _send(self, endpoint: Endpoint, shadow: Member, asked: Invocation) -> None:
        try:
            with shadow.admitted(), self._host.use(endpoint.name, shadow) as (container, _):
                answer = call(container, asked)
            observe(self._metrics, shadow, answer, total_s=answer.seconds)
        except (Replaced, NoCapacity):
            logger.info("%s: the shadow %s is stopped, a copy was not sent", endpoint.name, shadow.name)
        finally:
            self._room.release()
