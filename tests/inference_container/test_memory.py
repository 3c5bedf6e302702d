"""Memory of processes, as this kernel tells it and as others do."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inference_container.memory import MIB, ServerMemory, process_memory


def test_this_process() -> None:
    memory = process_memory(os.getpid())
    assert memory
    assert 10 * MIB < memory.resident <= memory.peak
    assert 0 <= memory.shared < memory.resident


def test_peak_memory_is_this_process_s_own_not_its_parent_s() -> None:
    ballast = np.ones(300 * MIB, dtype=np.uint8)
    script = "import os; from inference_container.memory import process_memory as m; print(m(os.getpid()).peak)"
    peak = int(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)

    assert 5 * MIB < peak < ballast.nbytes / 2
    own = process_memory(os.getpid())
    assert own
    assert own.peak > 300 * MIB


@pytest.mark.parametrize("status", [None, "Name:\tpython\nVmRSS:\t  5 kB\n"], ids=["no file", "no VmHWM"])
def test_a_kernel_without_a_peak_of_memory_is_asked_another_way(tmp_path: Path, status: str | None) -> None:
    if status:
        (tmp_path / f"proc/{os.getpid()}").mkdir(parents=True)
        (tmp_path / f"proc/{os.getpid()}/status").write_text(status)
    memory = process_memory(os.getpid(), tmp_path)
    assert memory
    assert memory.resident <= memory.peak < memory.resident * 1000
    assert memory.shared == 0


def test_a_process_that_has_ended_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert process_memory(process.pid) is None
    memory = ServerMemory(lambda: {"front": os.getpid(), "worker-0": process.pid})
    assert memory.by_process().keys() == {"front"}


def test_pages_that_several_processes_hold_count_once(tmp_path: Path) -> None:
    size = 128 * MIB
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(size))
    script = """
import mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
    print(sum(mapped[::4096]), flush=True)
    input()
"""
    command = [sys.executable, "-c", script, str(weights)]
    with weights.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        assert sum(mapped[::4096]) == 0
        alone = ServerMemory(lambda: {"front": os.getpid()}).now_and_peak_mib()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout
            assert other.stdin
            other.stdout.readline()
            both = ServerMemory(lambda: {"front": os.getpid(), "worker-0": other.pid})
            by_process = both.by_process()
            now, peak = both.now_and_peak_mib()
            other.stdin.write(b"\n")
    assert by_process["worker-0"] > size / 2
    assert now * MIB == sum(by_process.values())
    assert now < alone[0] + 64, "not twice the file"
    assert peak >= now


def test_the_peak_outlives_the_process_that_had_it() -> None:
    pids = {"front": os.getpid()}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        memory = ServerMemory(lambda: pids)
        pids["worker-0"] = other.pid
        _, before = memory.now_and_peak_mib()
        other.communicate(b"\n")
    assert memory.now_and_peak_mib()[1] == before
