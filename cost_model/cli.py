"""`rerank cost`: price what was used, compare what could be deployed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter

from cost_model.prices.book import PriceBook, load_prices
from cost_model.workload import Workload, read_workload
from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.models import Model, UnknownModel, find_model, load_models
from rerank_toolkit.console import Format, print_json, print_table, print_text, say
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput, NothingMeetsConstraints
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.usage import Usage

app = App(name="cost", help="What a deployment costs, and which one is cheapest.")

AsJson = Annotated[bool, Parameter(name="--json", negative=(), show_default=False)]
PricesDir = Annotated[Path | None, Parameter(name="--prices")]
app.command("cost_model.cli_prices:app", name="prices", help="The prices that every figure stands on.")

REPEATABLE = Parameter(negative=(), show_default=False)


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


@app.command
def compare(
    *,
    workload: Path | None = None,
    model: Annotated[tuple[str, ...], REPEATABLE] = (),
    instance: str = "*",
    mode: Literal["realtime", "serverless"] | None = None,
    region: str = "us-east-1",
    max_p95_ms: Annotated[float | None, Parameter(name="--max-p95-ms")] = None,
    min_quality: float | None = None,
    profiles: Annotated[tuple[Path, ...], REPEATABLE] = (),
    top: int = 2,
    format: Format = "table",
    as_json: AsJson = False,
) -> None:
    """Every model on every instance type and serverless size: what it costs, how fast it is, which one to take.

    Parameters
    ----------
    workload
        TOML or JSON file that says what is asked; without it a small search box (`default_workload.toml`).
    model
        Only this model, by id or alias; may be given several times.
    instance
        Only instance types that match this pattern, such as 'ml.c7i.*'; leaves serverless out.
    mode
        Only real-time or only serverless endpoints.
    region
        AWS region.
    max_p95_ms
        Limit of the response time's 95th percentile, instead of the workload's.
    min_quality
        Least published BEIR nDCG@10, instead of the workload's.
    profiles
        File or folder of measured profiles, instead of those that ship; may be given several times.
    top
        Rows of each model and kind (CPU, GPU, serverless) in the table; 0 for all.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json.
    """
    from cost_model.compare import compare as rank
    from cost_model.options import MODES, find_candidates, find_hosts
    from cost_model.report.compare import (
        COLUMNS,
        comparison_document,
        comparison_notes,
        comparison_rows,
        left_out_lines,
    )
    from cost_model.service_time import PROFILES, load_profiles

    prices = load_prices()
    asked = _workload(workload, max_p95_ms=max_p95_ms, min_quality=min_quality)
    if mode == "serverless" and instance != "*":
        raise InvalidInput(
            "options", [Fault("--instance", "picks instance types, and serverless has none; leave one out")]
        )
    models = _choose(model, instance=instance, region=region, top=top, prices=prices)
    measured, unusable = load_profiles(profiles or (PROFILES,))
    for text in unusable:
        say(f"warning: {text}")
    hosts, no_host = find_hosts(prices, region, modes=(mode,) if mode else MODES, instances=instance)
    candidates, no_candidate = find_candidates(models, hosts, asked, measured)
    comparison = rank(candidates, asked, prices, region, [*no_host, *no_candidate])

    if as_json or format == "json":
        print_json(comparison_document(comparison, prices))
    elif comparison.options:
        rows, hidden = comparison_rows(comparison, top)
        tell = print_text if format == "table" else say
        tell(f"{region}, prices as of {prices.header.as_of}")
        tell(asked.describe())
        print_table(COLUMNS, rows, format=format)
        for line in comparison_notes(comparison, hidden):
            tell(line)
    if comparison.chosen is None:
        why_nothing = [] if comparison.options else left_out_lines(comparison)
        raise NothingMeetsConstraints("\n".join([comparison.reason, *(f"  {line}" for line in why_nothing)]))


def _workload(path: Path | None, *, max_p95_ms: float | None, min_quality: float | None) -> Workload:
    """The workload in the file, with what the options say instead."""
    read = read_workload(path) if path else read_workload()
    changes = {"max_p95_ms": max_p95_ms, "min_quality": min_quality}
    document = msgspec.to_builtins(read) | {name: value for name, value in changes.items() if value is not None}
    return documents.convert(document, Workload, name="options")


def _choose(names: Sequence[str], *, instance: str, region: str, top: int, prices: PriceBook) -> list[Model]:
    """The models named, all without a name; raises InvalidInput with every option that makes no sense."""
    faults: list[Fault] = []
    models: list[Model] = []
    for name in names:
        try:
            models.append(find_model(name))
        except UnknownModel as error:
            faults.append(Fault("--model", str(error), "unknown_model"))
    if region not in prices.regions:
        faults.append(
            Fault("--region", f"is {region!r}; prices are known in {', '.join(prices.regions)}", "unknown_region")
        )
    if not any(fnmatchcase(name, instance) for name in load_instances()):
        faults.append(Fault("--instance", f"is {instance!r}; no hosted type matches it", "unknown_instance"))
    if top < 0:
        faults.append(Fault("--top", f"is {top}; expected 0 for all, or more", "out_of_range"))
    if faults:
        raise InvalidInput("options", faults)
    return list(dict.fromkeys(models)) if models else list(load_models().values())
