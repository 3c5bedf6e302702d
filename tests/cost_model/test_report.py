"""The report: what is on the page, where it comes from, and that it needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import combinations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.prices.book import load_prices
from cost_model.question import answer
from cost_model.report.charts.quality import cheapest_for_quality
from cost_model.report.charts.scales import log_ticks, spread
from cost_model.report.figure import Figure
from cost_model.report.html import draw_figures, page, picture
from cost_model.report.load import capacity, load_curve
from cost_model.report.template import read_asset
from cost_model.report.view import Row, View, make_view
from cost_model.service_time import load_profiles
from rerank_toolkit.catalog.models import find_model

LOADING = {"src", "srcset", "href", "action", "formaction", "poster", "background", "cite", "data", "ping"}
"""Attributes that can make a browser load something."""


class Page(HTMLParser):
    """What a reader of the file without a browser finds in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.references: list[str] = []
        self.text: list[str] = []
        self.code = ""
        self._in = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in = tag
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if tag == "a" and name == "href":
                self.links.append(value or "")
            elif name.rpartition(":")[2] in LOADING or re.search(r"url\((?!#)", value or ""):
                self.references.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        if self._in in {"script", "style"}:
            self.code += data
        else:
            self.text.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in = ""


@pytest.fixture(scope="module")
def figures(view: View) -> list[Figure]:
    return draw_figures(view)


@pytest.fixture(scope="module")
def html(view: View, figures: list[Figure]) -> str:
    return page(view, figures)


@pytest.fixture(scope="module")
def read(html: str) -> Page:
    return Page(html)


def test_the_page_refers_to_nothing_outside_itself(read):
    assert read.references == []
    assert read.links
    assert all(link.startswith("#") and link[1:] in read.ids for link in read.links)
    assert not {"link", "iframe", "object", "embed", "img", "base", "image", "use"} & set(read.tags)
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest|sendBeacon|WebSocket|import\(", read.code)


def test_a_reference_would_be_seen():
    assert Page('<img src="https://example.com/x.png">').references
    assert Page('<p style="background: url(https://example.com/x.png)">').references


def test_no_name_is_given_twice(read):
    assert len(read.ids) == len(set(read.ids))


def test_what_the_figures_stand_on_comes_before_them(html, view, figures):
    basis, choice = html.index('<section id="basis"'), html.index('<section id="choice"')

    assert basis < choice < min(html.index(f'id="{figure.id}"') for figure in figures)
    assert f"as of {view.prices_as_of}" in html[basis:choice]
    assert f"{view.prices_age_days} days old when this report was made" in html[basis:choice]
    assert all(f"<td>{one.profile.model_id}</td>" in re.sub(r" data-key=\"[^\"]*\"", "", html) for one in view.measured)


def test_old_prices_are_warned_of(view, figures):
    origins = tuple(msgspec.structs.replace(one, as_of=one.as_of.replace(year=2025)) for one in view.origins)

    assert "may have changed since" not in page(view, figures)
    assert "may have changed since" in page(msgspec.structs.replace(view, origins=origins), figures)


def test_every_figure_has_a_picture_its_words_its_dated_sources_and_its_table(figures):
    for figure in figures:
        assert figure.svg.startswith("<svg"), figure.id
        assert f'<title id="{figure.id}-title">' in figure.svg
        assert f'<desc id="{figure.id}-description">' in figure.svg
        assert 'role="img"' in figure.svg
        assert figure.says
        assert figure.table.rows
        assert all(len(row) == len(figure.table.columns) for row in figure.table.rows)
        assert any(re.search(r"20\d\d-\d\d-\d\d", source.text) for source in figure.sources), figure.id


def test_what_is_unknown_is_left_out_and_named(view, figures):
    """MiniLM-L-12 has no published quality: it is on no quality axis, and has its rows where none is asked."""
    by_id = {figure.id: figure for figure in figures}

    for name in ("cost-quality", "throughput-quality"):
        assert any(line.startswith("minilm-l12: no ") for line in by_id[name].missing)
        assert "minilm-l12" not in by_id[name].svg
    assert "minilm-l12" in by_id["memory"].svg
    cells = [cell for row in by_id["throughput-quality"].table.rows for cell in row]
    assert sum(cell.text == "unknown" and cell.key is None for cell in cells) == 2


def test_every_point_of_the_quality_picture_is_in_its_table(figures):
    figure = next(figure for figure in figures if figure.id == "cost-quality")

    drawn = figure.svg.count('aria-roledescription="point"')
    assert drawn == len(figure.table.rows) + 1  # and the ring of the chosen one


def test_pictures_take_their_colours_from_the_page(figures):
    known = set(re.findall(r"(--[a-z]+):", read_asset("palette.css")))

    for figure in figures:
        colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', figure.svg)) - {"none", "transparent"}
        assert colours
        assert {colour for colour in colours if not colour.startswith("url(#")} <= {f"var({name})" for name in known}


HOSTILE = ("</title><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_is_escaped_wherever_it_stands(view, figures, hostile):
    workload = msgspec.structs.replace(view.workload, name=hostile)
    changed = msgspec.structs.replace(view, workload=workload, reason=hostile, left_out=(hostile,))
    said = [msgspec.structs.replace(figure, title=hostile, says=hostile, missing=(hostile,)) for figure in figures]

    attacked = Page(page(changed, said))

    assert attacked.tags.count("script") == 1
    assert "img" not in attacked.tags
    assert sum(hostile in text for text in attacked.text) > 3 * len(figures)
    assert hostile not in attacked.code


def test_a_hostile_label_stays_text_in_a_picture(view):
    def attacked(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        return tuple(msgspec.structs.replace(row, label=f"</svg><script>alert(1)</script>{row.label}") for row in rows)

    changed = msgspec.structs.replace(view, rows=attacked(view.rows), contenders=attacked(view.contenders))
    for figure in draw_figures(changed):
        assert "<script" not in figure.svg
        assert figure.svg.count("</svg>") == 1


def test_a_picture_stands_alone(figures):
    for figure in figures:
        alone = picture(figure)

        assert 'xmlns="http://www.w3.org/2000/svg"' in alone.partition(">")[0]
        assert "prefers-color-scheme: dark" in alone
        assert not re.search(r"(?:href|src)=", alone)


def test_the_front_is_what_nothing_beats(view):
    rows = [row for row in view.rows if row.quality is not None]
    front = cheapest_for_quality(rows)

    assert front
    for row in rows:
        beaten = any(
            other.monthly_cost <= row.monthly_cost
            and (other.quality or 0) >= (row.quality or 0)
            and (other.monthly_cost, other.quality) != (row.monthly_cost, row.quality)
            for other in rows
        )
        assert not (beaten and any(row is one for one in front))
    assert [row.monthly_cost for row in front] == sorted(row.monthly_cost for row in front)


def test_the_cost_of_models_at_the_workloads_volume_is_that_of_the_comparison(view, comparison):
    (now,) = [volume for volume in view.volumes if volume.requests_per_month == view.requests_per_month]

    chosen = comparison.chosen
    assert chosen is not None
    same = [one for one in now.cheapest if one.label == chosen.label]
    assert [one.monthly_cost for one in same] == [chosen.monthly_cost]


def test_latency_at_the_workloads_rate_is_that_of_the_comparison(view):

    compared = 0
    for row in view.contenders:
        if capacity(row.option) is not None and row.option.mode == "realtime":
            curve = load_curve(row.option, np.array([view.workload.peak_rate]))
            assert curve.p95_ms[0] == pytest.approx(row.p95_ms, rel=1e-6, abs=0.01)
            compared += 1
    assert compared


def test_with_nothing_within_the_limits_the_page_says_so_and_still_compares(question):
    measured, _ = load_profiles()
    strict = msgspec.structs.replace(
        question,
        workload=msgspec.structs.replace(question.workload, max_p95_ms=0.5),
        models=(find_model("tiny"),),
        modes=("realtime",),
    )
    comparison = answer(strict, load_prices(), measured)

    shown = make_view(strict, comparison, load_prices(), measured)
    html = page(shown, draw_figures(shown))

    assert comparison.chosen is None
    assert "Nothing meets the limits" in html
    assert "ml.g4dn.xlarge" in html
    assert "no option keeps the limits" in html


def test_one_model_of_unknown_quality_alone_can_be_reported(question):
    measured, _ = load_profiles()
    alone = msgspec.structs.replace(question, models=(find_model("minilm-l12"),), modes=("serverless",))
    comparison = answer(alone, load_prices(), measured)

    shown = make_view(alone, comparison, load_prices(), measured)
    figures = {figure.id: figure for figure in draw_figures(shown)}

    assert figures["cost-quality"].svg == ""
    assert figures["cost-quality"].missing
    assert figures["memory"].svg
    assert Page(page(shown, list(figures.values()))).references == []


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "paper"])
def test_text_and_marks_stand_out_from_their_background(scheme):
    """WCAG 2's 4.5 to 1 for text and 3 to 1 for what pictures are made of."""
    rules = read_asset("palette.css").split(":root")[1:]
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", rules[scheme]))

    for name in ("ink", "muted", "link"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
        assert contrast(colours[name], colours["panel"]) >= 4.5, name
    for name in ("blue", "orange", "green", "purple", "ochre", "grey", "rose"):
        assert contrast(colours[name], colours["paper"]) >= 3, name


@given(st.lists(st.floats(0, 300), min_size=1, max_size=15))
def test_labels_are_spread_apart_in_their_order_and_stay_in_the_picture(places):
    moved = spread(places, 14, 7, 293)

    assert all(7 - 1e-6 <= place <= 293 + 1e-6 for place in moved)
    for (one, moved_one), (other, moved_other) in combinations(zip(places, moved, strict=True), 2):
        assert abs(moved_one - moved_other) >= 14 - 1e-6
        if one != other:
            assert (one < other) == (moved_one < moved_other)


def test_labels_that_are_far_apart_stay_where_they_are():
    assert spread([250, 20, 100], 14, 7, 293) == [250, 20, 100]


@given(st.floats(1e-6, 1e6), st.floats(1.2, 1e9))
def test_ticks_lie_in_the_axis_and_are_few(low, times):
    ticks = log_ticks((low, low * times))

    assert len(ticks) <= 9
    assert all(low <= tick <= low * times for tick in ticks)
    assert ticks == sorted(set(ticks))
