"""A CrossEncoder of sentence-transformers that scores what it reads, run by the Python of its own environment.

usage: cross_encoder_process.py FOLDER BACKEND DTYPE

BACKEND is torch, onnx or openvino; DTYPE is default, or bf16 for torch. Each line on stdin is a JSON object with
query, documents and batch_size; each is answered by a line with the logits and the seconds that predict() took.
Imports nothing of this project: the environment holds only the rival.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from sentence_transformers import CrossEncoder

PACKAGES = ("sentence-transformers", "transformers", "torch", "onnxruntime", "optimum-intel", "openvino")


def load(folder: str, backend: str, dtype: str) -> CrossEncoder:
    """The model with the defaults of its backend; the exports of onnx and openvino are made anew at each start."""
    options: dict[str, Any] = {"model_kwargs": {"torch_dtype": torch.bfloat16}} if dtype == "bf16" else {}
    return CrossEncoder(folder, backend=backend, device="cpu", local_files_only=True, **options)


def precision(model: CrossEncoder, backend: str) -> str:
    """What it computes in; OpenVINO's plugin chooses by what the CPU has."""
    if backend == "openvino":
        hint = model.model.request.get_property("INFERENCE_PRECISION_HINT")
        return {"bf16": "bf16", "f16": "fp16", "f32": "fp32"}[hint.get_type_name()]
    return "bf16" if backend == "torch" and model.model.dtype == torch.bfloat16 else "fp32"


def versions() -> dict[str, str]:
    """Of the packages that are installed here."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main(folder: str, backend: str, dtype: str) -> None:
    # Libraries print to stdout as they like; the answers go to a copy of it that they don't know.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    model = load(folder, backend, dtype)
    identity = torch.nn.Identity()
    model.predict([("warm", "up")])  # OpenVINO compiles at the first call
    answers.write(json.dumps({"versions": versions(), "precision": precision(model, backend)}) + "\n")
    for line in sys.stdin:
        asked = json.loads(line)
        start = time.perf_counter()
        pairs = [(asked["query"], document) for document in asked["documents"]]
        logits = model.predict(
            pairs, batch_size=asked["batch_size"], activation_fn=identity, show_progress_bar=False
        ).tolist()
        seconds = time.perf_counter() - start
        answers.write(json.dumps({"logits": logits, "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
