"""What a change of templates does to the bill: as JSON, as tables, and as Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cost_model.components import cents, plain
from cost_model.prices.age import age_days, age_warning
from cost_model.prices.book import PriceBook
from cost_model.report.estimate import plain_quantity, prices_document
from cost_model.templates.charges import Charge, Span
from cost_model.templates.difference import Difference, LineChange, ResourceChange, Side, Sign
from rerank_toolkit import __version__
from rerank_toolkit.console import Column

STACK_COLUMNS = (
    Column("Stack"),
    Column("Before", "right"),
    Column("After", "right"),
    Column("Change", "right"),
)

LINE_COLUMNS = (
    Column(""),
    Column("Stack"),
    Column("Resource"),
    Column("Line"),
    Column("Before", "right"),
    Column("After", "right"),
    Column("Change", "right"),
)

WORDS: dict[Sign, str] = {"+": "added", "-": "removed", "~": "changed", "=": "unchanged"}

NONE = "—"

PER_MILLION = Decimal("0.0001")
"""Dollars a unit below which a rate is told for a million of them."""

CDK_HASH = re.compile("(?<=.)[0-9A-F]{8}$")
"""At the end of a logical id, where it tells a reader nothing."""


def headline(difference: Difference) -> str:
    """The sum of it, in a line."""
    before, after = _side(difference.before), _side(difference.after)
    if not difference.change and difference.before.unpriced == difference.after.unpriced:
        return f"Monthly cost stays {after}"
    return f"Monthly cost: {before} → {after} ({_change(difference.before, difference.after)}{_percent(difference)})"


def stack_rows(difference: Difference) -> list[tuple[str, ...]]:
    """Rows under STACK_COLUMNS, and the total."""
    rows: list[tuple[str, ...]] = [
        (one.stack, _side(one.before), _side(one.after), _change(one.before, one.after)) for one in difference.stacks
    ]
    if len(rows) > 1:
        total = difference.before, difference.after
        rows.append(("total", *map(_side, total), _change(*total)))
    return rows


def line_rows(difference: Difference) -> list[tuple[str, ...]]:
    """Rows under LINE_COLUMNS: each line that comes, goes or changes; lines of a stack that read alike are one row."""
    alike: dict[tuple[str, ...], list[tuple[ResourceChange, LineChange]]] = {}
    for resource in difference.resources:
        for line in resource.lines:
            if line.sign != "=":
                key = (line.sign, resource.stack, resource.type, line.name, _charge(line.before), _charge(line.after))
                alike.setdefault(key, []).append((resource, line))
    return [_line_row(members) for members in alike.values()]


def difference_notes(difference: Difference, prices: PriceBook) -> list[str]:
    """What stands below the tables: whatever is not in the figures, and what they stand on."""
    charges = [line.after for resource in difference.resources for line in resource.lines if line.after is not None]
    return [
        *_used(charges),
        *_unpriced(charges),
        *_suspect(charges),
        *(
            f"Prices: {region} as of {prices.origin(region).as_of}, {age_days(prices, region)} days old, on demand, "
            f"{prices.header.currency} before taxes"
            for region in difference.regions
        ),
        *([f"Warning: {warning}"] if (warning := age_warning(prices, difference.regions)) else []),
    ]


def difference_document(difference: Difference, prices: PriceBook) -> dict[str, Any]:
    """Money in decimal strings, each with its least and its most; a line by use or without a price has no cost."""
    return {
        "version": __version__,
        "generated_at": datetime.now(UTC),
        "currency": prices.header.currency,
        "regions": difference.regions,
        "prices": prices_document(prices, *difference.regions),
        "before": _side_document(difference.before),
        "after": _side_document(difference.after),
        "change": _span_document(difference.change),
        "stacks": [
            {"stack": one.stack, "before": _side_document(one.before), "after": _side_document(one.after)}
            for one in difference.stacks
        ],
        "resources": [
            {
                "stack": resource.stack,
                "id": resource.id,
                "type": resource.type,
                "change": WORDS[resource.sign],
                "lines": [
                    {
                        "change": WORDS[line.sign],
                        "before": _charge_document(line.before),
                        "after": _charge_document(line.after),
                    }
                    for line in resource.lines
                ],
            }
            for resource in difference.resources
        ],
    }


def _side_document(side: Side) -> dict[str, Any]:
    return {"monthly_cost": _span_document(side.cost), "unpriced": side.unpriced}


def _charge_document(charge: Charge | None) -> dict[str, Any] | None:
    if charge is None:
        return None
    bounds = None if charge.least is None or charge.most is None else (charge.least, charge.most)
    return {
        "name": charge.name,
        "kind": charge.kind,
        "unit": charge.unit,
        "quantity": None if bounds is None else dict(zip(("least", "most"), map(plain_quantity, bounds), strict=True)),
        "rate": None if charge.rate is None else plain_quantity(charge.rate),
        "cost": None if charge.cost is None else _span_document(charge.cost),
        "basis": charge.basis,
    }


def _span_document(span: Span) -> dict[str, str]:
    return {"least": plain(span.least), "most": plain(span.most)}


def _line_row(members: Sequence[tuple[ResourceChange, LineChange]]) -> tuple[str, ...]:
    """Of lines that read alike, their costs summed."""
    (resource, line), *others = members
    name = CDK_HASH.sub("", resource.id)
    if others:
        name = f"{len(members)} × {resource.type.removeprefix('AWS::')}"
    before, after = (_costs(one) for one in zip(*((one.before, one.after) for _, one in members), strict=True))
    change = "" if before is None or after is None else _signed(after - before)
    return (
        line.sign,
        resource.stack,
        name,
        line.name,
        _charge(line.before) if before is None or not line.before else _dollars(before),
        _charge(line.after) if after is None or not line.after else _dollars(after),
        change,
    )


def _costs(charges: Iterable[Charge | None]) -> Span | None:
    """None where they have none."""
    found = Span()
    for charge in charges:
        cost = Span() if charge is None else charge.cost
        if cost is None:
            return None
        found += cost
    return found


def _charge(charge: Charge | None) -> str:
    if charge is None:
        return NONE
    match charge.kind:
        case "usage":
            return _rate(charge)
        case "unpriced":
            return "unpriced"
    return _dollars(charge.cost or Span())


def _rate(charge: Charge) -> str:
    if charge.rate is None:
        return "by use, unpriced"
    if charge.rate < PER_MILLION:
        return f"${plain(charge.rate * 1_000_000)} per million {charge.unit}s"
    return f"${plain(charge.rate)} per {charge.unit}"


def _used(charges: Iterable[Charge]) -> Iterator[str]:
    rates = dict.fromkeys(
        f"{charge.name} {'(no known price)' if charge.rate is None else _rate(charge)}"
        for charge in charges
        if charge.kind == "usage"
    )
    if rates:
        yield f"Depends on use, and is in no figure: {', '.join(rates)}"


def _unpriced(charges: Iterable[Charge]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for charge in charges:
        if charge.kind == "unpriced":
            told = f"{charge.name}: {charge.basis.removeprefix('unpriced: ')}"
            counts[told] = counts.get(told, 0) + 1
    if counts:
        told = "; ".join(f"{count} × {reason}" for reason, count in counts.items())
        yield f"Has no known price, and comes on top: {told}"


def _suspect(charges: Iterable[Charge]) -> Iterator[str]:
    for name, basis in dict.fromkeys((charge.name, charge.basis) for charge in charges):
        if "suspect: " in basis:
            yield f"Doubted: the rate of {name} is {basis.partition('suspect: ')[2]}"


def _side(side: Side) -> str:
    """What it costs, as a lower bound where something has no price."""
    if not side.unpriced:
        return _dollars(side.cost)
    return f"≥ {_dollars(side.cost)}" if side.cost else "unpriced"


def _change(before: Side, after: Side) -> str:
    """With a word where what has no price changes too."""
    change = _signed(after.cost - before.cost)
    return change if before.unpriced == after.unpriced else f"{change} and unpriced"


def _dollars(span: Span) -> str:
    if span.least == span.most:
        return f"${cents(span.least)}"
    return f"${cents(span.least)} to ${cents(span.most)}"


def _signed(span: Span) -> str:
    bounds = [span.least] if span.least == span.most else [span.least, span.most]
    return " to ".join(_signed_amount(bound) for bound in bounds)


def _signed_amount(amount: Decimal) -> str:
    if not amount:
        return "±$0"
    return f"{'+' if amount > 0 else '-'}${cents(abs(amount))}"


def _percent(difference: Difference) -> str:
    """Of what it was; nothing where either may be one of many."""
    before, change = difference.before.cost, difference.change
    if not before.least or before.least != before.most or change.least != change.most:
        return ""
    return f", {change.least / before.least:+.0%}"
