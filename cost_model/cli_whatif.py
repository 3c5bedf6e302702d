"""`rerank cost whatif`: what a change of traffic, prices or limits does to the choice and to the bill."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from cost_model.cli_options import Asked, changed
from cost_model.prices.book import PriceBook
from cost_model.question import Question
from cost_model.report.whatif import COLUMNS, whatif_document, whatif_notes, whatif_rows
from cost_model.whatif import ask_what_if
from cost_model.workload import Growth, Workload
from rerank_toolkit.console import Format, print_json, print_table, print_text, say
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput, NothingMeetsConstraints
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.usage import SavingsPlan

MOST_TRAFFIC = 1_000_000


def whatif(
    *,
    asked: Asked | None = None,
    traffic: float | None = None,
    growth: float | None = None,
    months: int | None = None,
    discount: Decimal | None = None,
    to_region: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    p95_ms: Annotated[float | None, Parameter(name="--p95-ms")] = None,
    quality: float | None = None,
    budget: Decimal | None = None,
    format: Format = "table",
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
) -> None:
    """What a change does: the choice and the bill before, the same afterwards, and what is chosen then.

    Parameters
    ----------
    traffic
        Factor on the requests, such as 2.
    growth
        Percent by which requests grow in a month, instead of the workload's growth: what that comes to.
    months
        After so many months of growth, instead of as many as the workload looks at, or 12.
    discount
        Share of the on-demand price that a Savings Plan saves on instances, such as 0.3.
    to_region
        AWS region instead of those before; may be given several times.
    p95_ms
        Limit of the response time's 95th percentile.
    quality
        Least quality, by the metric that the workload names.
    budget
        Most dollars a month.
    format
        table, json, markdown or csv.
    as_json
        The same as --format json.
    """
    changes = {"max_p95_ms": p95_ms, "min_quality": quality, "max_monthly_cost": budget}
    named = [value for value in (traffic, growth, months, discount, *changes.values()) if value is not None]
    question, prices, measured = (asked or Asked()).question(_faults(traffic, changed=bool(named or to_region)))
    _check(to_region, prices)
    after = msgspec.structs.replace(
        question,
        workload=_grown(_workload(question.workload, traffic, discount, changes), growth, months),
        regions=to_region or question.regions,
    )
    found = ask_what_if(question, after, prices, measured)
    if as_json or format == "json":
        print_json(whatif_document(found, prices))
    else:
        tell = print_text if format == "table" else say
        tell(f"before: {question.workload.describe()}")
        tell(f"after:  {after.workload.describe()}{_told(question, after, discount)}")
        print_table(COLUMNS, whatif_rows(found), format=format)
        for line in whatif_notes(found):
            tell(line)
    if found.after.chosen is None:
        raise NothingMeetsConstraints(found.after.reason)


def _faults(traffic: float | None, *, changed: bool) -> list[Fault]:
    faults = []
    if not changed:
        options = "--traffic, --growth, --months, --discount, --to-region, --p95-ms, --quality or --budget"
        faults.append(Fault("whatif", f"is asked without a change; name one by {options}"))
    if traffic is not None and not 0 < traffic <= MOST_TRAFFIC:
        told = f"is {traffic:g}; expected a factor above 0, up to {MOST_TRAFFIC:,}"
        faults.append(Fault("--traffic", told, "out_of_range"))
    return faults


def _check(regions: tuple[str, ...], prices: PriceBook) -> None:
    faults = [
        Fault("--to-region", f"is {region!r}; prices are known in {', '.join(prices.regions)}", "unknown_region")
        for region in regions
        if region not in prices.regions
    ]
    if faults:
        raise InvalidInput("options", faults)


def _workload(workload: Workload, traffic: float | None, discount: Decimal | None, changes: dict[str, Any]) -> Workload:
    after = changed(workload, changes)
    if traffic is not None:
        after = changed(after, {"requests_per_second": after.requests_per_second * traffic})
    if discount is not None:
        plan = documents.convert({"discount": discount}, SavingsPlan, name="--discount")
        after = msgspec.structs.replace(after, savings_plan=plan)
    return after


def _grown(workload: Workload, percent: float | None, months: int | None) -> Workload:
    """So many months on; the workload itself where neither is asked for. Raises InvalidInput."""
    if percent is None and months is None:
        return workload
    if percent is None and workload.growth is None:
        told = "goes with growth, and the workload has none; give it --growth PERCENT"
        raise InvalidInput("options", [Fault("--months", told, "no_growth")])
    asked: dict[str, Any] = {} if workload.growth is None else msgspec.to_builtins(workload.growth)
    given = {"percent_a_month": percent, "months": months}
    asked |= {name: value for name, value in given.items() if value is not None}
    try:
        grows = documents.convert(asked, Growth, name="options")
    except InvalidInput as error:
        names = {"percent_a_month": "--growth", "months": "--months"}
        named = [Fault(names.get(fault.field, fault.field), fault.message, fault.type) for fault in error.faults]
        raise InvalidInput("options", named) from None
    return msgspec.structs.replace(workload, growth=grows).in_month(workload.month + grows.months)


def _told(before: Question, after: Question, discount: Decimal | None) -> str:
    """What the workload's own line doesn't say."""
    told = [f"in {', '.join(after.regions)}"] if after.regions != before.regions else []
    if discount is not None:
        told.append(f"{discount:.0%} off instances")
    return f", {', '.join(told)}" if told else ""
