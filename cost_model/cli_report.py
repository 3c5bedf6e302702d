"""`rerank cost report`: a comparison as one HTML file to read, to print and to send."""

from __future__ import annotations

import os
from pathlib import Path

from cost_model.cli_options import Asked
from cost_model.question import answer
from cost_model.simulate.announcing import on_compiling
from rerank_toolkit.console import say, status
from rerank_toolkit.contracts.errors import InvalidInput, NothingMeetsConstraints, ToolkitError
from rerank_toolkit.contracts.faults import Fault


class NoDrawing(ToolkitError):
    """The packages that draw are an extra."""


def report(*, out: Path, pictures: Path | None = None, asked: Asked | None = None) -> None:
    """A comparison as one HTML file that needs no network: pictures, their figures as tables, and all sources.

    Parameters
    ----------
    out
        HTML file to write.
    pictures
        Folder to write each picture to as well, as an SVG file of its own.
    """
    _check(out, pictures)
    on_compiling(say)
    try:
        from cost_model.report.html import draw_figures, page, picture  # half a second of Altair
        from cost_model.report.view import make_view
    except ModuleNotFoundError as error:
        raise NoDrawing(
            f"the report is drawn by packages that are an extra, and {error.name} is missing: "
            "pip install 'rerank-toolkit[report]'"
        ) from error
    question, prices, measured = (asked or Asked()).question()
    comparison = answer(question, prices, measured)
    if comparison.options:
        with status("drawing …"):
            view = make_view(question, comparison, prices, measured)
            figures = draw_figures(view)
        _write(out, page(view, figures))
        for figure in figures:
            if pictures is not None and figure.svg:
                _write(pictures / f"{figure.id}.svg", picture(figure))
        say(f"wrote {out}" + (f" and the pictures in {pictures}" if pictures else ""))
    if comparison.chosen is None:
        raise NothingMeetsConstraints(comparison.reason)


def _check(out: Path, pictures: Path | None) -> None:
    faults = []
    if out.is_dir():
        faults.append(Fault("--out", f"is {str(out)!r}, a folder; expected a file", "unwritable"))
    if pictures is not None and pictures.exists() and not pictures.is_dir():
        faults.append(Fault("--pictures", f"is {str(pictures)!r}, a file; expected a folder", "unwritable"))
    if faults:
        raise InvalidInput("options", faults)


def _write(path: Path, text: str) -> None:
    """At once: whoever has the old file open never sees half of the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
