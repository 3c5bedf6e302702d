"""Start, drain and end of the serving process, and the commands that start it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from inference_container import application
from inference_container.application import Application
from inference_container.cli import NotPackaged, find_artifact
from inference_container.metrics import Metrics
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import UnknownName
from rerank_toolkit.contracts.manifest import FILE_NAME, Manifest
from rerank_toolkit.contracts.settings import Settings

SLOW = {"query": "q", "documents": ["x" * 8000] * 2, "return_documents": False}
"""A second of compute or more."""
ENDLESS = {**SLOW, "documents": ["x" * 8000] * 60}


def test_a_signal_drains_what_is_in_flight(start_server: Any, openvino_jinabert: Path) -> None:
    server = start_server(openvino_jinabert)
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(server.rerank, SLOW)
        server.wait_until(lambda: server.metric("rerank_queued_tokens") > 0)
        server.signal(signal.SIGTERM)
        server.wait_until(lambda: server.ping() == 503)
        refused = server.rerank({"query": "q", "documents": ["d"]})
        assert refused.status_code == 503
        assert refused.json() == {"detail": "the server is shutting down"}
        assert int(refused.headers["Retry-After"]) >= 1
        assert answer.result().status_code == 200
        assert len(answer.result().json()["results"]) == 2
    assert server.exit_code() == 0
    assert server.events("draining")[0]["in_flight"] == 1
    assert server.events("stopping")[0]["unanswered"] == 0


def test_when_the_drain_time_is_over_the_rest_is_told_and_the_process_ends(
    start_server: Any, openvino_jinabert: Path
) -> None:
    server = start_server(openvino_jinabert, RERANK_DRAIN_S="0.2")
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(server.rerank, ENDLESS)
        server.wait_until(lambda: server.metric("rerank_queued_tokens") > 0)
        server.signal(signal.SIGTERM)
        assert answer.result().status_code == 503
        assert answer.result().json() == {"detail": "the server is shutting down"}
    assert server.exit_code() == 0
    assert server.events("stopping")[0]["unanswered"] == 1


def test_an_answer_on_its_way_is_sent_whole(start_server: Any, openvino_jinabert: Path) -> None:
    server = start_server(openvino_jinabert)
    body = msgspec.json.encode({"query": "q", "documents": ["x" * 10_000_000], "max_doc_length": 10})
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        server.wait_until(lambda: bool(server.events("request")))
        server.signal(signal.SIGTERM)
        server.wait_until(lambda: bool(server.events("stopping")))
        time.sleep(2)  # a caller who reads slowly
        answer = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    head, _, document = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert msgspec.json.decode(document)["results"][0]["document"]["text"] == "x" * 10_000_000
    assert server.exit_code() == 0


def test_a_second_signal_does_not_wait(start_server: Any, openvino_jinabert: Path) -> None:
    server = start_server(openvino_jinabert, RERANK_DRAIN_S="3000")
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(server.rerank, ENDLESS)
        server.wait_until(lambda: server.metric("rerank_queued_tokens") > 0)
        server.signal(signal.SIGINT)
        server.wait_until(lambda: bool(server.events("draining")))
        server.signal(signal.SIGINT)
        assert answer.result().status_code == 503
    assert server.exit_code() == 0


def test_a_signal_ends_a_start_too(start_server: Any, openvino_jinabert: Path) -> None:
    server = start_server(openvino_jinabert, ready=False)
    server.wait_until(lambda: server.ping() is not None)
    server.signal(signal.SIGTERM)
    assert server.exit_code() == 0


def test_the_end_of_a_drain_waits_for_callers_to_notice(
    openvino_jinabert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "_QUIET_S", 1.0)

    async def drain_under_load() -> tuple[list[int], bool]:
        draining_application = Application(Settings(model_dir=str(openvino_jinabert)), Metrics())
        transport = httpx.ASGITransport(draining_application.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://draining") as client:
            body = {"query": "q", "documents": ["d"]}
            await client.post("/invocations", json=body)
            draining = asyncio.create_task(draining_application.drain())
            statuses = []
            for _ in range(3):
                await asyncio.sleep(0.05)
                statuses.append((await client.post("/invocations", json=body)).status_code)
            early = draining.done()
            await draining
            return statuses, early

    assert asyncio.run(drain_under_load()) == ([503] * 3, False)


def test_before_the_model_is_loaded_it_listens_and_says_so(openvino_jinabert: Path) -> None:
    async def ask() -> tuple[httpx.Response, httpx.Response]:
        application = Application(Settings(model_dir=str(openvino_jinabert)), Metrics())
        transport = httpx.ASGITransport(application.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://starting") as client:
            return await client.get("/ping"), await client.post("/invocations", json={"query": "q", "documents": ["d"]})

    for answer in asyncio.run(ask()):
        assert answer.status_code == 503
        assert answer.json() == {"detail": "the model is being loaded"}
        assert answer.headers["Retry-After"] == "5"


def test_what_can_not_be_in_time_is_not_waited_for(start_server: Any, openvino_jinabert: Path) -> None:
    server = start_server(openvino_jinabert, RERANK_TIME_LIMIT_S="2")
    answer = server.rerank(ENDLESS)
    assert answer.status_code == 413
    assert "it would take about" in answer.json()["detail"]
    assert server.metric('rerank_refusals_total{reason="too_large"}') == 1

    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b'POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"query"')
        received = b""
        while block := connection.recv(4096):  # ends because the server closes
            received += block
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"of the body 8 bytes came within 2 s, and not its end" in received
    assert server.ping() == 200


def test_a_queue_that_is_full_says_so(start_server: Any, openvino_jinabert: Path) -> None:
    server = start_server(openvino_jinabert, RERANK_MAX_QUEUED_TOKENS="20000")
    assert server.rerank(ENDLESS).status_code == 413
    with ThreadPoolExecutor(1) as caller:
        admitted = caller.submit(server.rerank, SLOW)
        server.wait_until(lambda: server.metric("rerank_queued_tokens") > 0)
        answer = server.rerank(SLOW)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) >= 1
        assert "tokens wait already" in answer.json()["detail"]
        assert admitted.result().status_code == 200
    assert server.metric('rerank_refusals_total{reason="queue_full"}') == 1
    assert server.metric('rerank_refusals_total{reason="too_large"}') == 1


def corrupt(folder: Path) -> None:
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


def deepen(folder: Path) -> None:
    """A manifest that vouches for the files and is wrong about what is in them: only the engine can tell."""
    manifest = documents.read(folder / FILE_NAME, Manifest)
    shape = msgspec.structs.replace(manifest.shape, layers=3)
    documents.write(folder / FILE_NAME, msgspec.structs.replace(manifest, shape=shape))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (deepen, "encoder.layer.2"),
        (corrupt, "model.safetensors"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text('{"schema_version": 1}'), "manifest.json"),
        (shutil.rmtree, "does not exist"),
    ],
    ids=["weights of another model", "altered weights", "no manifest", "malformed manifest", "no folder"],
)
def test_a_corrupt_artifact_ends_the_start_in_one_line(
    start_server: Any, openvino_jinabert: Path, tmp_path: Path, damage: Any, named: str
) -> None:
    folder = tmp_path / "artifact"
    shutil.copytree(openvino_jinabert, folder)
    damage(folder)
    server = start_server(folder, ready=False)
    assert server.exit_code() == 1
    lines = server.log.read_text().splitlines()
    assert len(lines) == 1, lines
    assert str(folder) in lines[0]
    assert named in lines[0]


@pytest.mark.parametrize("arguments", [[], ["serve", "--port", "80"], ["train"]])
def test_the_image_knows_one_argument(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "inference_container", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 2
    assert "the one argument is serve" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_malformed_settings_are_all_named(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "RERANK_THREADS": "many",
        "SAGEMAKER_BIND_TO_PORT": "0",
        "RERANK_MODEL_DIR": str(tmp_path),
    }
    run = subprocess.run(
        [sys.executable, "-m", "inference_container", "serve"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    assert run.returncode == 2
    assert "RERANK_THREADS: is 'many'" in run.stderr
    assert "SAGEMAKER_BIND_TO_PORT: is '0'" in run.stderr


def test_a_port_that_is_taken_is_named(openvino_jinabert: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = rerank("serve", str(openvino_jinabert), "--port", str(port))
    assert run.returncode == 1
    assert f"can't listen on 127.0.0.1 port {port}" in run.stderr


def rerank(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rerank_toolkit.cli", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_rerank_serve_says_where_and_ends_on_ctrl_c(openvino_jinabert: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "rerank_toolkit.cli",
        "serve",
        str(openvino_jinabert),
        "--port",
        "0",
    ]
    environment = {**os.environ, "RERANK_THREADS": "3"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            line = process.stderr.readline()
            found = re.fullmatch(
                r"serving small-jinabert \(seeded random weights\) \(openvino fp32, .*3 threads, ready in [\d.]+ s\) "
                r"on (http://127\.0\.0\.1:\d+)\n",
                line,
            )
            assert found, line
            body = {"query": "q", "documents": ["a", "b"]}
            assert httpx.post(f"{found[1]}/rerank", json=body, trust_env=False).status_code == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_rerank_serve_heeds_the_variables_unless_an_option_is_given(openvino_jinabert: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as also_taken:
        port, other = taken.getsockname()[1], also_taken.getsockname()[1]
        variables = {"RERANK_PORT": str(port), "RERANK_HOST": "0.0.0.0"}
        assert f"can't listen on 127.0.0.1 port {port}" in rerank("serve", str(openvino_jinabert), **variables).stderr
        option = rerank("serve", str(openvino_jinabert), "--port", str(other), **variables)
        assert f"can't listen on 127.0.0.1 port {other}" in option.stderr


def test_a_model_is_found_by_folder_or_by_name(
    openvino_jinabert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_artifact(str(openvino_jinabert)) == openvino_jinabert
    with pytest.raises(NotPackaged, match="rerank package tiny"):
        find_artifact("tiny")
    with pytest.raises(UnknownName, match=r"jina-reranker-v1-tiny-en.*nor is it the folder"):
        find_artifact("tinny")
    shutil.copytree(openvino_jinabert, "artifacts/jina-reranker-v1-tiny-en")
    assert find_artifact("tiny") == Path("artifacts/jina-reranker-v1-tiny-en")
