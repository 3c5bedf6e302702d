"""Prints what this machine's cores reach in matrix products alone, in operations a second.

usage: python -m rerank_toolkit.bench.gemm_peak PRECISION THREADS; PRECISION is f32 or bf16

A chain of products of a [512, 1024] activation with constant [1024, 1024] weights, computed by OpenVINO's CPU plugin
(oneDNN): the shapes are large enough to hide everything else and small enough to stay in the cache.
"""

from __future__ import annotations

import sys
import time

import numpy as np

sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]  # it would report its import to its maker
import openvino  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

ROWS, WIDTH, PRODUCTS = 512, 1024, 16
SECONDS = 2.0


def measure(precision: str, threads: int) -> float:
    """The best of as many runs as fit into SECONDS."""
    random = np.random.default_rng(0)
    scale = np.float32(1 / np.sqrt(WIDTH))
    source = ops.parameter([ROWS, WIDTH], np.float32)
    node = source
    for _ in range(PRODUCTS):
        weights = random.standard_normal((WIDTH, WIDTH), dtype=np.float32) * scale
        node = ops.matmul(node, ops.constant(weights), False, False)
    properties = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.compile_model(openvino.Model([node], [source]), "CPU", properties).create_infer_request()
    operations = PRODUCTS * 2 * ROWS * WIDTH * WIDTH
    request.infer([random.standard_normal((ROWS, WIDTH), dtype=np.float32)])
    best, end = 0.0, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        request.infer()
        best = max(best, operations / (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    sys.stdout.write(f"{measure(sys.argv[1], int(sys.argv[2]))}\n")
