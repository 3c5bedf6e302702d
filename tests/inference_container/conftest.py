"""Checkpoints small enough to write in a millisecond, and real servers as processes on small artifacts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from safetensors.numpy import save_file

from inference_container.seeded import seeded_tensors, seeded_tokenizer
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.manifest import FILE_NAME, Manifest

LIMIT_S = 120


class ServerProcess:
    """`python -m inference_container serve` on a free port of loopback, its stderr in a file."""

    def __init__(self, model_dir: Path, log: Path, **environment: str) -> None:
        self.log = log
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=120, trust_env=False)
        settings = {
            "RERANK_MODEL_DIR": str(model_dir),
            "RERANK_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "RERANK_THREADS": "1",
            # A loaded test machine must not look too slow for what a test sends.
            "RERANK_TIME_LIMIT_S": "3600",
            **environment,
        }
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "inference_container", "serve"],
                env={**os.environ, **settings},
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def ping(self) -> int | None:
        """The status of /ping; None while nothing listens."""
        try:
            return self.http.get("/ping").status_code
        except httpx.TransportError:
            return None

    def wait_until_ready(self) -> None:
        self.wait_until(lambda: self.ping() == 200)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Polls; raises with the log if the server ends meanwhile, or if it takes longer than LIMIT_S."""
        end = time.monotonic() + LIMIT_S
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"exit code {self.process.poll()}, log:\n{self.log.read_text()}")
            time.sleep(0.02)

    def rerank(self, body: object, **kwargs: Any) -> httpx.Response:
        return self.http.post("/invocations", json=body, **kwargs)

    def metric(self, sample: str) -> float:
        """The value of a line of /metrics, such as `rerank_documents_total`; 0 where there is none yet."""
        for line in self.http.get("/metrics").text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        return 0.0

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's lines of this event."""
        lines = [line for line in self.log.read_bytes().splitlines() if line.startswith(b"{")]
        return [event for line in lines if (event := msgspec.json.decode(line))["event"] == name]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_code(self) -> int:
        return self.process.wait(timeout=60)

    def stop(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


StartServer = Callable[..., ServerProcess]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts a server on an artifact's folder, with settings such as RERANK_DRAIN_S; ends it with the test."""
    with ExitStack() as stack:

        def start(model_dir: Path, *, ready: bool = True, **environment: str) -> ServerProcess:
            server = ServerProcess(model_dir, tmp_path / f"server-{_free_port()}.log", **environment)
            stack.callback(server.stop)
            if ready:
                server.wait_until_ready()
            return server

        yield start


@pytest.fixture(scope="session")
def server(small_jinabert: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all tests that only ask: that it survives the bad requests is part of what they test."""
    server = ServerProcess(small_jinabert, tmp_path_factory.mktemp("server") / "server.log")
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def openvino_jinabert(small_jinabert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights for the engine that starts in a fraction of torch's time."""
    folder = tmp_path_factory.mktemp("openvino") / small_jinabert.name
    shutil.copytree(small_jinabert, folder)
    manifest = documents.read(folder / FILE_NAME, Manifest)
    documents.write(folder / FILE_NAME, msgspec.structs.replace(manifest, engine="openvino"))
    return folder


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.fixture
def two_layers() -> Model:
    """A row such as the catalogue's."""
    return Model(
        id="two-layer-bert",
        alias="two",
        stack="RerankTwo",
        kind="reranker",
        shape=Shape(
            family="bert",
            layers=2,
            hidden=24,
            heads=4,
            intermediate=48,
            vocabulary=300,
            positions=64,
            token_types=2,
        ),
        max_tokens=64,
        license="Apache-2.0",
        weights=("seeded:1",),
    )


@pytest.fixture
def checkpoint(two_layers: Model, tmp_path: Path) -> Path:
    """A Hugging Face folder with the weights of seed 1, and a config.json that asks for remote code."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    shape = two_layers.shape
    config = {
        "model_type": "bert",
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocabulary,
        "type_vocab_size": shape.token_types,
        "max_position_embeddings": shape.positions,
        "layer_norm_eps": shape.layer_norm_eps,
        "hidden_act": "gelu",
        "auto_map": {"AutoModel": "somebody/code--modeling.Model"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(seeded_tokenizer(shape).to_str())
    save_file(seeded_tensors(shape, 1), folder / "model.safetensors")
    return folder
