from __future__ import annotations

import shutil

import httpx
import psutil
import pytest

from rerank_toolkit.bench.errors import ServerNotStarted
from rerank_toolkit.bench.server_process import serve


def children():
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_a_server_is_up_in_the_block_and_gone_after_it_whatever_happens(small_jinabert):
    before = children()

    with pytest.raises(KeyboardInterrupt), serve(small_jinabert) as server:
        assert httpx.get(f"{server.url}/ping", trust_env=False).status_code == 200
        assert children() > before
        raise KeyboardInterrupt

    assert children() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/ping", trust_env=False)


def test_a_folder_that_is_no_artifact(tmp_path):
    with pytest.raises(ServerNotStarted, match=r"(?s)ended with code 1.*manifest\.json"), serve(tmp_path):
        pass


def test_a_damaged_artifact(small_jinabert, tmp_path):
    damaged = shutil.copytree(small_jinabert, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"\0" * 64)

    with pytest.raises(ServerNotStarted, match=r"model\.safetensors"), serve(damaged):
        pass


def test_a_server_that_takes_too_long_is_stopped(small_jinabert):
    before = children()

    with pytest.raises(ServerNotStarted, match="not healthy within"), serve(small_jinabert, start_timeout_s=0.01):
        pass

    assert children() == before
