"""Real requests to a container that runs an image, each with what a caller may expect of it."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tools.image.errors import ImageError
from tools.image.podman import Container, Podman

READY_WITHIN_S = 60  # serverless endpoints get three minutes, for which a loaded build machine isn't the measure
UNWANTED = ("pip", "huggingface_hub", "openvino_telemetry", "boto3", "rerank_toolkit.client")
BERLIN = {
    "query": "How many people live in Berlin?",
    "documents": [
        "New York City is famous for the Metropolitan Museum of Art.",
        "Berlin has a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
    ],
}
MANY = {**BERLIN, "documents": [f"{number}. {text * 8}" for number in range(20) for text in BERLIN["documents"]]}

Passed = Callable[[str], None]


@dataclass
class Trial:
    """The trial of one image with one artifact; faults gather, so that one run tells them all."""

    podman: Podman
    image: str
    model: Path
    engine: str
    """The only one that the image holds."""
    memory: str = ""
    """A limit such as 1g; empty for none."""
    passed: Passed = print
    faults: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Runs every check; raises ImageError only where podman fails."""
        with self._check("holds no other engine, no installer, no client"):
            self._contents()
        with self._check("refuses an empty model directory with one line and exit code 1"):
            self._no_model(mode=0o755)
        with self._check("refuses one that its user may not read, just as briefly"):
            self._no_model(mode=0o700)
        options = [f"--memory={self.memory}"] if self.memory else []
        port = _free_port()
        with self.podman.serve(self.image, self.model, port, options=options) as container:
            try:
                self._requests(container, f"http://127.0.0.1:{port}")
            finally:
                self.log = container.log

    def _requests(self, container: Container, url: str) -> None:
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as http:
            try:
                self._become_healthy(container, http)
            except ImageError as error:
                self.faults.append(f"becomes healthy: {error}")
                return
            for name, check in {
                "ranks the Berlin pair and says how": _berlin(self.engine),
                "refuses a bad body with every fault": _bad_body,
                "tells batch transform how to call it": _execution_parameters,
                "publishes metrics": _metrics,
            }.items():
                with self._check(name):
                    check(http)
            with self._check("on SIGTERM answers what is in flight and exits with 0"):
                _terminate(container, http)

    @contextmanager
    def _check(self, name: str) -> Iterator[None]:
        try:
            yield
        except (ImageError, httpx.HTTPError, LookupError, ValueError) as error:
            self.faults.append(f"{name}: {error or type(error).__name__}")
        else:
            self.passed(name)

    def _contents(self) -> None:
        other = "torch" if self.engine == "openvino" else "openvino"
        names = (other, *UNWANTED)
        code = f"from importlib.util import find_spec\nfor name in {names}:\n  if find_spec(name): print(name)"
        found = self.podman.python(self.image, code).split()
        _expect(not found, f"the image holds {', '.join(found)}")

    def _no_model(self, mode: int) -> None:
        with tempfile.TemporaryDirectory(prefix="rerank-empty-") as folder:
            Path(folder).chmod(mode)
            with self.podman.serve(self.image, Path(folder), _free_port()) as container:
                code, log = container.exit_code(), container.log
        _expect(code == 1 and len(log) == 1, f"exit code {code}, {len(log)} lines, the last of which is {log[-1:]}")

    def _become_healthy(self, container: Container, http: httpx.Client) -> None:
        end = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < end:
            try:
                status = http.get("/ping").status_code
            except httpx.TransportError:
                status = 0
            if status == 200:
                ready_s = time.monotonic() - container.started
                self.passed(f"is healthy {ready_s:.1f} s after podman run")
                return
            if not container.running:
                raise ImageError(f"it ended with exit code {container.exit_code()}")
            time.sleep(0.02)
        raise ImageError(f"not within {READY_WITHIN_S} s; the last ping had status {status or 'none'}")


def _berlin(engine: str) -> Callable[[httpx.Client], None]:
    def check(http: httpx.Client) -> None:
        answer = http.post("/invocations", json=BERLIN)
        _expect(answer.status_code == 200, f"status {answer.status_code}: {answer.text}")
        results = [(result["index"], result["relevance_score"]) for result in answer.json()["results"]]
        right = [index for index, _ in results] == [1, 0] and results[0][1] > 0.99 and results[1][1] < 0.05
        _expect(right, f"expected document 1 above 0.99, then document 0 below 0.05; got {results}")
        origin = answer.headers["X-Amzn-SageMaker-Custom-Attributes"]
        _expect(f"engine={engine}" in origin, f"expected engine={engine} in {origin!r}")

    return check


def _bad_body(http: httpx.Client) -> None:
    answer = http.post("/invocations", json={"documents": [1], "top_n": 0})
    _expect(answer.status_code == 422, f"status {answer.status_code}: {answer.text}")
    for name in ("query", "documents[0]", "top_n"):
        _expect(name in answer.text, f"no word on {name}: {answer.text}")


def _execution_parameters(http: httpx.Client) -> None:
    answer = http.get("/execution-parameters")
    _expect(answer.status_code == 200, f"status {answer.status_code}: {answer.text}")
    for name in ("MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"):
        _expect(name in answer.json(), f"no {name}: {answer.text}")


def _metrics(http: httpx.Client) -> None:
    text = http.get("/metrics").text
    _expect("rerank_" in text, f"no sample of ours: {text[:200]}")


def _terminate(container: Container, http: httpx.Client) -> None:
    answers: list[httpx.Response | httpx.HTTPError] = []

    def call() -> None:
        try:
            answers.append(http.post("/invocations", json=MANY))
        except httpx.HTTPError as error:
            answers.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    time.sleep(0.5)
    code = container.terminate()
    caller.join()
    answer = answers[0]
    if isinstance(answer, httpx.HTTPError):
        raise answer
    scored = len(answer.json()["results"]) if answer.status_code == 200 else 0
    _expect(scored == len(MANY["documents"]), f"status {answer.status_code}, {scored} documents: {answer.text[:300]}")
    _expect(code == 0, f"exit code {code}")


def _expect(truth: bool, otherwise: str) -> None:
    if not truth:
        raise ImageError(otherwise)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
