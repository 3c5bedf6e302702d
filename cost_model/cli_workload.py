"""`rerank cost workload`: what a workload file says, and what its trace and its sample come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cost_model.cli_options import month_faults
from cost_model.report.workload import COLUMNS, reading_lines, workload_document, workload_figures, workload_row
from cost_model.workload import DEFAULT, read_workload_measured
from rerank_toolkit.console import Format, print_json, print_table, print_text, say
from rerank_toolkit.contracts.errors import InvalidInput


def workload(
    file: Path | None = None,
    /,
    *,
    month: int = 0,
    format: Format = "table",
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
) -> None:
    """What is asked of a deployment: rates, bursts, sizes of requests and limits, each with how it is known.

    Parameters
    ----------
    file
        TOML or JSON file of a workload; without it the small search box that `compare` takes.
    month
        So many months on, by the workload's growth.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json.
    """
    reading = read_workload_measured(file or DEFAULT)
    if faults := month_faults(month, reading.workload):
        raise InvalidInput("options", faults)
    asked = reading.workload.in_month(month)
    figures = workload_figures(asked, reading)
    for note in reading.notes:
        say(f"note: {note}")
    if as_json or format == "json":
        print_json(workload_document(asked, reading, figures, month=month))
        return
    if format == "table":
        print_text(asked.describe())
        for line in reading_lines(reading):
            print_text(line)
    print_table(COLUMNS, [workload_row(figure, full=format != "table") for figure in figures], format=format)
