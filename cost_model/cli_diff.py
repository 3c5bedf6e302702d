"""`rerank cost diff`: what a change of CloudFormation templates does to the bill, for a pull request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from cost_model.cli_prices import PricesDir, open_prices
from cost_model.report.diff import (
    LINE_COLUMNS,
    STACK_COLUMNS,
    difference_document,
    difference_notes,
    headline,
    line_rows,
    stack_rows,
)
from cost_model.templates.assembly import pick, read_templates
from cost_model.templates.deployed import cloudformation_client, read_deployed
from cost_model.templates.difference import Difference, compare_templates
from cost_model.templates.template import Template
from rerank_toolkit.console import Format, print_json, print_table, print_text, say
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault


def diff(
    old: Path,
    new: Path | None = None,
    /,
    *,
    deployed: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    region: str | None = None,
    prices: PricesDir = None,
    format: Format = "table",
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
) -> None:
    """What a change of templates does to the bill: totals, lines that come, go or change, and what is in no figure.

    Endpoints are priced by their instances, between the bounds of what scales them; whatever follows from use is told
    by its rate, and what has no known price by its name.

    Parameters
    ----------
    old
        Template or cdk.out of before; with --deployed the one that is to come.
    new
        Template or cdk.out that is to come.
    deployed
        Compare with this stack as it stands in AWS, by boto3's credentials; may be given several times.
    region
        AWS region of a template that no manifest tells it of; with --deployed, of the stack.
    prices
        Folder of a price snapshot, or of several, instead of the newest known.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json.
    """
    _check(new, deployed)
    before, after = _against(old, deployed, region) if new is None else _both(old, new, region)
    book = open_prices(prices, dict.fromkeys(template.region for template in (*before, *after)))
    difference = compare_templates(before, after, book)
    if as_json or format == "json":
        print_json(difference_document(difference, book))
    elif format == "csv":
        print_table(LINE_COLUMNS, line_rows(difference), format=format)
    else:
        _print(difference, [*difference_notes(difference, book)], format)


def _check(new: Path | None, deployed: tuple[str, ...]) -> None:
    if (new is None) == (not deployed):
        told = "is given beside --deployed; leave one out" if deployed else "is missing; give it, or --deployed STACK"
        raise InvalidInput("options", [Fault("NEW", told)])


def _both(old: Path, new: Path, region: str | None) -> tuple[list[Template], list[Template]]:
    """Raises InvalidInput with the faults of both."""
    sides: list[list[Template]] = []
    faults: list[Fault] = []
    for path in (old, new):
        try:
            sides.append(read_templates(path, region=region))
        except InvalidInput as error:
            faults += error.faults
    if faults:
        raise InvalidInput("templates", faults)
    before, after = sides
    if old.is_file() and new.is_file():  # one stack, whatever the files are called
        before = [msgspec.structs.replace(before[0], stack=after[0].stack)]
    return before, after


def _against(new: Path, deployed: tuple[str, ...], region: str | None) -> tuple[list[Template], list[Template]]:
    after = read_templates(new, region=region)
    if new.is_file() and len(deployed) == 1:
        after = [msgspec.structs.replace(after[0], stack=deployed[0])]
    after = pick(after, deployed, source=str(new))
    return [*_standing(after)], after


def _standing(templates: list[Template]) -> Iterator[Template]:
    for template in templates:
        found = read_deployed(cloudformation_client(template.region), template.stack)
        if found is None:
            say(f"{template.stack} is not deployed in {template.region}: all of it is new")
        else:
            yield found


def _print(difference: Difference, notes: list[str], format: Format) -> None:
    markdown = format == "markdown"
    print_text(f"### {headline(difference)}" if markdown else headline(difference))
    if rows := line_rows(difference):
        print_text("")
        print_table(STACK_COLUMNS, stack_rows(difference), format=format)
        if markdown:  # a pull request shows the sum, and the lines when they are asked for
            print_text("\n<details><summary>Lines that change</summary>")
            print_text("")
        print_table(LINE_COLUMNS, rows, format=format)
        if markdown:
            print_text("\n</details>")
    for note in notes:
        print_text(f"\n{note}" if markdown else note)
