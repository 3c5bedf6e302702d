"""What a change of templates changes of a bill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

import msgspec

from cost_model.prices.book import PriceBook
from cost_model.templates.billing import bill_template
from cost_model.templates.charges import Billed, Charge, Span, total
from cost_model.templates.template import Template, placed
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

Sign = Literal["+", "-", "~", "="]
"""Added, gone, changed, as it was."""

Key = TypeVar("Key")
Item = TypeVar("Item")


class LineChange(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a bill before and after; None where there is none."""

    before: Charge | None
    after: Charge | None

    @property
    def sign(self) -> Sign:
        return _sign(self.before, self.after)

    @property
    def name(self) -> str:
        """With the old one where it is called otherwise now."""
        names = [charge.name for charge in (self.before, self.after) if charge is not None]
        return " → ".join(dict.fromkeys(names))


class ResourceChange(msgspec.Struct, frozen=True, kw_only=True):
    stack: str
    id: str
    type: str
    before: Billed | None
    after: Billed | None
    lines: tuple[LineChange, ...]

    @property
    def sign(self) -> Sign:
        if self.before is None or self.after is None:
            return _sign(self.before, self.after)
        return "=" if all(line.sign == "=" for line in self.lines) else "~"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of two states: of all, or of a stack."""

    cost: Span
    """Of what is fixed and has a price."""
    unpriced: tuple[str, ...]
    """Lines that come on top, each with its resource."""

    @classmethod
    def of(cls, resources: Iterable[Billed | None]) -> Side:
        known = [one for one in resources if one is not None]
        return cls(
            cost=total(charge for one in known for charge in one.charges),
            unpriced=tuple(
                f"{one.stack}/{one.id}: {charge.name}"
                for one in known
                for charge in one.charges
                if charge.kind == "unpriced"
            ),
        )


class StackChange(msgspec.Struct, frozen=True, kw_only=True):
    stack: str
    before: Side
    after: Side


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    regions: tuple[str, ...]
    before: Side
    after: Side
    stacks: tuple[StackChange, ...]
    resources: tuple[ResourceChange, ...]

    @property
    def change(self) -> Span:
        return self.after.cost - self.before.cost


def compare_templates(old: Sequence[Template], new: Sequence[Template], prices: PriceBook) -> Difference:
    """Both sides priced, resource by resource. Raises InvalidInput with the faults of all templates."""
    faults: list[Fault] = []
    before, after = (_bill(templates, prices, faults) for templates in (old, new))
    if faults:
        raise InvalidInput("templates", faults)
    resources = [*_resources(before, after)]
    stacks = dict.fromkeys(resource.stack for resource in resources)
    return Difference(
        regions=tuple(dict.fromkeys(template.region for template in (*old, *new))),
        before=Side.of(before.values()),
        after=Side.of(after.values()),
        stacks=tuple(
            StackChange(
                stack=stack,
                before=Side.of(one for one in before.values() if one.stack == stack),
                after=Side.of(one for one in after.values() if one.stack == stack),
            )
            for stack in stacks
        ),
        resources=tuple(resources),
    )


Identity = tuple[str, str, str]
"""Stack, logical id and type: what changes its type is another resource."""


def _bill(templates: Iterable[Template], prices: PriceBook, faults: list[Fault]) -> dict[Identity, Billed]:
    found: dict[Identity, Billed] = {}
    for template in templates:
        try:
            found |= {(one.stack, one.id, one.type): one for one in bill_template(template, prices)}
        except InvalidInput as error:
            faults += placed(error)
    return found


def _resources(before: Mapping[Identity, Billed], after: Mapping[Identity, Billed]) -> Iterator[ResourceChange]:
    for identity in dict.fromkeys([*before, *after]):
        was, is_ = before.get(identity), after.get(identity)
        stack, logical_id, kind = identity
        yield ResourceChange(
            stack=stack,
            id=logical_id,
            type=kind,
            before=was,
            after=is_,
            lines=tuple(_lines(was.charges if was else (), is_.charges if is_ else ())),
        )


def _lines(before: Sequence[Charge], after: Sequence[Charge]) -> Iterator[LineChange]:
    """Lines of one name are one line; what is left goes with the first of its kind and unit that is left too."""
    was = {charge.name: charge for charge in before}
    names = {charge.name for charge in after}
    left = [charge for charge in before if charge.name not in names]
    for charge in after:
        old = was.get(charge.name) or next((one for one in left if _alike(one, charge)), None)
        if old in left:
            left.remove(old)
        yield LineChange(before=old, after=charge)
    yield from (LineChange(before=charge, after=None) for charge in left)


def _alike(one: Charge, other: Charge) -> bool:
    return (one.kind, one.unit) == (other.kind, other.unit)


def _sign(before: object, after: object) -> Sign:
    if before is None:
        return "+"
    if after is None:
        return "-"
    return "=" if before == after else "~"
