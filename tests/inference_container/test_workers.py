"""Worker processes: scores that are the engine's own, ends of every kind, and what they are told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from inference_container.artifact import Artifact, open_artifact
from inference_container.engines import RaggedBatch
from inference_container.engines.loading import load_engine
from inference_container.workers import frames
from inference_container.workers.frames import Kind
from inference_container.workers.plan import plan_workers
from inference_container.workers.spec import WorkerSpec
from inference_container.workers.worker import CannotLoad, EngineRaised, Worker, WorkerLost
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.manifest import FILE_NAME, Manifest
from rerank_toolkit.contracts.profile import Hardware
from rerank_toolkit.contracts.settings import Settings


def batch(*lengths: int) -> RaggedBatch:
    ids = [np.arange(length, dtype=np.int32) % 300 for length in lengths]
    return RaggedBatch.of(ids, [(each > 5).astype(np.int32) for each in ids])


def start(artifact: Artifact, **spec: object) -> Worker:
    worker = Worker(WorkerSpec(**{"engine": artifact.manifest.engine, "threads": 1, **spec}))
    try:
        worker.spawn()
        worker.load(artifact)
        worker.wait_until_loaded()
    except BaseException:
        worker.stop()
        raise
    return worker


@pytest.fixture
def worker(openvino_jinabert: Path) -> Iterator[Worker]:
    worker = start(open_artifact(openvino_jinabert))
    yield worker
    worker.stop()


def test_a_worker_scores_as_its_engine_does(worker: Worker, openvino_jinabert: Path) -> None:
    engine = load_engine(open_artifact(openvino_jinabert), threads=1)
    assert (worker.name, worker.version, worker.dtype) == (engine.name, engine.version, engine.dtype)
    for lengths in [(7,), (1, 300, 2, 40), (5000,), tuple(range(1, 200))]:
        ragged = batch(*lengths)
        assert worker.score(ragged) == pytest.approx(engine.score(ragged), abs=1e-5)
        assert worker.computed_tokens == engine.computed_tokens  # type: ignore[attr-defined]


def test_what_the_engine_raises_fails_one_batch(worker: Worker) -> None:
    beyond = RaggedBatch.of([np.array([10**6], dtype=np.int32)], [np.zeros(1, dtype=np.int32)])
    with pytest.raises(EngineRaised, match=r"^\w+$"):
        worker.score(beyond)
    assert worker.alive
    assert worker.score(batch(3)).shape == (1,)


def test_a_worker_that_is_killed_is_lost_and_can_be_started_again(worker: Worker) -> None:
    before = worker.score(batch(3, 4))
    assert worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost, match=r"ended by signal 9 \(Killed\)"):
        worker.score(batch(3))
    assert not worker.alive
    with pytest.raises(WorkerLost):
        worker.score(batch(3))
    worker.start()
    assert worker.score(batch(3, 4)).tolist() == before.tolist()


def test_a_worker_that_is_killed_at_work_is_lost(worker: Worker) -> None:
    pid = worker.pid
    assert pid
    threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(WorkerLost):
        worker.score(batch(*[8000] * 20))


def test_a_worker_that_does_not_answer_is_ended(worker: Worker) -> None:
    assert worker.pid
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(WorkerLost, match="did not answer within 1 s and was ended"):
        worker.score(batch(3), timeout_s=1)
    assert worker.pid is None
    worker.start()
    assert worker.score(batch(3)).shape == (1,)


def test_stopping_wakes_who_waits_and_is_final(worker: Worker) -> None:
    threading.Timer(0.5, worker.stop).start()
    with pytest.raises(WorkerLost):
        worker.score(batch(*[8000] * 20))
    with pytest.raises(WorkerLost, match="shutting down"):
        worker.start()
    assert worker.pid is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_the_front_s_to_act_on(worker: Worker, number: signal.Signals) -> None:
    assert worker.pid
    os.kill(worker.pid, number)
    assert worker.score(batch(3)).shape == (1,)


def test_a_worker_keeps_to_its_cores(openvino_jinabert: Path) -> None:
    core = max(os.sched_getaffinity(0))
    worker = start(open_artifact(openvino_jinabert), cores=(core,))
    try:
        threads = psutil.Process(worker.pid).threads()
        assert {cpu for thread in threads for cpu in os.sched_getaffinity(thread.id)} == {core}
    finally:
        worker.stop()


FRONT = """
import sys, threading, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_workers import batch, open_artifact, start
worker = start(open_artifact(Path(sys.argv[2])))
threading.Thread(target=worker.score, args=[batch(*[8000] * 200)], daemon=True).start()
time.sleep(0.3)
print(worker.pid, flush=True)
time.sleep(600)
"""


def test_a_worker_ends_with_its_front_even_at_work(openvino_jinabert: Path) -> None:
    command = [sys.executable, "-c", FRONT, str(Path(__file__).parent), str(openvino_jinabert)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as front:
        assert front.stdout
        worker = psutil.Process(int(front.stdout.readline()))
        assert worker.is_running()
        front.kill()
    worker.wait(timeout=5)


def test_an_artifact_that_can_not_be_served_is_refused_with_every_reason(
    openvino_jinabert: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    artifact = open_artifact(openvino_jinabert)
    deeper = msgspec.structs.replace(artifact.manifest.shape, layers=3)
    with pytest.raises(CannotLoad) as raised:
        start(Artifact(artifact.path, msgspec.structs.replace(artifact.manifest, shape=deeper)))
    assert "encoder.layer.2" in str(raised.value)
    with pytest.raises(CannotLoad, match="the engine openvino can't load"):
        start(Artifact(artifact.path / "gone", artifact.manifest))
    assert capfd.readouterr().err == "", "the front says it, in one line"


@pytest.mark.parametrize("arrays", [[(1,)], [(3, 1, 500), (2,)]])
def test_frames_carry_arrays_as_they_are(arrays: list[tuple[int, ...]]) -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        for lengths in arrays:
            sent = batch(*lengths)
            frames.send_batch(ours, sent)
            frame = frames.receive(theirs)
            assert frame
            assert frame.kind == Kind.BATCH
            got = frames.batch_of(frame)
            for name in ("ids", "type_ids", "offsets"):
                assert getattr(got, name).dtype == getattr(sent, name).dtype
                assert getattr(got, name).tolist() == getattr(sent, name).tolist()
        ours.shutdown(socket.SHUT_WR)
        assert frames.receive(theirs) is None


def test_a_frame_that_is_cut_is_an_error_not_a_batch() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        frames.send_batch(ours, batch(3))
        whole = theirs.recv(1 << 16)
    for size in (1, len(whole) // 2, len(whole) - 1):
        with ExitStack() as stack:
            ours, theirs = (stack.enter_context(sock) for sock in socket.socketpair())
            ours.sendall(whole[:size])
            ours.shutdown(socket.SHUT_WR)
            with pytest.raises(EOFError):
                frames.receive(theirs)


HARDWARE = Hardware(
    cpu_model="Big CPU",
    instruction_set="amx",
    architecture="x86_64",
    logical_cpus=16,
    physical_cores=8,
    memory_mib=32_768,
    gpu=None,
)
CORES = [(core, core + 8) for core in range(8)]


def plan(
    openvino_jinabert: Path, hardware: Hardware = HARDWARE, *, alias: str = "tiny", **settings: int
) -> tuple[int, int]:
    """(workers, threads of each) for an artifact of that model in bf16."""
    manifest = documents.read(openvino_jinabert / FILE_NAME, Manifest)
    manifest = msgspec.structs.replace(manifest, shape=find_model(alias).shape, dtype="bf16")
    made = plan_workers(Settings(**settings), manifest, hardware, [])
    return made.workers, made.threads


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (8, 1)),
        ({"workers": 2}, (2, 4)),
        ({"workers": 3}, (3, 2)),
        ({"threads": 4}, (4, 1)),
        ({"workers": 1, "threads": 3}, (1, 3)),
        ({"workers": 16}, (16, 1)),
    ],
)
def test_openvino_gets_a_worker_for_each_core(
    openvino_jinabert: Path, settings: dict[str, int], expected: tuple[int, int]
) -> None:
    assert plan(openvino_jinabert, **settings) == expected


@pytest.mark.parametrize(
    ("alias", "memory_mib", "instruction_set", "expected"),
    [
        ("tiny", 4096, "amx", (8, 1)),
        ("base", 4096, "amx", (6, 1)),
        ("base", 4096, "avx512_vnni", (2, 4)),  # it computes in fp32 there, and holds four times as much
        ("base", 1024, "avx512_vnni", (1, 8)),  # be there room or not
        ("mxbai-base", 4096, "amx", (4, 2)),
    ],
)
def test_no_more_workers_than_memory_has_room_for(
    openvino_jinabert: Path, alias: str, memory_mib: int, instruction_set: str, expected: tuple[int, int]
) -> None:
    machine = msgspec.structs.replace(HARDWARE, memory_mib=memory_mib, instruction_set=instruction_set)
    assert plan(openvino_jinabert, machine, alias=alias) == expected


def test_torch_gets_one_worker_with_all_cores(openvino_jinabert: Path) -> None:
    manifest = documents.read(openvino_jinabert / FILE_NAME, Manifest)
    made = plan_workers(Settings(), msgspec.structs.replace(manifest, engine="torch"), HARDWARE, CORES)
    assert (made.workers, made.threads, made.cores) == (1, 8, ((),))


def test_the_token_budget_is_the_machine_s_unless_it_is_set(openvino_jinabert: Path) -> None:
    manifest = documents.read(openvino_jinabert / FILE_NAME, Manifest)
    torch = msgspec.structs.replace(manifest, engine="torch")
    with_gpu = msgspec.structs.replace(HARDWARE, gpu="NVIDIA A10G")
    assert plan_workers(Settings(), manifest, with_gpu, []).token_budget == 1024
    assert plan_workers(Settings(), torch, with_gpu, []).token_budget == 8192
    assert plan_workers(Settings(token_budget=99), torch, with_gpu, []).token_budget == 99


@pytest.mark.parametrize(
    ("workers", "cores"),
    [
        (1, ((),)),
        (2, ((0, 8, 1, 9, 2, 10, 3, 11), (4, 12, 5, 13, 6, 14, 7, 15))),
        (3, ((0, 8, 1, 9), (2, 10, 3, 11, 4, 12), (5, 13, 6, 14, 7, 15))),
        (9, ((),) * 9),
    ],
)
def test_cores_are_shared_out_whole_and_side_by_side(
    openvino_jinabert: Path, workers: int, cores: tuple[tuple[int, ...], ...]
) -> None:
    manifest = documents.read(openvino_jinabert / FILE_NAME, Manifest)
    assert plan_workers(Settings(workers=workers), manifest, HARDWARE, CORES).cores == cores
    assert plan_workers(Settings(workers=workers), manifest, HARDWARE, []).cores == ((),) * workers


def test_time_in_which_the_machine_stood_still_does_not_count(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspended machine wakes up with a clock that has gone on."""
    real, leaps = time.monotonic, iter(range(0, 10**6, 3600))
    monkeypatch.setattr("inference_container.workers.worker.time.monotonic", lambda: real() + next(leaps))
    assert worker.score(batch(*[4000] * 2), timeout_s=60).shape == (2,)
