"""`rerank cost compare`: every option side by side, and which one to take."""

from __future__ import annotations

import gc
import os
from typing import Annotated

from cyclopts import Parameter

from cost_model.cli_options import Asked
from cost_model.report.order import Sort
from rerank_toolkit.console import Format, print_json, print_table, print_text, say
from rerank_toolkit.contracts.errors import NothingMeetsConstraints
from rerank_toolkit.contracts.faults import Fault


def compare(
    *,
    asked: Asked | None = None,
    sort: Sort = "model",
    top: int = 1,
    format: Format = "table",
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
) -> None:
    """Every model in every way to run it: what it costs, how fast it is, which one to take.

    Parameters
    ----------
    sort
        Order of the table: by model and kind, or by one figure, the best first.
    top
        Rows of each model and kind (real-time on CPU and on GPU, serverless, offline, elsewhere); 0 for all.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json.
    """
    _make_haste()
    from cost_model.question import answer
    from cost_model.report.compare import (
        comparison_columns,
        comparison_document,
        comparison_notes,
        comparison_rows,
        left_out_lines,
        shown_options,
    )
    from cost_model.report.estimate import prices_line
    from cost_model.simulate.announcing import on_compiling
    from cost_model.simulation import simulated, simulated_row

    on_compiling(say)
    faults = [Fault("--top", f"is {top}; expected 0 for all, or more", "out_of_range")] if top < 0 else []
    question, prices, measured = (asked or Asked()).question(faults)
    comparison = answer(question, prices, measured, refine=simulated)
    if as_json or format == "json":
        print_json(comparison_document(comparison, prices))
    elif comparison.options:
        shown = shown_options(comparison, top, sort, simulated_row)
        tell = print_text if format == "table" else say
        tell(prices_line(prices, comparison.regions))
        tell(comparison.workload.describe())
        print_table(comparison_columns(comparison), comparison_rows(comparison, shown), format=format)
        for line in comparison_notes(comparison, shown):
            tell(line)
    if comparison.chosen is None:
        why_nothing = [] if comparison.options else left_out_lines(comparison)
        raise NothingMeetsConstraints("\n".join([comparison.reason, *(f"  {line}" for line in why_nothing)]))


def _make_haste() -> None:
    """For a process that keeps all it makes and multiplies nothing large: looking for garbage takes it a tenth of its
    second, and starting numpy's threads a twentieth."""
    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
