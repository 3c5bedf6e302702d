"""Models of the catalogue side by side: one engine, one dtype, the same lengths, in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from rerank_toolkit.bench.conditions import conditions, origin_of, software
from rerank_toolkit.bench.efficiency import efficiency
from rerank_toolkit.bench.process_tree import peak_rss_mib
from rerank_toolkit.bench.results import Measured, ModelComparison
from rerank_toolkit.bench.rounds import Request, interleave, median_ms, workload_requests
from rerank_toolkit.bench.server_process import serve
from rerank_toolkit.bench.sides import ContainerSide
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.manifest import FILE_NAME, Manifest


def compare_models(artifacts: Sequence[Path], *, rounds: int, progress: Callable[[str], None]) -> ModelComparison:
    """Measures the servers of `artifacts`, all up at once, `rounds` requests of the workload each, interleaved.

    Each gets texts of the same numbers of tokens, by its own tokenizer.
    """
    workload = Workload()
    manifests = [documents.read(artifact / FILE_NAME, Manifest) for artifact in artifacts]
    with ExitStack() as stack:
        sides: list[ContainerSide] = []
        for artifact, manifest in zip(artifacts, manifests, strict=True):
            server = stack.enter_context(serve(artifact))
            sides.append(stack.enter_context(closing(ContainerSide(manifest.model_id, server.url, server.pid))))
        requests: dict[str, list[Request]] = {
            side.name: workload_requests(workload, rounds, tokens_per_word=side.ruler().tokens_per_word)
            for side in sides
        }
        taken = interleave(sides, requests, progress)
        memory = {side.name: peak_rss_mib(side.pid) for side in sides}
    origins = {name: origin_of(scored[-1]) for name, scored in taken.items()}
    medians = {name: median_ms(scored) for name, scored in taken.items()}
    slowest = max(medians, key=medians.__getitem__)
    return ModelComparison(
        conditions=conditions(origins[slowest], workload),
        engine=origins[slowest].engine,
        dtype=origins[slowest].dtype,
        rounds=rounds,
        slowest=slowest,
        models=[
            Measured(
                name=name,
                software=software(origins[name]),
                precision=origins[name].dtype,
                samples_ms=[round(scored.seconds * 1e3, 2) for scored in taken[name]],
                median_ms=median,
                documents_per_second=round(workload.documents / median * 1e3, 2),
                peak_rss_mib=round(memory[name], 1),
            )
            for name, median in medians.items()
        ],
        times_slowest={name: round(medians[slowest] / median, 3) for name, median in medians.items()},
        efficiency=[
            found
            for manifest in manifests
            if (found := efficiency(manifest.model_id, manifest.shape, taken[manifest.model_id])) is not None
        ],
    )
