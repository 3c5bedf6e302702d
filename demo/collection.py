"""The corpus as the demo uses it: passages, and questions that each have one right passage."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Passage:
    id: str
    """page#anchor within Python's documentation."""
    text: str


@dataclass(frozen=True)
class Question:
    id: str
    text: str
    right: str
    """Id of the passage that answers it."""


def load_passages(folder: Path = FOLDER) -> list[Passage]:
    return [Passage(row["_id"], row["text"]) for row in _read_jsonl(folder / "passages.jsonl")]


def load_questions(folder: Path = FOLDER) -> list[Question]:
    with (folder / "qrels.tsv").open(encoding="utf-8", newline="") as file:
        right = {row["query-id"]: row["corpus-id"] for row in csv.DictReader(file, delimiter="\t")}
    return [Question(row["_id"], row["text"], right[row["_id"]]) for row in _read_jsonl(folder / "questions.jsonl")]


def _read_jsonl(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
