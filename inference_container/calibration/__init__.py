"""The texts that fidelity is measured on, and others that int8 takes its ranges from: questions, each with the texts
that it is scored against."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

FILE = Path(__file__).with_name("everyday-english.toml")

_OTHERS = 3
"""Texts of other subjects, beside those of the question's own."""
_LONG_EVERY = 7
"""One question in so many is scored against a long text as well: a whole subject, joined."""
_RANGES_EVERY = 5
"""One question in so many is never judged by: what int8 was fitted to would be no test of it."""

Query = tuple[str, Sequence[str]]
"""A question with its texts."""


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    texts: list[str]
    questions: list[str]


@dataclass(frozen=True, slots=True)
class Calibration:
    name: str
    sha256: str
    """Of the file that holds it."""
    judged: Sequence[Query]
    """Those that fidelity is measured on."""
    fitted: Sequence[Query]
    """Those that int8 takes the ranges of its activations from."""


def load_calibration(path: Path = FILE) -> Calibration:
    """The set in a file of subjects, its questions in turn from each subject, so that any beginning is varied."""

    class Table(msgspec.Struct, forbid_unknown_fields=True):
        subjects: list[Subject]

    data = path.read_bytes()
    subjects = msgspec.toml.decode(data, type=Table).subjects
    places = sorted(
        (place, number) for number, subject in enumerate(subjects) for place in range(len(subject.questions))
    )
    queries = [
        (subjects[number].questions[place], candidates(subjects, number, index))
        for index, (place, number) in enumerate(places)
    ]
    fitted = queries[_RANGES_EVERY - 1 :: _RANGES_EVERY]
    judged = [query for query in queries if query not in fitted]
    return Calibration(path.stem, hashlib.sha256(data).hexdigest(), judged, fitted)


def candidates(subjects: Sequence[Subject], number: int, index: int) -> list[str]:
    """What question `index` is scored against: all texts of its subject `number`, some of the next ones, a long one."""
    others = [subjects[(number + 1 + (index + step) % (len(subjects) - 1)) % len(subjects)] for step in range(_OTHERS)]
    texts = [*subjects[number].texts, *(subject.texts[index % len(subject.texts)] for subject in others)]
    if index % _LONG_EVERY == 0:
        texts.append("\n\n".join(subjects[(number + index // _LONG_EVERY) % len(subjects)].texts))
    return texts
