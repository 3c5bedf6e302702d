"""Every published figure of cost_model/validation/benchmarks.csv, with what the laws make of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from cost_model.gpu import load_gpu_law
from cost_model.hardware import Peak, in_dtype, instance_peak
from cost_model.prices.book import Unknown
from cost_model.scaling import scale
from cost_model.service_time import Speed, find_speed, load_profiles
from cost_model.validation.errors import Errors
from cost_model.validation.gpu_forms import (
    CHOSEN,
    FORMS,
    PRECISIONS,
    Cell,
    Precision,
    a100,
    a100_rows,
    alternate,
    carried,
    held_out,
)
from cost_model.validation.published import Published, load_published
from cost_model.workload import Workload
from rerank_toolkit.catalog.instances import find_instance
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts.manifest import Dtype
from tools.reference import markdown

TARGET = 0.20
"""Median error on the figures that a fit didn't see."""


def section(_: Path) -> str:
    return markdown.join(
        "Alternate figures, as on a chessboard, are fitted; the others are predicted. Each form of the law, with the "
        "median of the absolute errors on what it didn't see and the worst of them, by which colour was fitted:",
        markdown.table(["form", *_colours()], [[f"`{form}`", *_forms(form)] for form in FORMS]),
        f"The last one is used (`cost_model/gpu.py`), with the terms `{_terms()}`: it is among the best, and its terms "
        f"belong to no GPU. {_verdict()}",
        "Carried from fp16 to int8, of which the law has seen nothing, by twice the peak and half the bytes: "
        f"{_errors(Errors.of([cell.error for cell in carried()]))}. The law is too fast there, for not all of a model "
        "works in 8 bits (softmax and normalisation don't), which halving every byte and FLOP supposes.",
        _figures(),
        "The same laws on other hardware and other runtimes:",
        markdown.table(
            ["figure", "published", "predicted by", "predicted", "error", "why it is off"],
            [row for published in load_published() if published.metric == "p95_ms" for row in _elsewhere(published)],
        ),
        "And what can't be predicted, because it doesn't say enough:",
        markdown.table(
            ["figure", "runtime", "published", "doesn't state", "what can be said"],
            [
                [
                    f"{row.model} on {row.hardware}",
                    row.runtime,
                    f"{row.value:g} {row.metric.replace('_', ' ')}",
                    ", ".join(row.lacks),
                    _context(row),
                ]
                for row in load_published()
                if row.lacks
            ],
        ),
        f"Sources: {'; '.join(_sources())}.",
    )


def _colours() -> Iterator[str]:
    return (f"{precision}, {colour}" for precision in PRECISIONS for colour in ("white", "black"))


def _forms(form: str) -> Iterator[str]:
    for precision in PRECISIONS:
        for first in (True, False):
            errors = held_out(alternate(precision, form, first=first))
            yield f"{errors.median:.1%} ({errors.worst:+.0%})"


def _terms() -> str:
    law = load_gpu_law()
    return (
        f"launch {law.launch_s * 1e6:.1f} µs a layer, serial {law.serial_s * 1e9:.0f} ns a layer and token, "
        f"{law.token_passes:.1f} passes over the hidden states, {law.score_passes:.1f} over the scores"
    )


def _verdict() -> str:
    worst = max(held_out(alternate(p, CHOSEN, first=f)).median for p in PRECISIONS for f in (True, False))
    return f"Its worst median is {worst:.1%}, {'within' if worst <= TARGET else 'beyond'} the target of {TARGET:.0%}."


def _figures() -> str:
    by_precision: dict[Precision, list[Cell]] = {precision: alternate(precision, CHOSEN) for precision in PRECISIONS}
    onto_int8 = carried()
    rows = []
    for at, row in enumerate(a100_rows("fp16")):
        cells = {precision: by_precision[precision][at] for precision in PRECISIONS}
        rows.append(
            [
                f"{row.batch} × {row.seq_len}",
                *(text for precision in PRECISIONS for text in _cell(cells[precision])),
                *_cell(onto_int8[at])[1:3],
            ]
        )
    heads = ["batch × tokens"]
    heads += [f"{precision} {what}" for precision in PRECISIONS for what in ("published", "predicted", "error", "fit")]
    return "BERT base under TensorRT on an A100 of 40 GB, sequences a second:\n\n" + markdown.table(
        [*heads, "int8 from fp16", "error"], rows
    )


def _cell(cell: Cell) -> tuple[str, str, str, str]:
    sequences = cell.row.batch or 0
    return (
        f"{cell.row.value:,.0f}",
        f"{sequences / cell.predicted_s:,.0f}",
        f"{cell.error:+.0%}",
        "fitted" if cell.fitted else "held out",
    )


def _elsewhere(row: Published) -> Iterator[list[str]]:
    """A latency on a CPU: by our own profile, carried there as an option is, and by the GPU's law."""
    dtype: Dtype = "int8" if "int8" in row.runtime else "fp32"
    instance = find_instance(f"ml.{row.hardware}")
    machine = instance_peak(instance)
    if isinstance(machine, Unknown) or row.batch is None or row.seq_len is None:
        raise LookupError(f"{row.hardware} can't be scaled to, and the table of published figures has it")
    model = find_model("minilm-l6")
    workload = Workload(
        requests_per_second=1, documents_per_request=row.batch, tokens_per_document=row.seq_len, tokens_cv=0
    )
    peak = in_dtype(machine, dtype, instance.instruction_set)
    measured, _ = load_profiles()
    speed = find_speed(model, workload, measured, instance=None, gpu=False)
    if not isinstance(speed, Speed):
        raise LookupError(speed.reason)
    scaled = scale(speed, model, workload, peak, dtype=dtype)
    low, high = (scaled.alone_s * bound / scaled.ratio * 1e3 for bound in (scaled.ratio_low, scaled.ratio_high))
    name = f"{row.model} on {row.hardware}, {row.runtime}, {row.batch} × {row.seq_len}"
    yield [
        name,
        f"{row.value:g} ms (p95)",
        f"our profile of {speed.measured.profile.model_id} (OpenVINO), scaled",
        f"{scaled.alone_s * 1e3:.1f} ms ({low:.1f} to {high:.1f})",
        _error(scaled.alone_s / row.seconds - 1),
        "ours is a mean on one core, the figure a p95 on two; another runtime; which MiniLM it was isn't said",
    ]
    law = load_gpu_law()
    tokens = row.batch * row.seq_len
    seconds = law.seconds(
        model.shape,
        sequences=row.batch,
        tokens=tokens,
        squared_tokens=tokens * row.seq_len,
        peak=_whole(peak),
    )
    yield [
        name,
        f"{row.value:g} ms (p95)",
        "the A100's law at this CPU's peak and bandwidth",
        f"{seconds * 1e3:.1f} ms",
        _error(seconds / row.seconds - 1),
        "a GPU's passes over memory at its bandwidth, though a CPU keeps them in its cache; a GPU's launches; "
        "TensorRT's tuning",
    ]


def _whole(peak: Peak) -> Peak:
    """All cores as one device with 16-bit numbers, which is what the GPU's law counts bytes in."""
    if peak.bandwidth is None:
        raise LookupError(f"no bandwidth is known: {peak.formula}")
    whole = peak.bandwidth.gb_s * peak.cores
    return msgspec.structs.replace(
        peak,
        core_gflops=peak.gflops,
        bandwidth=msgspec.structs.replace(peak.bandwidth, gb_s=whole, low=whole, high=whole),
    )


def _context(row: Published) -> str:
    alias = {"jina-reranker-v1-turbo-en": "turbo", "jina-reranker-v1-tiny-en": "tiny"}.get(row.model)
    if alias is None:
        return "no prediction"
    alone, full = (_times_base(alias, documents) for documents in (1, 64))
    return f"the GPU law on an A100: {alone:.1f} times base's speed for one document, {full:.1f} for 64 of 128 tokens"


def _times_base(alias: str, documents: int) -> float:
    law, tokens = load_gpu_law(), 128
    base, other = (
        law.seconds(
            find_model(name).shape,
            sequences=documents,
            tokens=documents * tokens,
            squared_tokens=documents * tokens**2,
            peak=a100(),
        )
        for name in ("base", alias)
    )
    return base / other


def _sources() -> list[str]:
    return list(dict.fromkeys(f"{row.source} ({row.as_of})" for row in load_published()))


def _errors(errors: Errors) -> str:
    return f"median error {errors.median:.1%}, worst {errors.worst:+.0%} over {errors.count} figures"


def _error(error: float) -> str:
    return f"{error:+.0%}"
