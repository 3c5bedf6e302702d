"""`rerank cost`: price what was used, compare what could be deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from cost_model.prices.book import load_prices
from rerank_toolkit.console import Format, print_json, print_table, say
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.usage import Usage

app = App(name="cost", help="What a deployment costs, and which one is cheapest.")

AsJson = Annotated[bool, Parameter(name="--json", negative=())]


@app.command
def estimate(usage: Path, /, *, format: Format = "table", as_json: AsJson = False) -> None:
    """The bill of a usage file, line by line. Rounded to the cent in the table, exact in JSON.

    Parameters
    ----------
    usage
        JSON file that lists what is used: a region and items, each with its kind.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json.
    """
    from cost_model.billing.estimate import estimate as price  # noqa: PLC0415
    from cost_model.report.estimate import COLUMNS, estimate_document, estimate_rows  # noqa: PLC0415

    prices = load_prices()
    bill = price(documents.read(usage, Usage), prices, name=str(usage))
    for warning in bill.warnings:
        say(f"warning: {warning}")
    if as_json or format == "json":
        print_json(estimate_document(bill, prices))
        return
    title = f"{bill.region}, {prices.header.currency}, prices as of {prices.header.as_of}"
    print_table(COLUMNS, estimate_rows(bill), format=format, title=title)
