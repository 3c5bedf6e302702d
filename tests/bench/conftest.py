from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rerank_toolkit.bench.server_process import serve
from rerank_toolkit.client import RerankClient, Retries


@pytest.fixture(scope="session")
def jinabert_url(small_jinabert: Path) -> Iterator[str]:
    with serve(small_jinabert) as server:
        yield server.url


@pytest.fixture(scope="session")
def jinabert(jinabert_url: str) -> Iterator[RerankClient]:
    with RerankClient(jinabert_url, retries=Retries(attempts=1)) as client:
        yield client
