"""Starts the real container's server of each artifact and records what its processes hold at work.

Artifacts that stand in artifacts/ are taken; others are packaged there with seeded weights first. Memory isn't noisy,
so a busy machine does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

import msgspec

from cost_model.validation.memory import TABLE, MeasuredServer, MeasuredServers
from rerank_toolkit.bench.artifacts import package
from rerank_toolkit.bench.conditions import conditions, origin_of
from rerank_toolkit.bench.process_tree import MemoryWatch, peak_rss_mib
from rerank_toolkit.bench.rounds import workload_requests
from rerank_toolkit.bench.server_process import serve
from rerank_toolkit.bench.sides import ContainerSide
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.catalog.models import find_model, load_models
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.manifest import FILE_NAME, Dtype, Engine, Manifest
from rerank_toolkit.contracts.wire import Origin

ARTIFACTS = Path(__file__).parents[2] / "artifacts"

WORKLOAD = Workload(documents=40)
LONGEST = 512
REQUESTS = 3
FULL_DOCUMENTS = 16
"""In the request whose documents are all of LONGEST tokens."""
WATCH_S = 0.05

_BOTH: tuple[tuple[Engine, Dtype], ...] = (("openvino", "bf16"), ("torch", "fp32"))
CASES: tuple[tuple[str, Engine, Dtype, int], ...] = (
    *((alias, *kind, 1) for kind in _BOTH for alias in ("base", "turbo", "tiny", "minilm-l6")),
    *(
        (alias, "openvino", "bf16", 1)
        for alias in ("minilm-l4", "minilm-l12", "bge-base", "mxbai-xsmall", "mxbai-base")
    ),
    *((alias, "openvino", "bf16", 2) for alias in ("tiny", "base")),
)
"""Model, engine, dtype and workers."""


def record(progress: Callable[[str], None]) -> None:
    """Writes cost_model/validation/memory.json. Raises what packaging and serving raise."""
    measured = []
    for alias, engine, dtype, workers in CASES:
        artifact = _artifact(find_model(alias).id, alias, engine, dtype, progress)
        measured.append(_measure(artifact, workers))
        server, _ = measured[-1]
        progress(f"{alias} {engine} {dtype}, {workers} workers: {server.peak_rss_mib:,.0f} MiB")
    _, origin = measured[-1]
    under = msgspec.structs.replace(
        conditions(origin, f"{WORKLOAD}; and {FULL_DOCUMENTS} documents of {LONGEST} tokens"),
        command="python -m tools.validate --measure-memory",
    )
    servers = [server for server, _ in measured]
    documents.write(TABLE, MeasuredServers(conditions=msgspec.to_builtins(under), servers=servers))


def _measure(artifact: Path, workers: int) -> tuple[MeasuredServer, Origin]:
    """What a server of the artifact holds when it has worked, and how its last answer was made."""
    manifest = documents.read(artifact / FILE_NAME, Manifest)
    with (
        serve(artifact, environment={"RERANK_WORKERS": str(workers)}) as server,
        closing(ContainerSide(manifest.model_id, server.url, server.pid)) as side,
    ):
        idle = peak_rss_mib(server.pid)
        ruler = side.ruler()
        requests = workload_requests(WORKLOAD, REQUESTS, tokens_per_word=ruler.tokens_per_word)
        full = [ruler.text(LONGEST, start=1 + index) for index in range(FULL_DOCUMENTS)]
        with MemoryWatch(server.pid, WATCH_S) as watch:
            for request in requests:
                side.score(*request)
            origin = origin_of(side.score(ruler.text(WORKLOAD.query_tokens), full))
        found = MeasuredServer(
            model_id=manifest.model_id,
            seeded=manifest.seeded,
            engine=manifest.engine,
            dtype=manifest.dtype,
            workers=origin.workers,
            threads=origin.threads,
            longest_tokens=LONGEST,
            idle_rss_mib=round(idle, 1),
            peak_rss_mib=round(peak_rss_mib(server.pid), 1),
            peak_pss_mib=round(watch.peak_mib, 1),
        )
    return found, origin


def _artifact(model_id: str, alias: str, engine: Engine, dtype: Dtype, progress: Callable[[str], None]) -> Path:
    for path in _standing():
        manifest = documents.read(path / FILE_NAME, Manifest)
        if (manifest.model_id, manifest.engine, manifest.dtype) == (model_id, engine, dtype):
            return path
    return package(alias, ARTIFACTS, engine=engine, dtype=dtype, options=("--seed", "0"), progress=progress)


def _standing() -> Iterator[Path]:
    """Whole models in artifacts/, each as it would be packaged: the genuine ones have no other name."""
    kinds = [f"-{engine}-{dtype}" for engine in get_args(Engine) for dtype in get_args(Dtype)]
    names = {model + kind for model in load_models() for kind in ("", *kinds)}
    return (path for path in sorted(ARTIFACTS.glob("*")) if path.name in names and (path / FILE_NAME).is_file())
