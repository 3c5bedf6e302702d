"""Prints the peak resident bytes of a process that scores COUNT documents of LENGTH tokens, and the scores.

usage: peak_memory.py FOLDER COUNT LENGTH [ENGINE DTYPE]; FOLDER is made: the shape of the catalogue's tiny with two
layers, seeded
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import numpy as np

from inference_container.artifact import write_artifact
from inference_container.engines import RaggedBatch
from inference_container.engines.loading import load_engine
from inference_container.memory import process_memory
from inference_container.seeded import seeded_tensors, seeded_tokenizer
from rerank_toolkit import __version__
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts.manifest import Manifest


def main(folder: str, count: int, length: int, engine_name: str = "torch", dtype: str = "fp32") -> None:
    tiny = find_model("tiny")
    shape = msgspec.structs.replace(tiny.shape, layers=2)
    manifest = Manifest(
        model_id=tiny.id,
        revision="0",
        source="seeded:0",
        seeded=True,
        license=tiny.license,
        shape=shape,
        max_tokens=tiny.max_tokens,
        engine=engine_name,
        dtype=dtype,
        toolkit_version=__version__,
        files={},
    )
    tensors, tokenizer = seeded_tensors(shape, 0), seeded_tokenizer(shape).to_str()
    engine = load_engine(write_artifact(Path(folder), manifest, tensors=tensors, tokenizer=tokenizer), threads=2)
    random = np.random.default_rng(0)
    ids = [random.integers(5, shape.vocabulary, length) for _ in range(count)]
    scores = engine.score(RaggedBatch.of(ids, [(np.arange(length) > 20).astype(np.int32) for _ in ids]))
    memory = process_memory(os.getpid())
    if memory is None:
        raise ProcessLookupError
    peak = memory.peak
    sys.stdout.buffer.write(msgspec.json.encode([peak, scores.tolist()]))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
