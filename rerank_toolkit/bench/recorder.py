"""From an endpoint to its profile: warm up, calibrate texts, measure shapes one by one, then saturate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from rerank_toolkit import __version__
from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.grid import Progress, measure_grid
from rerank_toolkit.bench.interpolation import documents_within
from rerank_toolkit.bench.saturation import Request, Throughput, saturate
from rerank_toolkit.bench.target import Target
from rerank_toolkit.bench.texts import TextRuler
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.client import RerankClient
from rerank_toolkit.contracts.profile import Cell, Hardware, Memory, Profile
from rerank_toolkit.contracts.wire import Origin

GRID_SHARE = 0.65
"""Of the time that is left after the warm-up; the rest saturates."""
LEAST_SATURATION_SHARE = 0.2
"""Of all the time, even where the grid took longer than it should."""
WARM_UP_REQUESTS = 3
WARM_UP_SHARE = 0.05
IN_FLIGHT = 4
REQUESTS_IN_TIME = 16
"""Requests that the saturated time holds at least, so that the drain at its end weighs little."""
DRAIN_SHARE = IN_FLIGHT / REQUESTS_IN_TIME


def record(client: RerankClient, *, seconds: float, progress: Progress, instance: str | None = None) -> Profile:
    """Measures the endpoint for about `seconds` and returns its profile.

    `instance` is SageMaker's name for the machine behind it, where there is one. Raises NotMeasurable, and what
    the client raises.
    """
    end = time.monotonic() + seconds
    target = Target(client)
    progress(f"measuring {client.endpoint} for about {seconds:g} s")
    ruler = _warm_up(target, seconds * WARM_UP_SHARE)
    progress(_introduce(target.first))

    cells = measure_grid(target, ruler, seconds=(end - time.monotonic()) * GRID_SHARE, progress=progress)
    workload = Workload()
    left = max(end - time.monotonic(), seconds * LEAST_SATURATION_SHARE)
    requests = _requests(workload, ruler, cells, left)
    progress(f"saturating with {IN_FLIGHT} requests of {len(requests[0][1])} documents under way")
    throughput = saturate(target, requests, in_flight=IN_FLIGHT, seconds=left * (1 - DRAIN_SHARE))
    pair_tokens = workload.mean_tokens + workload.query_tokens + ruler.overhead
    within_50_ms = documents_within(cells, tokens_per_document=pair_tokens, milliseconds=50)
    return _profile(
        target,
        workload=str(workload),
        cells=cells,
        throughput=throughput,
        documents_per_50_ms=within_50_ms,
        instance=instance,
    )


def _warm_up(target: Target, seconds: float) -> TextRuler:
    """Calibrates the texts, and lets the server meet a few requests before any of them counts."""
    end = time.monotonic() + seconds
    ruler = TextRuler.calibrate(lambda query, documents: target.ask(query, documents).origin.tokens)
    for index in range(WARM_UP_REQUESTS):
        target.ask(ruler.text(10), [ruler.text(100, start=index)] * 4)
        if time.monotonic() > end:
            break
    return ruler


def _requests(workload: Workload, ruler: TextRuler, cells: Sequence[Cell], seconds: float) -> list[Request]:
    """Requests of `workload`, of fewer documents where whole ones would not fit the time."""
    like = min(cells, key=lambda cell: (abs(cell.tokens_per_document - workload.mean_tokens), -cell.documents))
    fitting = int(seconds / REQUESTS_IN_TIME / (like.inference_ms / like.documents / 1000))
    documents = max(1, min(workload.documents, fitting))
    return [
        (
            ruler.text(workload.query_tokens),
            [ruler.text(tokens, start=i) for i, tokens in enumerate(workload.lengths(documents, seed=seed))],
        )
        for seed in range(IN_FLIGHT)
    ]


def _profile(
    target: Target,
    *,
    workload: str,
    cells: list[Cell],
    throughput: Throughput,
    documents_per_50_ms: float,
    instance: str | None,
) -> Profile:
    first = target.first
    fields = {
        "model_id": first.model,
        "seeded": first.seeded,
        "engine": first.engine,
        "engine_version": first.engine_version,
        "dtype": first.dtype,
        "threads": first.threads,
        "workers": first.workers,
        "token_budget": first.token_budget,
        "hardware": _hardware(first, instance),
        "cells": cells,
        "documents_per_second": throughput.documents_per_second,
        "documents_per_50_ms": round(documents_per_50_ms, 2),
        "workload": workload,
        "memory": Memory(idle_mib=first.memory_mib, peak_mib=target.peak_mib) if first.memory_mib else None,
        "startup_s": first.startup_s or None,
        "toolkit_version": __version__,
        "measured_at": datetime.now(UTC).replace(microsecond=0),
        "saturation": throughput.how,
    }
    try:
        return msgspec.convert(fields, Profile)
    except msgspec.ValidationError as error:  # an engine or dtype of a later toolkit
        raise NotMeasurable(
            f"the endpoint's answers can't be recorded by this version ({__version__}): {error}"
        ) from None


def _hardware(origin: Origin, instance: str | None) -> Hardware:
    return Hardware(
        cpu_model=origin.cpu_model,
        instruction_set=origin.instruction_set,
        architecture=origin.architecture,
        logical_cpus=origin.logical_cpus,
        physical_cores=origin.physical_cores,
        memory_mib=origin.hardware_memory_mib,
        gpu=origin.gpu or None,
        instance=instance,
    )


def _introduce(origin: Origin) -> str:
    weights = ", seeded random weights" if origin.seeded else ""
    return (
        f"{origin.model}{weights}: {origin.engine} {origin.engine_version}, {origin.dtype}, "
        f"{origin.threads} threads, {origin.gpu or origin.cpu_model}"
    )
