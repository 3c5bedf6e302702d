"""Our own profiles, each in part or as a whole left out and predicted from the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from cost_model.hardware import load_hardware
from cost_model.service_time import Law, MeasuredModel, fit, lay_out
from cost_model.validation.errors import Errors
from rerank_toolkit.catalog.models import load_models
from rerank_toolkit.catalog.shapes import Shape, flops
from rerank_toolkit.contracts.profile import Cell, Profile

SHORT = 130
"""Tokens of a document up to which it counts as short: half of what is predicted from them, or less."""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction of what was left out."""

    what: str
    by: str
    fitted: int
    """Cells that it stands on."""
    errors: Errors


def shape_of(profile: Profile) -> Shape:
    return load_models()[profile.model_id].shape


def of_a_model(target: MeasuredModel, sources: Sequence[MeasuredModel]) -> LeftOut:
    """Its cells by other models' laws: the FLOPs' ratio from one, between two by their logarithms.

    The law of a source is asked for the very cell, so what is judged is the way from one model to the other.
    """
    profile = target.profile

    def predicted(cell: Cell) -> float:
        tokens = round(cell.tokens_per_document)
        points = [
            (
                math.log(flops(shape_of(source.profile), tokens)),
                math.log(_seconds(source, cell)),
            )
            for source in sources
        ]
        work = math.log(flops(shape_of(profile), tokens))
        if len(points) == 1:
            ((at, seconds),) = points
            return math.exp(seconds + work - at)
        (low, first), (high, second) = sorted(points)
        return math.exp(first + (second - first) * (work - low) / (high - low))

    return LeftOut(
        what=profile.model_id,
        by=" and ".join(source.profile.model_id for source in sources),
        fitted=sum(len(source.profile.cells) for source in sources),
        errors=_errors(profile.cells, predicted),
    )


def nearest(target: MeasuredModel, others: Sequence[MeasuredModel]) -> MeasuredModel:
    """What `find_speed` would scale the target from if it were not measured: its family's nearest in FLOPs."""
    work = flops(shape_of(target.profile), 128)
    return min(
        (other for other in others if other.profile.model_id != target.profile.model_id),
        key=lambda other: (
            shape_of(other.profile).family != shape_of(target.profile).family,
            abs(math.log(work / flops(shape_of(other.profile), 128))),
        ),
    )


def of_the_second_engine(measured: MeasuredModel) -> LeftOut | None:
    """Requests that keep several engines at work, by a law of those that keep one; None where a profile has not both.

    Engines that work at the same time are slower by what two processes were measured to lose.
    """
    profile = measured.profile
    alone = [cell for cell in profile.cells if _engines_at_work(cell, profile) == 1]
    together = [cell for cell in profile.cells if _engines_at_work(cell, profile) > 1]
    if len(alone) < 4 or not together:
        return None
    law = _fit(alone, profile)
    loss = 2 / load_hardware().assumed.two_process_speedup
    return LeftOut(
        what=profile.model_id,
        by="its requests on one engine",
        fitted=len(alone),
        errors=_errors(
            together,
            lambda cell: loss * law.request_seconds(cell, engines=profile.workers, token_budget=profile.token_budget),
        ),
    )


def of_long_documents(measured: MeasuredModel) -> LeftOut:
    """Documents of more than twice SHORT tokens, by a law of those up to it."""
    profile = measured.profile
    short = [cell for cell in profile.cells if cell.tokens_per_document <= SHORT * 1.1]
    long = [cell for cell in profile.cells if cell.tokens_per_document > 2 * SHORT * 1.1]
    law = _fit(short, profile)
    return LeftOut(
        what=profile.model_id,
        by=f"documents of up to {max(cell.tokens_per_document for cell in short):,.0f} tokens",
        fitted=len(short),
        errors=_errors(
            long, lambda cell: law.request_seconds(cell, engines=profile.workers, token_budget=profile.token_budget)
        ),
    )


def _engines_at_work(cell: Cell, profile: Profile) -> int:
    alike = (cell.tokens / cell.documents,) * cell.documents
    layout = lay_out(alike, engines=profile.workers, token_budget=profile.token_budget, padded=False)
    return 1 if layout.longest == layout.together else profile.workers


def _fit(cells: Sequence[Cell], profile: Profile) -> Law:
    return fit(
        cells,
        shape=shape_of(profile),
        engines=profile.workers,
        token_budget=profile.token_budget,
        padded=profile.engine == "openvino",
    )


def _seconds(measured: MeasuredModel, cell: Cell) -> float:
    profile = measured.profile
    return measured.law.request_seconds(cell, engines=profile.workers, token_budget=profile.token_budget)


def _errors(cells: Sequence[Cell], predicted: Callable[[Cell], float]) -> Errors:
    return Errors.of([predicted(cell) / (cell.inference_ms / 1000) - 1 for cell in cells])
