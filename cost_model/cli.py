"""`rerank cost`: price what was used, compare what could be deployed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from rerank_toolkit.console import Format, print_json, print_table, print_text, say
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.usage import Usage

app = App(name="cost", help="What a deployment costs, and which one is cheapest.")

AsJson = Annotated[bool, Parameter(name="--json", negative=(), show_default=False)]
PricesDir = Annotated[Path | None, Parameter(name="--prices")]
app.command(
    "cost_model.cli_compare:compare",
    name="compare",
    help="Every model in every way to run it: what it costs, how fast it is, which one to take.",
)
app.command(
    "cost_model.cli_report:report",
    name="report",
    help="A comparison as one HTML file that needs no network: pictures, tables and all sources.",
)
app.command(
    "cost_model.cli_breakeven:breakeven",
    name="breakeven",
    help="The volumes at which real-time, serverless, async and the others cross, and what smaller models save there.",
)
app.command(
    "cost_model.cli_plan:plan",
    name="plan",
    help="Write the plan of the cheapest deployment within the limits, for `cdk deploy -c plan=FILE`.",
)
app.command(
    "cost_model.cli_whatif:whatif",
    name="whatif",
    help="What a change of traffic, prices or limits does to the choice and to the bill.",
)
app.command(
    "cost_model.cli_diff:diff",
    name="diff",
    help="What a change of CloudFormation templates does to the bill, for a pull request.",
)
app.command("cost_model.cli_prices:app", name="prices", help="The prices that every figure stands on.")
app.command("cost_model.cli_workload:workload", name="workload", help="What a workload file comes to, trace and all.")


@app.command
def estimate(
    usage: Path,
    /,
    *,
    savings_plan_discount: Decimal | None = None,
    prices: PricesDir = None,
    format: Format = "table",
    as_json: AsJson = False,
) -> None:
    """The bill of a usage file, line by line. Rounded to the cent in the table, exact in JSON.

    Parameters
    ----------
    usage
        JSON file that lists what is used: a region and items, each with its kind.
    savings_plan_discount
        Share of the on-demand price that your Savings Plan saves on instances, such as 0.3; instead of the file's.
    prices
        Folder of a price snapshot, or of several, instead of the newest known.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json.
    """
    from cost_model.billing.estimate import estimate as price
    from cost_model.cli_prices import open_prices
    from cost_model.report.estimate import COLUMNS, estimate_document, estimate_notes, estimate_rows

    used = documents.read(usage, Usage)
    if savings_plan_discount is not None:
        plan = {"savings_plan": {"discount": savings_plan_discount}}
        used = documents.convert(msgspec.to_builtins(used) | plan, Usage, name="options")
    book = open_prices(prices, [used.region])
    bill = price(used, book, name=str(usage))
    for warning in bill.warnings:
        say(f"warning: {warning}")
    if as_json or format == "json":
        print_json(estimate_document(bill, book))
        return
    title = f"{bill.region}, {book.header.currency}, prices as of {book.origin(bill.region).as_of}"
    if format == "table":
        print_text(title)
    print_table(COLUMNS, estimate_rows(bill, full=format != "table"), format=format)
    for note in estimate_notes(bill):
        say(f"note: {note}")
