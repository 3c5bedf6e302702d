"""The machine as /proc and /sys tell it, on trees of files as different kernels and containers show them."""

from __future__ import annotations

import os
import typing
from pathlib import Path

import pytest

from inference_container.hardware import core_groups, describe_hardware, instruction_set
from rerank_toolkit.catalog.instances import InstructionSet

ICE_LAKE = "fpu sse2 avx2 avx512f avx512bw avx512_vnni"
SAPPHIRE_RAPIDS = f"{ICE_LAKE} avx512_bf16 amx_bf16 amx_tile amx_int8"


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ("fpu sse2 avx", "unknown"),
        ("avx2 fma", "avx2"),
        ("avx2 avx512f avx512bw", "avx512"),
        (ICE_LAKE, "avx512_vnni"),
        (f"{ICE_LAKE} avx512_bf16", "avx512_bf16"),
        (SAPPHIRE_RAPIDS, "amx"),
        ("fp asimd asimddp", "neon"),
        ("fp asimd sve bf16 svebf16", "sve_bf16"),
        ("", "unknown"),
    ],
)
def test_instruction_sets_in_the_catalogues_words(flags: str, word: str) -> None:
    assert instruction_set(flags.split()) == word
    assert word in (*typing.get_args(InstructionSet), "unknown")


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def topology(core_of: dict[int, int]) -> dict[str, str]:
    files = {}
    for cpu, core in core_of.items():
        files[f"sys/devices/system/cpu/cpu{cpu}/topology/core_id"] = f"{core}\n"
        files[f"sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"] = "0\n"
    return files


CPUINFO = (
    f"processor\t: 0\nmodel name\t: Big CPU\nflags\t\t: {SAPPHIRE_RAPIDS}\n\nprocessor\t: 1\nmodel name\t: Other\n"
)


@pytest.fixture
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight_cpus")
def test_hyper_threads_of_a_core_count_once(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/cpuinfo": CPUINFO, **topology({cpu: cpu % 4 for cpu in range(8)})})
    hardware = describe_hardware(root)
    assert (hardware.cpu_model, hardware.instruction_set) == ("Big CPU", "amx")
    assert (hardware.logical_cpus, hardware.physical_cores) == (8, 4)
    assert hardware.gpu is None


@pytest.mark.usefixtures("eight_cpus")
@pytest.mark.parametrize(
    "files",
    [
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "250000 100000\n",
            "sys/fs/cgroup/memory.max": "1073741824\n",
        },
        {
            "proc/self/cgroup": "0::/pod/app\n",
            "sys/fs/cgroup/pod/cpu.max": "250000 100000\n",
            "sys/fs/cgroup/pod/app/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pod/memory.max": "max\n",
            "sys/fs/cgroup/pod/app/memory.max": "1073741824\n",
        },
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
        },
    ],
    ids=["version 2", "version 2, nested", "version 1"],
)
def test_cgroup_limits_bound_cpus_and_memory(tmp_path: Path, files: dict[str, str]) -> None:
    hardware = describe_hardware(
        write(tmp_path, {"proc/cpuinfo": CPUINFO, **topology({c: c for c in range(8)}), **files})
    )
    assert (hardware.logical_cpus, hardware.physical_cores, hardware.memory_mib) == (3, 3, 1024)


@pytest.mark.usefixtures("eight_cpus")
def test_no_limit_is_no_bound(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:cpu:/\n4:memory:/\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    hardware = describe_hardware(
        write(tmp_path, {"proc/cpuinfo": CPUINFO, **topology({c: c for c in range(8)}), **files})
    )
    assert hardware.logical_cpus == 8
    assert 0 < hardware.memory_mib < 1 << 30


def test_arm_and_gpu(tmp_path: Path) -> None:
    files = {
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd sve bf16\nCPU part\t: 0xd4f\n",
        "proc/driver/nvidia/gpus/0000:00:1e.0/information": "Model: \t\t NVIDIA A10G\nIRQ:   \t\t 10\n",
    }
    hardware = describe_hardware(write(tmp_path, files))
    assert hardware.cpu_model == "Arm Neoverse V2"
    assert hardware.instruction_set == "sve_bf16"
    assert hardware.gpu == "NVIDIA A10G"


def test_this_machine() -> None:
    hardware = describe_hardware()
    assert 1 <= hardware.physical_cores <= hardware.logical_cpus <= (os.cpu_count() or 1)
    assert hardware.memory_mib > 256
    assert hardware.cpu_model


@pytest.mark.usefixtures("eight_cpus")
def test_cores_are_set_apart_whole(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/cpuinfo": CPUINFO, **topology({cpu: cpu % 4 for cpu in range(8)})})
    assert core_groups(root) == [(0, 4), (1, 5), (2, 6), (3, 7)]


@pytest.mark.parametrize(
    "files",
    [
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "250000 100000\n",
            **topology({c: c for c in range(8)}),
        },
        topology({c: c for c in range(7)}),
        {},
    ],
    ids=["a quota of time", "a core that is not told", "no topology"],
)
@pytest.mark.usefixtures("eight_cpus")
def test_no_cores_are_set_apart_where_that_is_not_ours_to_do(tmp_path: Path, files: dict[str, str]) -> None:
    assert core_groups(write(tmp_path, files)) == []


@pytest.mark.usefixtures("eight_cpus")
def test_a_quota_as_large_as_the_machine_is_none(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "800000 100000\n"}
    assert len(core_groups(write(tmp_path, {**files, **topology({c: c for c in range(8)})}))) == 8
