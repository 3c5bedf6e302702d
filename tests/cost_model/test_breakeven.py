"""Where ways to run a model cross: exact against brute force, and sensible in itself."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.breakeven import OURS, Breakeven, at_volume, find_breakeven
from cost_model.crossings import NEVER, Span, cheapest_spans
from cost_model.modes import Mode
from cost_model.prices.book import load_prices
from cost_model.question import Question, answer
from cost_model.service_time import load_profiles
from cost_model.workload import Workload
from rerank_toolkit.catalog.models import find_model

PRICES = load_prices()
MEASURED, _ = load_profiles([Path(__file__).with_name("profiles")])
WORKLOAD = Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150, max_p95_ms=5000)
MODES: tuple[Mode, ...] = ("realtime", "serverless", "async", "lambda")


class Table:
    """A curve by its parts at 1, 2, …; None where there is no cost."""

    def __init__(self, slope: int, parts: list[int | None]) -> None:
        self.slope = Decimal(slope)
        self._parts = parts

    def cost(self, volume: int) -> Decimal:
        part = self._parts[volume - 1]
        return NEVER if part is None else part + self.slope * volume

    def least(self, first: int, last: int) -> Decimal:
        known = [part for part in self._parts[first - 1 : last] if part is not None]
        return Decimal(min(known)) if known else NEVER

    def most(self, first: int, last: int) -> Decimal:
        parts = self._parts[first - 1 : last]
        return NEVER if None in parts else Decimal(max(part for part in parts if part is not None))


VOLUMES = 40


@st.composite
def curves(draw: st.DrawFn) -> Table:
    steps = draw(st.lists(st.integers(min_value=0, max_value=3), min_size=VOLUMES, max_size=VOLUMES))
    start = draw(st.integers(min_value=0, max_value=20))
    parts: list[int | None] = [start + sum(steps[: at + 1]) for at in range(VOLUMES)]
    low = draw(st.integers(min_value=0, max_value=VOLUMES))
    high = draw(st.integers(min_value=low, max_value=VOLUMES))
    held = [part if low <= at < high else None for at, part in enumerate(parts)]
    return Table(draw(st.integers(min_value=0, max_value=3)), held)


@settings(max_examples=300, deadline=None)
@given(st.lists(curves(), min_size=1, max_size=4))
def test_spans_name_the_cheapest_of_every_volume(tables):
    named = {str(at): table for at, table in enumerate(tables)}

    spans = cheapest_spans(named, 1, VOLUMES)

    expected = []
    for volume in range(1, VOLUMES + 1):
        costs = {name: table.cost(volume) for name, table in named.items()}
        best = min(costs, key=lambda name: costs[name])
        expected.append(None if costs[best] == NEVER else best)
    found = [span.cheapest for span in spans for _ in range(span.first, span.last + 1)]
    assert found == expected
    assert (spans[0].first, spans[-1].last) == (1, VOLUMES)
    assert all(one.last + 1 == other.first and one.cheapest != other.cheapest for one, other in pairwise(spans))


def test_a_crossing_among_billions_is_found_to_the_unit():
    class Line:
        def __init__(self, slope: str, part: int) -> None:
            self.slope, self._part = Decimal(slope), Decimal(part)

        def least(self, first: int, last: int) -> Decimal:
            return self._part

        most = least

    spans = cheapest_spans({"steep": Line("0.001", 0), "flat": Line("0", 1_234_567)}, 1, 10**12)

    assert spans == [
        Span(first=1, last=1_234_567_000, cheapest="steep"),
        Span(first=1_234_567_001, last=10**12, cheapest="flat"),
    ]


@pytest.fixture(scope="module")
def found() -> Breakeven:
    question = Question(
        workload=WORKLOAD,
        models=(find_model("base"), find_model("tiny")),
        modes=MODES,
        instances="ml.[cmg][4567]*",
    )
    return find_breakeven(question, PRICES, MEASURED, last=3_000_000)


def cheapest(model: str, volume: int, modes: tuple[Mode, ...]) -> Decimal:
    """By the comparison, at that volume."""
    question = Question(
        workload=at_volume(WORKLOAD, volume),
        models=(find_model(model),),
        modes=modes,
        instances="ml.[cmg][4567]*",
    )
    comparison = answer(question, PRICES, MEASURED)
    limit = WORKLOAD.slo_ms
    assert limit is not None
    return min((o.monthly_cost for o in comparison.options if o.limited_ms <= limit), default=NEVER)


def test_on_both_sides_of_each_edge_the_comparison_agrees(found):
    ways: dict[str | None, tuple[Mode, ...]] = {
        "real-time": ("realtime",),
        "serverless": ("serverless",),
        "async": ("async",),
    }
    for one in found.models:
        for span, following in pairwise(one.spans):
            if "async" in (span.cheapest, following.cheapest) or None in (span.cheapest, following.cheapest):
                continue
            mine, theirs = ways[span.cheapest], ways[following.cheapest]
            alias = one.model.alias
            assert cheapest(alias, span.last, mine) <= cheapest(alias, span.last, theirs)
            assert cheapest(alias, following.first, theirs) <= cheapest(alias, following.first, mine)


def test_few_requests_are_cheapest_by_the_request_and_many_by_the_hour(found):
    tiny = next(one for one in found.models if one.model.alias == "tiny")

    names = [span.cheapest for span in tiny.spans]
    assert "serverless" in names
    assert names[-1] == "real-time"
    assert all(span.cheapest in (*OURS, None) for span in tiny.spans)


def test_spans_have_the_figures_of_their_ends(found):
    for one in found.models:
        for span in one.spans:
            if span.cheapest is None:
                continue
            first, last = (one.points[span.cheapest, edge] for edge in (span.first, span.last))
            assert first is not None
            assert last is not None
            assert first.cost <= last.cost


def test_savings_are_of_the_cheapest_ways_of_both_models(found):
    assert found.savings
    for saving in found.savings:
        assert (saving.model.alias, saving.over.alias) == ("tiny", "base")
        assert saving.cost <= saving.cost_over
        assert saving.share == pytest.approx(float(1 - saving.cost / saving.cost_over))


def test_what_never_keeps_the_limits_is_named():
    strict = msgspec.structs.replace(WORKLOAD, max_p95_ms=100)
    question = Question(workload=strict, models=(find_model("tiny"),), modes=MODES, instances="ml.g4dn.xlarge")

    (tiny,) = find_breakeven(question, PRICES, MEASURED, last=100_000).models

    assert {"serverless", "async"} <= set(tiny.never)
    assert [span.cheapest for span in tiny.spans] == ["real-time"]
