"""Where snapshots lie, and which one is taken: the newest sound one of what was refreshed and what ships."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cost_model.prices.tables import HEADER, SHIPPED, SnapshotHeader, read_header
from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError
from rerank_toolkit.contracts.faults import Fault

VARIABLE = "RERANK_PRICES"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot, and what was passed over on the way to it."""

    folder: Path
    header: SnapshotHeader
    passed_over: tuple[str, ...] = ()
    """Why snapshots were not taken that are damaged or of a newer schema."""


def user_store() -> Path:
    """The folder that `rerank cost prices refresh` writes to: $RERANK_PRICES, else in the user's data (XDG)."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local/share") / "rerank-toolkit/prices"


def find_snapshot(where: Path | None = None) -> Found:
    """The newest snapshot of `where`, which is one itself or holds some; without it of the user's and the shipped.

    A damaged one is passed over. Raises InvalidInput if `where` holds none that is sound.
    """
    places = [*_snapshots(where)] if where else [SHIPPED, *_snapshots(user_store())]
    sound: list[Found] = []
    passed_over: list[str] = []
    for folder in places:
        try:
            sound.append(Found(folder=folder, header=read_header(folder)))
        except ToolkitError as error:
            passed_over.append(str(error))
    if not sound:
        faults = [Fault("", text, "damaged") for text in passed_over]
        none = Fault("", f"holds no price snapshot: no {HEADER} in it or in its folders", "no_snapshot")
        raise InvalidInput(str(where), faults or [none])
    newest = max(sound, key=lambda found: (found.header.newest, found.folder != SHIPPED, found.folder.name))
    return msgspec.structs.replace(newest, passed_over=tuple(passed_over))


def holds_snapshots(where: Path) -> bool:
    """Whether the folder is a snapshot or holds some, sound or not."""
    return any(_snapshots(where))


def _snapshots(where: Path) -> Iterator[Path]:
    if (where / HEADER).exists():
        yield where
    elif where.is_dir():
        yield from sorted(child for child in where.iterdir() if (child / HEADER).exists() and child.name[0] != ".")
