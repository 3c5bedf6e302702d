"""infinity's own server, started on the same weights and asked by its POST /rerank."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
import msgspec

from rerank_toolkit.bench.errors import NotComparable, RivalUnavailable, ServerNotStarted
from rerank_toolkit.bench.server_process import free_port, run_server
from rerank_toolkit.bench.sides import ANSWER_TIMEOUT_S, Scored

_MODEL = "compared"
_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


class _Result(msgspec.Struct):
    index: int
    relevance_score: float


class _Answer(msgspec.Struct):
    results: list[_Result]


class InfinitySide:
    """A side of the comparison; its batches are as its server makes them."""

    def __init__(self, name: str, url: str, pid: int, client: httpx.Client) -> None:
        self.name = name
        self.pid = pid
        self._url = f"{url}/rerank"
        self._client = client

    def score(self, query: str, documents: Sequence[str]) -> Scored:
        start = time.perf_counter()
        body = msgspec.json.encode({"model": _MODEL, "query": query, "documents": documents, "raw_scores": True})
        response = self._client.post(self._url, content=body, headers={"Content-Type": "application/json"})
        if not response.is_success:
            raise NotComparable(f"{self.name} answered {response.status_code}: {response.text[:300]}")
        answer = msgspec.json.decode(response.content, type=_Answer)
        seconds = time.perf_counter() - start
        logits = {item.index: item.relevance_score for item in answer.results}
        return Scored([logits[index] for index in range(len(documents))], seconds)


@contextmanager
def infinity(python: Path, checkpoint: Path, dtype: Literal["fp32", "bf16"]) -> Iterator[InfinitySide]:
    """infinity on the weights in `checkpoint` with its defaults, for as long as the block runs.

    Raises RivalUnavailable with the end of its log.
    """
    executable = python.with_name("infinity_emb")
    if not executable.is_file():
        raise RivalUnavailable(f"{executable} is missing; remove its environment, and it is made again")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(executable), "v2", "--model-id", str(checkpoint), "--engine", "torch"]
    command += ["--served-model-name", _MODEL, "--device", "cpu", "--dtype", _DTYPES[dtype]]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    offline = {"HF_HUB_OFFLINE": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    try:
        with (
            run_server(command, url=url, health="/health", environment=offline) as server,
            httpx.Client(trust_env=False, timeout=ANSWER_TIMEOUT_S) as client,
        ):
            yield InfinitySide(f"infinity {dtype}", url, server.pid, client)
    except ServerNotStarted as error:
        raise RivalUnavailable(f"infinity: {error}") from None
