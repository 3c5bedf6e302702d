"""Our server against other software: the same weights and texts, in turn, on the same cores."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rerank_toolkit.bench.agreement import Agreement, agreement, require_agreement
from rerank_toolkit.bench.artifacts import package
from rerank_toolkit.bench.conditions import conditions, origin_of, software
from rerank_toolkit.bench.efficiency import efficiency
from rerank_toolkit.bench.errors import ArtifactUnavailable, NotMeasurable
from rerank_toolkit.bench.process_tree import peak_rss_mib
from rerank_toolkit.bench.results import EngineComparison, LeftOut, Measured, Surroundings
from rerank_toolkit.bench.rivals.checkpoint import write_checkpoint
from rerank_toolkit.bench.rivals.cross_encoder import Backend, CrossEncoderSide, cross_encoder
from rerank_toolkit.bench.rivals.environments import RIVALS, environment_python
from rerank_toolkit.bench.rivals.infinity import infinity
from rerank_toolkit.bench.rounds import agreement_request, interleave, median_ms, workload_requests
from rerank_toolkit.bench.server_process import serve
from rerank_toolkit.bench.sides import ContainerSide, Scored, Side
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts.manifest import Dtype, Engine

Progress = Callable[[str], None]

WHOLE, SHAPE = "ms-marco-MiniLM-L-12-v2", "ms-marco-MiniLM-L-6-v2"
LAYERS = (0, 1, 3, 5, 8, 11)
WEIGHTS = f"{SHAPE}'s shapes: layers {', '.join(map(str, LAYERS))} of the genuine {WHOLE}, and its tokenizer"

MEMORY_REQUESTS = 3

_SENTENCE_TRANSFORMERS: tuple[tuple[Backend, Literal["default", "bf16"]], ...] = (
    ("torch", "default"),
    ("torch", "bf16"),
    ("onnx", "default"),
    ("openvino", "default"),
)
_INFINITY: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")


@dataclass(slots=True)
class _Entered:
    """The sides that run, in the order of the report; the reference is the first rival."""

    ours: list[ContainerSide] = field(default_factory=list)
    rivals: list[Side] = field(default_factory=list)
    precisions: dict[str, Dtype] = field(default_factory=dict)
    versions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    """Peaks, MiB."""
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def all(self) -> list[Side]:
        return [*self.ours, *self.rivals]

    def add_ours(self, side: ContainerSide, precision: Dtype) -> None:
        self.ours.append(side)
        self.precisions[side.name] = precision

    def add_rival(self, side: Side, precision: Dtype, versions: Mapping[str, str]) -> None:
        self.rivals.append(side)
        self.precisions[side.name] = precision
        self.versions[side.name] = versions


def compare_engines(
    *,
    work: Path,
    requirements: Path,
    environments: Path,
    engine: Engine,
    dtypes: Sequence[Dtype],
    accept_fidelity_loss: bool,
    rounds: int,
    progress: Progress,
) -> EngineComparison:
    """Measures our server in each of `dtypes` and every rival, `rounds` requests of the workload each, interleaved.

    `work` keeps artifacts, `environments` the rivals' installations between comparisons. Raises NotComparable if a
    side's scores are not the reference's, RivalUnavailable, ArtifactUnavailable, ServerNotStarted.
    """
    pythons = {
        rival: environment_python(rival, requirements=requirements, environments=environments, progress=progress)
        for rival in RIVALS
    }
    checkpoint = work / "checkpoint"
    write_checkpoint(package(WHOLE, work, engine="torch", dtype="fp32", progress=progress), checkpoint, layers=LAYERS)
    with ExitStack() as stack:
        entered = _Entered()
        _start_ours(
            entered,
            stack,
            work=work,
            engine=engine,
            dtypes=dtypes,
            options=[f"--source=dir:{checkpoint}", *(["--accept-fidelity-loss"] if accept_fidelity_loss else [])],
            progress=progress,
        )
        _start_cross_encoders(entered, stack, pythons["sentence-transformers"], checkpoint, progress=progress)
        for precision in _INFINITY:
            progress(f"starting infinity {precision}")
            side = stack.enter_context(infinity(pythons["infinity"], checkpoint, precision))
            entered.add_rival(side, precision, _pinned(requirements / "infinity.txt"))
        reference = entered.rivals[0].name
        agreements = _require_agreement(entered, reference)
        progress(f"all {len(entered.all)} sides agree; {rounds} rounds")
        requests = workload_requests(Workload(), rounds)
        taken = interleave(entered.all, {side.name: requests for side in entered.all}, progress)
        for lone in entered.all:
            if not isinstance(lone, CrossEncoderSide):
                entered.memory[lone.name] = peak_rss_mib(lone.pid)
    return _report(entered, taken, agreements=agreements, reference=reference)


def _start_ours(
    entered: _Entered,
    stack: ExitStack,
    *,
    work: Path,
    engine: Engine,
    dtypes: Sequence[Dtype],
    options: Sequence[str],
    progress: Progress,
) -> None:
    """Our server in each of `dtypes`; one that packaging refuses, as int8's gate may, is left out and said so."""
    for dtype in dtypes:
        name = f"ours {engine} {dtype}"
        progress(f"starting {name}")
        try:
            artifact = package(SHAPE, work, engine=engine, dtype=dtype, options=options, progress=progress)
        except ArtifactUnavailable as error:
            progress(str(error))
            entered.left_out.append(LeftOut(name=name, reason=str(error)))
            continue
        server = stack.enter_context(serve(artifact))
        entered.add_ours(stack.enter_context(closing(ContainerSide(name, server.url, server.pid))), dtype)
    if not entered.ours:
        raise ArtifactUnavailable("\n".join(left.reason for left in entered.left_out))


def _start_cross_encoders(
    entered: _Entered, stack: ExitStack, python: Path, checkpoint: Path, *, progress: Progress
) -> None:
    """Each backend at its default batch and, where another is faster, at its best."""
    requests = workload_requests(Workload(), MEMORY_REQUESTS)
    for backend, dtype in _SENTENCE_TRANSFORMERS:
        progress(f"starting sentence-transformers {backend} {dtype}")
        side = stack.enter_context(cross_encoder(python, checkpoint, backend, dtype))
        for request in requests:
            side.score(*request)
        entered.memory[side.name] = peak_rss_mib(side.pid)  # before other batches leave their mark on it
        best = side.at_best_batch(*requests[0])
        for one in (side, best) if best.batch != side.batch else (side,):
            entered.add_rival(one, one.precision, one.versions)


def _require_agreement(entered: _Entered, reference: str) -> dict[str, Agreement]:
    """Every other side's agreement with the reference; raises NotComparable."""
    pairs = agreement_request(Workload())
    logits = {side.name: side.score(*pairs).logits for side in entered.all}
    agreements = {name: agreement(found, logits[reference]) for name, found in logits.items() if name != reference}
    require_agreement(
        {name: (entered.precisions[name], found) for name, found in agreements.items()}, reference=reference
    )
    return agreements


def _report(
    entered: _Entered,
    taken: Mapping[str, Sequence[Scored]],
    *,
    agreements: Mapping[str, Agreement],
    reference: str,
) -> EngineComparison:
    workload = Workload()
    origins = {side.name: origin_of(taken[side.name][-1]) for side in entered.ours}
    own_medians = {name: median_ms(taken[name]) for name in origins}

    def measured(side: Side) -> Measured:
        name, median = side.name, median_ms(taken[side.name])
        ours = name in origins
        return Measured(
            name=name,
            software=software(origins[name]) if ours else dict(entered.versions[name]),
            precision=origins[name].dtype if ours else entered.precisions[name],
            samples_ms=[round(scored.seconds * 1e3, 2) for scored in taken[name]],
            median_ms=median,
            documents_per_second=round(workload.documents / median * 1e3, 2),
            peak_rss_mib=round(entered.memory[name], 1) if name in entered.memory else None,
            agreement=agreements.get(name),
            times_ours={} if ours else {one: round(median / own, 3) for one, own in own_medians.items()},
        )

    first = origins[entered.ours[0].name]
    shape = find_model(SHAPE).shape
    return EngineComparison(
        conditions=conditions(first, workload),
        weights=WEIGHTS,
        reference=reference,
        rounds=len(taken[reference]),
        ours=[measured(side) for side in entered.ours],
        rivals=[measured(side) for side in entered.rivals],
        left_out=entered.left_out,
        surroundings=[_surroundings(side.name, taken[side.name]) for side in entered.ours],
        efficiency=[
            found for side in entered.ours if (found := efficiency(side.name, shape, taken[side.name])) is not None
        ],
    )


def _surroundings(name: str, taken: Sequence[Scored]) -> Surroundings:
    """What is left of each request's time without its queue and compute, as the answer tells them."""
    outside = []
    for scored in taken:
        origin = origin_of(scored)
        outside.append(scored.seconds * 1e3 - origin.inference_ms - origin.queue_ms)
    if min(outside) < 0:
        raise NotMeasurable(f"{name} says that it computed for longer than its answer took. This is a bug.")
    median = statistics.median(outside)
    return Surroundings(name=name, median_ms=round(median, 2), share=round(median / median_ms(taken), 4))


def _pinned(requirements: Path) -> dict[str, str]:
    pins = dict(line.split("==", 1) for line in requirements.read_text(encoding="utf-8").splitlines() if "==" in line)
    return {name: pins[name] for name in ("infinity_emb", "transformers", "torch")}
