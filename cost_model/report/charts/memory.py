"""What a server process needs of memory, by part, against the sizes that serverless bills."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import msgspec

from cost_model.memory import MemoryNeed, load_memory
from cost_model.report.charts.draw import INK, MUTED, PALETTE, WIDTH, data, svg
from cost_model.report.figure import Cell, Figure, Source, Table, number, text
from cost_model.report.view import Row, View
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.console import Column

ID, TITLE = "memory", "Memory against the serverless steps"

COLUMNS = (
    Column("Model"),
    Column("Engine"),
    Column("Part"),
    Column("MiB", "right"),
    Column("In all, MiB", "right"),
    Column("Least serverless size, MB", "right"),
    Column("Basis"),
)

BAR = 30


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A model as it would run on serverless."""

    name: str
    engine: str
    need: MemoryNeed

    @property
    def label(self) -> str:
        return f"{self.name}, {self.engine}"


def figure(view: View) -> Figure:
    servers = _servers(view.rows)
    limits, measured = load_limits().serverless, load_memory()
    return Figure(
        id=ID,
        title=TITLE,
        says=_says(servers),
        sources=(
            Source("Memory", f"parts measured on {measured.hardware}, {measured.measured}, and carried to each model"),
            Source("Steps", f"published: {limits.source}, {limits.as_of}"),
        ),
        svg=_draw(servers) if servers else "",
        table=Table(title=TITLE, columns=COLUMNS, rows=tuple(row for server in servers for row in _cells(server))),
    )


def _servers(rows: Sequence[Row]) -> list[Server]:
    """Of each model the least, on serverless where it fits a size there, else on another CPU."""
    servers: dict[str, Server] = {}
    for row in sorted(rows, key=lambda row: (row.kind != "serverless", row.memory_needed)):
        candidate = row.option.candidate
        if candidate.host.kind != "gpu":
            server = Server(name=row.model.alias, engine=f"{row.engine} {row.dtype}", need=candidate.memory)
            servers.setdefault(row.model.id, server)
    return sorted(servers.values(), key=lambda server: server.need.mib)


def _cells(server: Server) -> list[tuple[Cell, ...]]:
    step = server.need.step_mb
    return [
        (
            text(server.name),
            text(server.engine),
            text(part.name),
            number(part.mib),
            number(server.need.mib),
            Cell("none", math.inf) if step is None else number(step),
            Cell("by parts", "by parts", server.need.basis),
        )
        for part in server.need.parts
    ]


def _says(servers: Sequence[Server]) -> str:
    """Which models share a step: within one, less memory saves nothing where memory is billed in steps."""
    if not servers:
        return "There is no option on a CPU."
    names: dict[int | None, list[str]] = {}
    for server in servers:
        names.setdefault(server.need.step_mb, []).append(server.name)
    parts = [
        f"{', '.join(members)} {'fit' if len(members) > 1 else 'fits'} {f'{step} MB' if step else 'no serverless size'}"
        for step, members in names.items()
    ]
    return f"{'; '.join(parts)}. Serverless bills the size, not what is used of it."


def _draw(servers: Sequence[Server]) -> str:
    parts = list(dict.fromkeys(part.name for server in servers for part in server.need.parts))
    most = max(server.need.mib for server in servers)
    steps = load_limits().serverless.memory_mb
    shown = [size for at, size in enumerate(steps) if at == 0 or steps[at - 1] < most]
    x_scale = alt.Scale(domain=[0, max(most, *shown) * 1.08], nice=False)
    bars = (
        alt.Chart(
            data(
                [
                    {
                        "server": server.label,
                        "part": part.name,
                        "at": parts.index(part.name),
                        "mib": part.mib,
                        "says": f"{server.label}: {part.name} {part.mib:,.0f} MiB",
                    }
                    for server in servers
                    for part in server.need.parts
                ]
            )
        )
        .mark_bar(height=BAR * 0.6)
        .encode(
            x=alt.X("mib:Q", axis=alt.Axis(title="MiB", format=",.0f", tickCount=6, grid=False), scale=x_scale),
            y=alt.Y(
                "server:N",
                sort=[server.label for server in servers],
                axis=alt.Axis(title=None, labelLimit=0, ticks=False, domain=False),
            ),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=parts, range=list(PALETTE[: len(parts)])),
                legend=alt.Legend(columns=3),
            ),
            order="at:Q",
            description="says:N",
        )
    )
    marks = alt.Chart(data([{"mib": size, "name": f"{size // 1024} GB"} for size in shown]))
    x = alt.X("mib:Q", scale=x_scale)
    layers = (
        bars,
        marks.mark_rule(color=INK, strokeDash=[4, 3]).encode(x=x),
        marks.mark_text(align="left", baseline="bottom", dx=3, color=MUTED).encode(x=x, y=alt.value(-3), text="name:N"),
    )
    chart = alt.layer(*layers).properties(width=WIDTH - 160, height=BAR * len(servers))
    return svg(chart, id=ID, title=TITLE, description=_says(servers))
