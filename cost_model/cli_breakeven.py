"""`rerank cost breakeven`: at which volumes one way to run a model becomes cheaper than another."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cost_model.breakeven import LEAST, MOST, find_breakeven
from cost_model.cli_options import Asked
from cost_model.report.breakeven import (
    COLUMNS,
    SAVING_COLUMNS,
    breakeven_document,
    breakeven_notes,
    breakeven_rows,
    saving_rows,
)
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.console import Format, print_json, print_table, print_text, say
from rerank_toolkit.contracts.errors import NothingMeetsConstraints
from rerank_toolkit.contracts.faults import Fault

MOST_ASKED = 10 * MOST

USUAL = ("base", "turbo", "tiny")


def breakeven(
    *,
    asked: Asked | None = None,
    least: Annotated[int, Parameter(name="--from")] = LEAST,
    most: Annotated[int, Parameter(name="--to")] = MOST,
    format: Format = "table",
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
) -> None:
    """The volumes at which real-time, serverless, async and the others cross, and what smaller models save there.

    Without --model for base, turbo and tiny. A region is needed, of several the first is taken.

    Parameters
    ----------
    least
        Requests a month to look at from.
    most
        Requests a month to look at up to.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json.
    """
    asked = asked or Asked()
    question, prices, measured = asked.question(_faults(least, most))
    if not asked.model:
        question = question.of_models(tuple(find_model(name) for name in USUAL))
    found = find_breakeven(question, prices, measured, first=least, last=most)
    if as_json or format == "json":
        print_json(breakeven_document(found, prices))
    else:
        tell = print_text if format == "table" else say
        tell(f"{found.region}, prices as of {prices.origin(found.region).as_of}")
        tell(found.workload.describe())
        print_table(COLUMNS, breakeven_rows(found), format=format)
        if rows := saving_rows(found):
            print_table(SAVING_COLUMNS, rows, format=format)
        for line in breakeven_notes(found):
            tell(line)
    if not any(span.cheapest for one in found.models for span in one.with_others):
        raise NothingMeetsConstraints("no way keeps the limits at any volume; a higher --max-p95-ms may")


def _faults(least: int, most: int) -> list[Fault]:
    if 1 <= least < most <= MOST_ASKED:
        return []
    told = f"are {least:,} and {most:,}; expected 1 ≤ from < to ≤ {MOST_ASKED:,}"
    return [Fault("--from, --to", told, "out_of_range")]
