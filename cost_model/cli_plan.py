"""`rerank cost plan`: the plan of the cheapest deployment within the limits, and what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from cost_model.cli_options import Asked
from cost_model.growth import at_horizon
from cost_model.modes import Mode
from cost_model.plan_difference import compare_plans
from cost_model.planner import PLANNED, make_plan, read_plan, write_plan
from cost_model.question import answer
from cost_model.report.compare import left_out_lines
from cost_model.report.plan import (
    BILL_COLUMNS,
    CHANGE_COLUMNS,
    bill_rows,
    change_rows,
    difference_note,
    plan_document,
    plan_notes,
)
from cost_model.simulate.announcing import on_compiling
from cost_model.simulation import simulated
from rerank_toolkit.console import Format, print_json, print_table, print_text, say
from rerank_toolkit.contracts.errors import NothingMeetsConstraints
from rerank_toolkit.contracts.faults import Fault


def plan(
    *,
    asked: Asked | None = None,
    out: Path | None = None,
    diff: Path | None = None,
    format: Format = "table",
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
) -> None:
    """Write the plan of the cheapest deployment within the limits, for `cdk deploy -c plan=FILE`.

    Prints its bill, how much more traffic it takes and, where the workload grows, until when; the runner-up, what is
    not known for sure, and the commands that deploy it. With several regions the cheapest is planned.

    Parameters
    ----------
    out
        File to write the plan to; what is there and is no plan stays as it is.
    diff
        A plan of before: says what changes, and what it saves.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json, with the plan in it.
    """
    asked = asked or Asked()
    question, prices, measured = asked.question(_faults(asked.mode))
    old = None if diff is None else read_plan(diff, "name the plan of before with --diff")
    planned = tuple(mode for mode in question.modes if mode in PLANNED)
    question = msgspec.structs.replace(question, modes=planned)
    on_compiling(say)
    comparison = answer(question, prices, measured, refine=simulated)
    chosen = comparison.chosen
    if chosen is None:
        why_nothing = [] if comparison.options else left_out_lines(comparison)
        raise NothingMeetsConstraints("\n".join([comparison.reason, *(f"  {line}" for line in why_nothing)]))
    made = make_plan(chosen, prices)
    difference = None if old is None else compare_plans(old, made)
    horizon = at_horizon(chosen, question, prices, measured)
    if out is not None:
        write_plan(out, made)
        say(f"wrote {out}")
    if as_json or format == "json":
        print_json(plan_document(made, comparison, prices, out=out, difference=difference, horizon=horizon))
        return
    tell = print_text if format == "table" else say
    tell(f"{made.region}, prices as of {made.price_date}")
    tell(made.workload)
    print_table(BILL_COLUMNS, bill_rows(chosen), format=format)
    for line in plan_notes(made, comparison, chosen, horizon, out):
        tell(line)
    if difference is not None:
        tell("")
        if difference.changes:
            print_table(CHANGE_COLUMNS, change_rows(difference), format=format)
        tell(difference_note(difference) if difference.changes else "nothing changes")


def _faults(named: Sequence[Mode]) -> list[Fault]:
    return [
        Fault("--mode", f"is {mode}; a plan is for {' or '.join(PLANNED)}, the others can be compared", "not_planned")
        for mode in named
        if mode not in PLANNED
    ]
