"""A server on loopback that answers as a test says: what a client sees of SageMaker, proxies and strangers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import msgspec
import pytest
from botocore.config import Config

RANKED = {
    "model": "tiny",
    "object": "list",
    "usage": {"total_tokens": 31},
    "results": [
        {"index": 1, "relevance_score": 0.75, "document": {"text": "second"}},
        {"index": 0, "relevance_score": 0.25, "document": {"text": "first"}},
    ],
}


@dataclass
class Loopback:
    """Answers each POST with the next reply, the last one over and over; keeps what it was sent."""

    url: str
    paths: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    _replies: list[tuple[int, bytes, Mapping[str, str]]] = field(default_factory=list)

    def will_answer(self, status: int, body: object, **headers: str) -> Loopback:
        """`body` goes out as it is if bytes, else as JSON; underscores in header names become hyphens."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self._replies.append((status, content, {name.replace("_", "-"): value for name, value in headers.items()}))
        return self

    def will_rank(self, **headers: str) -> Loopback:
        return self.will_answer(200, RANKED, **headers)

    def will_model_error(self, original_status: int, original_message: str) -> Loopback:
        """As SageMaker passes on what the container answered."""
        body = {
            "Message": f"Received server error ({original_status}) from primary",
            "OriginalStatusCode": original_status,
            "OriginalMessage": original_message,
        }
        return self.will_answer(424, body, x_amzn_errortype="ModelError")

    def next_reply(self) -> tuple[int, bytes, Mapping[str, str]]:
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.paths.append(self.path)
            state.bodies.append(msgspec.json.decode(body))
            status, content, headers = state.next_reply()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state = Loopback(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def runtime(loopback: Loopback) -> Iterator[Any]:
    """boto3's own sagemaker-runtime client, sent to the loopback server instead of AWS."""
    client = boto3.client(
        "sagemaker-runtime",
        region_name="eu-west-1",
        endpoint_url=loopback.url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}, proxies={}),
    )
    yield client
    client.close()


@pytest.fixture
def unused_url() -> Iterator[str]:
    """An address that is taken, so that nothing else comes up there, but not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent_url() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"
