"""docs/reference/: as the code, and true of a server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inference_container.dialects import DIALECTS
from inference_container.errors import REASONS, Reason
from inference_container.logs import EVENTS, Event
from rerank_toolkit.contracts.settings import NOT_SETTINGS, ROWS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"

EXAMPLE = re.compile(r"`POST (\S+)`:\n\n```json\n(.*?)```\n\nis answered with\n\n```json\n(.*?)```", re.DOTALL)


def examples() -> list[tuple[str, str, str]]:
    """Path, body and answer of each example, as a reader finds them."""
    return EXAMPLE.findall((REFERENCE / "dialects.md").read_text(encoding="utf-8"))


def form(document: Any) -> Any:
    """A JSON document with its types in place of its values."""
    match document:
        case dict():
            return {name: form(value) for name, value in document.items()}
        case list():
            return [form(item) for item in document]
        case bool() | None:
            return type(document).__name__
        case int() | float():
            return "number"
        case _:
            return type(document).__name__


def first_column(page: str) -> Iterator[str]:
    """What stands as code in the first column of the page's tables."""
    for line in (REFERENCE / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            yield from re.findall(r"`([^`]+)`", line.split(" | ")[0])


def test_the_pages_are_as_the_code() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tools.reference", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr


def test_each_dialect_that_ranks_has_an_example() -> None:
    sections = re.split(r"^## ", (REFERENCE / "dialects.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    shown = {section.split("\n")[0] for section in sections if EXAMPLE.search(section)}

    assert shown == set(DIALECTS) - {"embeddings"}


@pytest.mark.parametrize(("path", "body", "answer"), examples())
def test_an_example_is_answered_as_the_page_says(server: Any, path: str, body: str, answer: str) -> None:
    given = server.http.post(path, content=body.encode())

    assert given.status_code == 200, given.text
    assert form(given.json()) == form(json.loads(answer))


def test_every_metric_of_a_server_is_on_the_page_and_none_else(server: Any) -> None:
    suffix = {"counter": "_total", "info": "_info"}
    told = {
        family.name.removesuffix("_info") + suffix.get(family.type, "")
        for family in text_string_to_metric_families(server.http.get("/metrics").text)
    }

    assert told - {"rerank_model"} | {"rerank_model_info"} == {
        name for name in first_column("metrics.md") if name.startswith("rerank_")
    }


def test_every_header_of_an_answer_is_on_the_page(server: Any) -> None:
    answer = server.rerank({"query": "q", "documents": ["d"]})
    page = (REFERENCE / "headers.md").read_text(encoding="utf-8").casefold()

    told = {name for name in answer.headers if name.startswith("x-")}
    assert len(told) == 7
    assert {name for name in told if f"`{name}`" not in page and f"## {name}\n" not in page} == set()


def test_every_line_of_a_server_is_on_the_page(server: Any) -> None:
    server.rerank({"query": "q", "documents": ["d"]}, headers={"X-Amzn-SageMaker-Inference-Id": "known"})
    server.rerank({"query": "q"})
    known = set(first_column("logs.md")) | {"time", "level", "event", "inference_id", "traceback", "logger"}
    lines = server.events("request")

    assert len(lines) >= 2
    assert {name for line in lines for name in line} <= known
    assert set(get_args(Event)) == set(EVENTS) <= known


def test_every_reason_has_a_meaning() -> None:
    assert set(get_args(Reason)) == set(REASONS) == set(first_column("errors.md")) & set(REASONS)


def test_variables_that_documents_name_are_settings() -> None:
    known = {name for row in ROWS for name in row.names}
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))]
    named = {name for text in texts for name in re.findall(r"\bRERANK_[A-Z_]+", text)}

    assert named >= {name for name in known if name.startswith("RERANK_")}
    assert {name for name in named - known if not name.startswith(NOT_SETTINGS)} == set()
