"""The share of a machine's arithmetic that a server turns into scores."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

from rerank_toolkit.bench.arithmetic import necessary_flops
from rerank_toolkit.bench.conditions import origin_of
from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.results import Efficiency
from rerank_toolkit.bench.sides import Scored
from rerank_toolkit.catalog.shapes import Shape

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
_TIMEOUT_S = 120


def efficiency(name: str, shape: Shape, taken: Sequence[Scored]) -> Efficiency | None:
    """Of requests that took what `taken` says; None for a precision that no peak can be measured in.

    All cores that the server computes with count, and all of a request's time. Raises NotMeasurable.
    """
    origin = origin_of(taken[0])
    if origin.dtype not in _PRECISIONS:
        return None
    speeds = []
    for scored in taken:
        told = origin_of(scored)
        needed = necessary_flops(
            shape,
            documents=len(scored.logits),
            tokens=told.tokens,
            sum_squared_tokens=told.sum_squared_tokens,
        )
        speeds.append(needed / scored.seconds / 1e9)
    peak = gemm_peak_gflops(origin.dtype, origin.physical_cores)
    speed = statistics.median(speeds)
    return Efficiency(
        name=name,
        precision=origin.dtype,
        necessary_gflops=round(speed, 1),
        peak_gflops=round(peak, 1),
        share=round(speed / peak, 4),
    )


def gemm_peak_gflops(dtype: str, threads: int) -> float:
    """What matrix products alone reach here in `dtype`, measured in a process of its own; see gemm_peak.py."""
    command = [sys.executable, "-m", "rerank_toolkit.bench.gemm_peak", _PRECISIONS[dtype], str(threads)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True, env={**os.environ}
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = str(error.stderr or error).strip().splitlines()[-1:]
        raise NotMeasurable(f"the peak of matrix products can't be measured: {' '.join(said)}") from None
    return float(done.stdout) / 1e9
