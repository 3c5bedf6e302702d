"""Step Functions: executions really run.

moto has an interpreter for state machines, which is switched off. Its parser takes a second to import, so it is
switched on with the first request.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from moto.stepfunctions import responses

from rerank_toolkit.local_sagemaker.clients import Clients

if TYPE_CHECKING:
    from moto.core.base_backend import BackendDict

    from rerank_toolkit.local_sagemaker.additions.interpreter import Backend


def install(clients: Clients) -> None:
    lock = Lock()
    backends: BackendDict[Backend] | None = None

    def get_backend(account: str, region: str) -> Backend:
        nonlocal backends
        with lock:
            if backends is None:
                from rerank_toolkit.local_sagemaker.additions.interpreter import make_backends  # noqa: PLC0415  # slow

                backends = make_backends(clients)
        return backends[account][region]

    setattr(responses, get_backend.__name__, get_backend)
