"""The machine this process runs on, and the share of it that the process may use.

In a container /proc shows the whole machine: affinity and cgroup limits say what is ours.
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from inference_container.memory import MIB
from rerank_toolkit.catalog.instances import InstructionSet
from rerank_toolkit.contracts.profile import Hardware

# Arm names no model in /proc/cpuinfo. Parts by Arm's Technical Reference Manuals, MIDR_EL1.
_ARM_PARTS = {
    "0xd0c": "Arm Neoverse N1",
    "0xd40": "Arm Neoverse V1",
    "0xd4f": "Arm Neoverse V2",
}

# What a CPU needs for each of the catalogue's words, most capable first.
_X86_SETS: tuple[tuple[InstructionSet, frozenset[str]], ...] = (
    ("amx", frozenset({"amx_tile", "amx_bf16"})),
    ("avx512_bf16", frozenset({"avx512f", "avx512_bf16"})),
    ("avx512_vnni", frozenset({"avx512f", "avx512_vnni"})),
    ("avx512", frozenset({"avx512f"})),
    ("avx2", frozenset({"avx2"})),
)
_ARM_SETS: tuple[tuple[InstructionSet, frozenset[str]], ...] = (
    ("sve_bf16", frozenset({"sve", "bf16"})),
    ("neon", frozenset({"asimd"})),
)

UNKNOWN = "unknown"


def describe_hardware(root: Path = Path("/")) -> Hardware:
    """CPU, cores and memory as this process may use them; `root` is where /proc and /sys are found."""
    cpuinfo = _cpuinfo(root)
    quota = _cpu_quota(root)
    usable = _usable_cpus()
    logical = min(len(usable), math.ceil(quota)) if quota else len(usable)
    return Hardware(
        cpu_model=_cpu_model(cpuinfo),
        instruction_set=instruction_set(_cpu_flags(cpuinfo)),
        architecture={"AMD64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        logical_cpus=logical,
        physical_cores=max(1, min(logical, _physical_cores(root, usable))),
        memory_mib=_memory_bytes(root) // MIB,
        gpu=_gpu(root),
    )


def core_groups(root: Path = Path("/")) -> list[tuple[int, ...]]:
    """The logical CPUs of each physical core that this process may use, neighbours side by side.

    Empty where a process can't or shouldn't be bound to some: under a quota of CPU time, which is granted on any of
    them, others are bound to the same first ones; and where the system doesn't tell its cores.
    """
    usable = _usable_cpus()
    quota = _cpu_quota(root)
    if not hasattr(os, "sched_setaffinity") or (quota and quota < len(usable)):
        return []
    cores = _cores(root, usable)
    return [cores[core] for core in sorted(cores)]


def instruction_set(flags: Iterable[str]) -> str:
    """The catalogue's word for a CPU with these flags (as /proc/cpuinfo spells them), or "unknown"."""
    present = frozenset(flags)
    for word, needed in (*_X86_SETS, *_ARM_SETS):
        if needed <= present:
            return word
    return UNKNOWN


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first processor's entries; on macOS the same entries from sysctl."""
    if platform.system() == "Darwin":
        return _cpuinfo_of_macos()
    entries: dict[str, str] = {}
    for line in (_read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        entries.setdefault(name.strip(), value.strip())
    return entries


def _cpuinfo_of_macos() -> dict[str, str]:
    # Every Apple CPU has asimd and none SVE.
    flags = "asimd" if platform.machine() == "arm64" else _sysctl("machdep.cpu.leaf7_features").lower()
    return {"model name": _sysctl("machdep.cpu.brand_string"), "flags": flags}


def _sysctl(name: str) -> str:
    try:
        return subprocess.run(
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False, timeout=5
        ).stdout.strip()
    except OSError:
        return ""


def _cpu_model(cpuinfo: dict[str, str]) -> str:
    part = cpuinfo.get("CPU part", "")
    return cpuinfo.get("model name") or _ARM_PARTS.get(part) or platform.processor() or UNKNOWN


def _cpu_flags(cpuinfo: dict[str, str]) -> list[str]:
    return (cpuinfo.get("flags") or cpuinfo.get("Features") or "").split()


def _usable_cpus() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def _physical_cores(root: Path, usable: frozenset[int]) -> int:
    """Cores behind the usable logical CPUs: two hyper-threads of a core count once."""
    return len(_cores(root, usable)) or psutil.cpu_count(logical=False) or len(usable)


def _cores(root: Path, usable: frozenset[int]) -> dict[tuple[int, int], tuple[int, ...]]:
    """The usable logical CPUs by package and core; empty where the kernel doesn't tell."""
    cores: dict[tuple[int, int], tuple[int, ...]] = {}
    for cpu in sorted(usable):
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        package, core = _read(topology / "physical_package_id"), _read(topology / "core_id")
        if package is None or core is None:
            return {}
        key = int(package), int(core)
        cores[key] = (*cores.get(key, ()), cpu)
    return cores


def _cpu_quota(root: Path) -> float | None:
    """CPUs that the tightest cgroup above this process grants; None where there is no limit."""
    quotas = []
    for group in _cgroups(root, "cpu"):
        quota, period = (_read(group / "cpu.max") or "max 100000").split()  # cgroup v2
        if quota == "max":  # or v1
            quota = _read(group / "cpu.cfs_quota_us") or "-1"
            period = _read(group / "cpu.cfs_period_us") or "100000"
        if int(quota) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def _memory_bytes(root: Path) -> int:
    limits = [
        int(limit)
        for group in _cgroups(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (limit := _read(group / name)) and limit != "max"
    ]
    return min([int(psutil.virtual_memory().total), *limits])


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's cgroup and of those above it, in version 2's and version 1's places."""
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top = root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            top = root / "sys/fs/cgroup" / controller
        else:
            continue
        group = top / path.lstrip("/")
        while group != top and top in group.parents:
            yield group
            group = group.parent
        yield top


def _gpu(root: Path) -> str | None:
    """The first GPU's name from NVIDIA's driver; None without one."""
    for information in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        for line in (_read(information) or "").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "Model":
                return value.strip()
    return None


def _read(path: Path) -> str | None:
    """A kernel file's text, None where this kernel or container doesn't have it."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
