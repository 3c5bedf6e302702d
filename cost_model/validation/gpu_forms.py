"""Forms of a law for batches on a GPU, fitted to alternate published figures and held against the others.

The rows are BERT base under TensorRT on an A100, two lengths by ten batch sizes, in fp16 and in int8. Alternate means
as on a chessboard: a figure is in the fit, and its neighbours in length and in batch are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.gpu import GpuLaw
from cost_model.hardware import Peak, gpu_peak
from cost_model.prices.book import Unknown
from cost_model.service_time.law import solve
from cost_model.validation.errors import Errors
from cost_model.validation.published import Published, load_published
from rerank_toolkit.catalog.shapes import Shape, encoder_parameters, flops_terms

Array = NDArray[np.float64]
Precision = Literal["fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp16", "int8")

BERT_BASE = Shape(
    family="bert", layers=12, hidden=768, heads=12, intermediate=3072, vocabulary=30522, positions=512, token_types=2
)
FASTER: Mapping[Precision, int] = {"fp16": 1, "int8": 2}
"""By how much its dense peak is above fp16's; a number takes as much less memory."""


class Cell(msgspec.Struct, frozen=True):
    """One published figure and what a form makes of it."""

    row: Published
    fitted: bool
    predicted_s: float

    @property
    def error(self) -> float:
        return self.predicted_s / self.row.seconds - 1


def a100_rows(precision: Precision) -> list[Published]:
    """By length, then batch."""
    rows = [row for row in load_published() if "A100" in row.hardware and row.runtime == f"TensorRT {precision}"]
    return sorted(rows, key=lambda row: (row.seq_len or 0, row.batch or 0))


def a100() -> Peak:
    peak = gpu_peak("NVIDIA A100")
    if isinstance(peak, Unknown):
        raise LookupError(peak.reason)
    return peak


class _Figures(msgspec.Struct, frozen=True):
    batch: Array
    length: Array
    seconds: Array
    faster: int

    @classmethod
    def of(cls, rows: Sequence[Published], precision: Precision) -> _Figures:
        return cls(
            np.array([row.batch for row in rows], float),
            np.array([row.seq_len for row in rows], float),
            np.array([row.seconds for row in rows]),
            FASTER[precision],
        )


Predict = Callable[[_Figures], Array]
Fit = Callable[[_Figures], Predict]


def _linear(terms: Callable[[_Figures], tuple[Array, Array]]) -> Fit:
    """A law that is linear in its coefficients: `terms` gives features (figures, terms), and what is known before."""

    def fit(known: _Figures) -> Predict:
        features, offset = terms(known)
        coefficients, _ = solve(features, known.seconds, offset)
        return lambda asked: np.asarray(terms(asked)[0] @ coefficients + terms(asked)[1])

    return fit


def _request_terms(figures: _Figures) -> tuple[Array, Array]:
    tokens = figures.batch * figures.length
    one = np.ones_like(tokens)
    return np.stack([one, figures.batch, tokens, tokens * figures.length], axis=1), 0 * one


def _longest_terms(figures: _Figures) -> tuple[Array, Array]:
    tokens = figures.batch * figures.length
    one = np.ones_like(tokens)
    return np.stack([one, figures.length, tokens, tokens * figures.length], axis=1), 0 * one


def roofline_terms(figures: _Figures) -> tuple[Array, Array]:
    """Features of launch, serial, token passes and score passes; and the seconds of the FLOPs and of the weights."""
    peak, shape = a100(), BERT_BASE
    if peak.bandwidth is None:
        raise LookupError("the A100's memory bandwidth is not in hardware.toml")
    tokens = figures.batch * figures.length
    squares = tokens * figures.length
    of_token, of_square = flops_terms(shape, float(figures.length.min()))
    compute = (of_token * tokens + of_square * squares) / (peak.core_gflops * 1e9 * figures.faster)
    of_byte = 2 / figures.faster / (peak.bandwidth.gb_s * 1e9)
    layers = np.full_like(tokens, shape.layers)
    features = np.stack(
        [
            layers,
            layers * figures.length,
            layers * shape.hidden * tokens * of_byte,
            layers * shape.heads * squares * of_byte,
        ],
        axis=1,
    )
    return features, compute + encoder_parameters(shape) * of_byte


def _blended(power: float) -> Fit:
    """(fixed part^p + proportional part^p)^(1/p): p = 1 adds them up, p = ∞ takes the larger."""

    def seconds(logarithms: Array, figures: _Figures) -> Array:
        a, e, c, d = np.exp(logarithms)
        tokens = figures.batch * figures.length
        fixed, rest = a + e * figures.length, c * tokens + d * tokens * figures.length
        if np.isinf(power):
            return np.asarray(np.maximum(fixed, rest))
        return np.asarray((fixed**power + rest**power) ** (1 / power))

    def fit(known: _Figures) -> Predict:
        from scipy.optimize import least_squares  # noqa: PLC0415

        found = least_squares(lambda at: np.log(seconds(at, known) / known.seconds), [-7.6, -13.0, -14.0, -21.0])
        return lambda asked: seconds(found.x, asked)

    return fit


CHOSEN = "launch + serial · length + FLOPs / peak + bytes / bandwidth"
FORMS: Mapping[str, Fit] = {
    "a + b · sequences + c · tokens + d · Σ tokens²": _linear(_request_terms),
    "a + e · length + c · tokens + d · Σ tokens²": _linear(_longest_terms),
    "max(a + e · length, c · tokens + d · Σ tokens²)": _blended(np.inf),
    "the same two added up as p-norm, p = 1.5": _blended(1.5),
    CHOSEN: _linear(roofline_terms),
}


def alternate(precision: Precision, form: str, *, first: bool = True) -> list[Cell]:
    """Every figure of the precision under `form`, fitted to one colour of the chessboard; `first` says which."""
    rows = a100_rows(precision)
    lengths = sorted({row.seq_len for row in rows if row.seq_len})
    batches = sorted({row.batch for row in rows if row.batch})
    fitted = [
        (lengths.index(row.seq_len or 0) + batches.index(row.batch or 0)) % 2 == (0 if first else 1) for row in rows
    ]
    predict = FORMS[form](_Figures.of([row for row, known in zip(rows, fitted, strict=True) if known], precision))
    predicted = predict(_Figures.of(rows, precision)).tolist()
    return [Cell(row, known, seconds) for row, known, seconds in zip(rows, fitted, predicted, strict=True)]


def held_out(cells: Sequence[Cell]) -> Errors:
    return Errors.of([cell.error for cell in cells if not cell.fitted])


def carried() -> list[Cell]:
    """The int8 figures by the law that was fitted to all fp16 figures, which saw none of them: at twice the peak, and
    with numbers of half the size."""
    predict = FORMS[CHOSEN](_Figures.of(a100_rows("fp16"), "fp16"))
    rows = a100_rows("int8")
    return [
        Cell(row, False, seconds)
        for row, seconds in zip(rows, predict(_Figures.of(rows, "int8")).tolist(), strict=True)
    ]


def fit_gpu_law(source: str = "") -> GpuLaw:
    """What gpu.toml holds: the free terms by all fp16 figures, the error by those that alternate fits left out."""
    figures = _Figures.of(a100_rows("fp16"), "fp16")
    features, offset = roofline_terms(figures)
    (launch, serial, token, score), _ = solve(features, figures.seconds, offset)
    errors = [
        abs(cell.error) for first in (True, False) for cell in alternate("fp16", CHOSEN, first=first) if not cell.fitted
    ]
    return GpuLaw(
        launch_s=float(launch),
        serial_s=float(serial),
        token_passes=float(token),
        score_passes=float(score),
        error=float(np.median(errors)),
        source=source,
    )
