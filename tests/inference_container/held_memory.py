"""Prints what a process holds of an OpenVINO artifact that it has loaded and worked with, in bytes, as JSON.

usage: held_memory.py FOLDER

own     memory that no file backs, beyond what was there before
peak    the most that was resident at once, beyond the same
mapped  resident pages of the weights' file
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import numpy as np
import psutil

from inference_container.artifact import WEIGHTS, open_artifact
from inference_container.engines import RaggedBatch
from inference_container.engines.loading import load_engine
from inference_container.memory import process_memory


def main(folder: str) -> None:
    artifact = open_artifact(Path(folder))
    own, _ = resident()
    peak = highest()
    engine = load_engine(artifact, threads=1)
    for length in (16, 64, 300):
        ids = np.full(length, 7, dtype=np.int32)
        engine.score(RaggedBatch.of([ids] * 3, [np.zeros_like(ids)] * 3))
    now, mapped = resident()
    sys.stdout.buffer.write(msgspec.json.encode({"own": now - own, "peak": highest() - peak, "mapped": mapped}))


def resident() -> tuple[int, int]:
    """Bytes that no file backs, and bytes of the weights' file."""
    maps = psutil.Process().memory_maps(grouped=True)
    return sum(m.anonymous for m in maps), sum(m.rss for m in maps if Path(m.path).name == WEIGHTS)


def highest() -> int:
    memory = process_memory(os.getpid())
    if memory is None:
        raise ProcessLookupError
    return memory.peak


main(sys.argv[1])
