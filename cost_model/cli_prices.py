"""`rerank cost prices`: what every figure stands on, and how to renew it. Also what other commands need to price."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, TypeVar

from cyclopts import App, Parameter

from cost_model.prices.age import age_days, age_warning
from cost_model.prices.book import PriceBook, load_prices
from cost_model.prices.plan_rates import PlanRates
from cost_model.prices.price_list import RegionPrices
from cost_model.prices.refresh import refresh as merge
from cost_model.prices.refresh import write_refreshed
from cost_model.prices.store import VARIABLE, holds_snapshots, user_store
from cost_model.prices.tables import HEADER
from cost_model.report.prices import (
    CHANGE_COLUMNS,
    COLUMNS,
    Part,
    change_document,
    change_rows,
    price_document,
    price_rows,
    shown_rates,
    snapshot_name,
)
from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.console import Format, print_json, print_table, say
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

app = App(name="prices", help="The prices that every figure stands on.")

AsJson = Annotated[bool, Parameter(name="--json", negative=(), show_default=False)]
PricesDir = Annotated[Path | None, Parameter(name="--prices")]
Flag = Parameter(negative=(), show_default=False)
Repeatable = Parameter(negative=(), show_default=False)


def open_prices(where: Path | None = None, regions: Iterable[str] = ()) -> PriceBook:
    """The prices that a command asks for; says on stderr what was passed over, and if those of a region are old.

    Raises InvalidInput if `where` holds no sound snapshot.
    """
    prices = load_prices(where)
    for text in prices.passed_over:
        say(f"warning: a price snapshot was passed over: {text}")
    known = [region for region in dict.fromkeys(regions) if region in prices.regions]
    if warning := age_warning(prices, known):
        say(f"warning: {warning}")
    return prices


@app.command
def show(
    *,
    region: Annotated[tuple[str, ...], Repeatable] = ("us-east-1",),
    instance: str = "*",
    component: Annotated[tuple[Part, ...], Repeatable] = (),
    prices: PricesDir = None,
    format: Format = "table",
    as_json: AsJson = False,
) -> None:
    """Every price of a region with its source, and how old they are; warns beyond 90 days.

    Parameters
    ----------
    region
        AWS region; may be given several times.
    instance
        Only instance types that match this pattern, such as 'ml.c7i.*'.
    component
        Only this part of the price list; may be given several times. `other` is what isn't SageMaker's: Lambda,
        Fargate, Azure, Cloud Run, logs, queues, traffic.
    prices
        Folder of a price snapshot, or of several, instead of the newest known.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json.
    """
    book = open_prices(prices, region)
    regions = list(dict.fromkeys(region))
    faults = [
        Fault("--region", f"is {name!r}; prices are known in {', '.join(book.regions)}", "unknown_region")
        for name in regions
        if name not in book.regions
    ]
    if not any(fnmatchcase(name, instance) for name in load_instances()):
        faults.append(Fault("--instance", f"is {instance!r}; no hosted type matches it", "unknown_instance"))
    if faults:
        raise InvalidInput("options", faults)
    shown = shown_rates(book, regions, instances=instance, parts=component)
    if as_json or format == "json":
        print_json(price_document(book, regions, shown))
        return
    for name in regions:
        origin = book.origin(name)
        age = f"as of {origin.as_of}, {age_days(book, name)} days old"
        say(f"{name}: {book.header.currency}, {age}; {origin.source}; snapshot: {snapshot_name(book)}")
    print_table(COLUMNS, price_rows(shown), format=format)


@app.command
def refresh(
    *,
    region: Annotated[tuple[str, ...], Repeatable] = (),
    source: Literal["bulk", "api"] = "bulk",
    savings_plans: Annotated[bool, Flag] = False,
    leave_out_ambiguous: Annotated[bool, Flag] = False,
    out: Path | None = None,
    base_url: str | None = None,
    format: Format = "table",
    as_json: AsJson = False,
) -> None:
    """Fetches today's prices. Whatever goes wrong, the prices in hand stay as they are, and the exit code is 1.

    The new snapshot goes to the user's data folder ($RERANK_PRICES, else ~/.local/share/rerank-toolkit/prices), from
    where every command takes it if it is newer than what ships. Prices of regions that are not asked for, of other
    services and of other clouds are kept.

    Parameters
    ----------
    region
        Only this AWS region; may be given several times. Without it all whose prices are known.
    source
        bulk: AWS's public files, without credentials. api: the Price List API, with the permission
        pricing:GetProducts.
    savings_plans
        The rates of Machine Learning Savings Plans too; from the bulk files only.
    leave_out_ambiguous
        Where the list names several prices for one thing, go on without a price of it instead of failing.
    out
        Folder for snapshots, instead of the user's; `--prices` names it to other commands.
    base_url
        Another address of the files or the API: https, or http to this machine.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json.
    """
    store = _store(out)
    if source == "api" and savings_plans:
        fault = Fault("--savings-plans", "are not in the Price List API; use --source bulk", "inconsistent")
        raise InvalidInput("options", [fault])
    old = open_prices(out if out and holds_snapshots(out) else None)
    regions = list(dict.fromkeys(region)) or list(old.regions)
    with ExitStack() as stack:
        if source == "bulk":
            from cost_model.prices.bulk import BASE_URL, BulkFiles
            from cost_model.prices.download import Downloader

            downloader = stack.enter_context(Downloader(base_url or BASE_URL))
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="rerank-prices-")))
            files = BulkFiles(downloader, folder)
            listed = list(_told(files.prices(regions), "prices"))
            plans = list(_told(files.plan_rates(regions), "Savings Plan rates")) if savings_plans else []
        else:
            from cost_model.prices.api import pricing_client, read_api
            from cost_model.prices.download import check_base_url

            client = pricing_client(check_base_url(base_url) if base_url else None)
            listed, plans = list(_told(read_api(client, regions), "prices")), []
    header, tables, changes = merge(old, listed, plans, leave_out_ambiguous=leave_out_ambiguous)
    written = write_refreshed(store, header, tables)
    if as_json or format == "json":
        print_json(change_document(written, changes))
        return
    print_table(CHANGE_COLUMNS, change_rows(changes), format=format)
    say(f"written to {written}")


def _store(out: Path | None) -> Path:
    store = out or user_store()
    if (store / HEADER).exists():
        name = "--out" if out else VARIABLE
        fault = Fault(name, f"is {str(store)!r}, a snapshot itself; give a folder to hold snapshots", "not_a_store")
        raise InvalidInput("options", [fault])
    return store


Listed = TypeVar("Listed", RegionPrices, PlanRates)


def _told(found: Iterable[Listed], what: str) -> Iterator[Listed]:
    for listed in found:
        count = len(listed.prices if isinstance(listed, RegionPrices) else listed.rates)
        say(f"{listed.region}: {count} {what} of {listed.published}")
        yield listed
