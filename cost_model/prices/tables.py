"""A price snapshot: a folder of tables, and a header that says from when and from where they are.

A snapshot is written once, under a name of its own, and never changed: whoever reads prices reads one snapshot whole.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

SHIPPED = Path(__file__).with_name("snapshot")
HEADER = "snapshot.json"

TABLES: Mapping[str, tuple[str, ...]] = {
    "hosting.csv": ("region", "instance", "usd_per_hour", "suspect"),
    "serverless.csv": ("region", "memory_mb", "usd_per_second"),
    "rates.csv": ("region", "service", "name", "unit", "from_quantity", "usd", "as_of", "source"),
    "allowances.csv": ("service", "name", "unit", "quantity", "per", "instances", "as_of", "source"),
    "savings_plans.csv": ("region", "kind", "of", "term_years", "payment", "unit", "usd", "as_of", "source"),
}
"""The columns of each table; a table that a snapshot lacks is empty."""

Row = dict[str, str]


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    as_of: date
    """When the publisher published it."""
    source: str


class SnapshotHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema_version: int = 1
    as_of: date
    """The oldest date of the hosting and serverless prices; single rates carry their own."""
    currency: str
    source: str
    regions: dict[str, Origin] = {}
    """Of the regions that were refreshed since."""
    sha256: dict[str, str] = {}
    """Of each table, where a command wrote them; a snapshot kept by hand names none."""

    def origin(self, region: str) -> Origin:
        return self.regions.get(region) or Origin(as_of=self.as_of, source=self.source)

    @property
    def newest(self) -> date:
        return max([self.as_of, *(origin.as_of for origin in self.regions.values())])


def read_header(folder: Path) -> SnapshotHeader:
    """The header of a snapshot whose tables are as they were written.

    Raises InvalidInput with every fault, NewerSchema if a newer version wrote it.
    """
    header = documents.read(folder / HEADER, SnapshotHeader)
    faults = [fault for name, digest in header.sha256.items() if (fault := _check(folder / name, digest))]
    if faults:
        raise InvalidInput(str(folder), faults)
    return header


def _check(path: Path, digest: str) -> Fault | None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return Fault(path.name, f"can't be read: {error.strerror}", "unreadable")
    return None if found == digest else Fault(path.name, f"is not as {HEADER} says: its sha256 is {found}", "changed")


def read_table(folder: Path, name: str) -> list[Row]:
    """Rows as text; none where the snapshot has no such table."""
    path = folder / name
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_snapshot(store: Path, header: SnapshotHeader, tables: Mapping[str, Sequence[Row]]) -> Path:
    """A new folder in `store`, which is there whole or not at all.

    Its name is the time of writing: names sort by age, and two writers never meet.
    """
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    part = store / f".{name}.{os.getpid()}.part"
    part.mkdir(parents=True)
    try:
        digests = {table: _write_table(part / table, TABLES[table], rows) for table, rows in tables.items()}
        documents.write(part / HEADER, msgspec.structs.replace(header, sha256=digests))
        return part.rename(store / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)  # gone already where it was renamed


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    data = text.getvalue().encode()
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
