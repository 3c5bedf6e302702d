r"""CSV as a batch transform job of the jina-sagemaker client sends it: `id,query,documents,top_n` without a header.

    07937cd63aed,where's the dog,[{\"text\": \"the dog is in my house\"}\, {\"text\": \"the cat looks good\"}],2

Documents are a JSON list. Quotes and commas are escaped with a backslash, not quoted; `id` and `top_n` may be absent.
Two more spellings are read. Rows quoted as RFC 4180 has it:

    07937cd63aed,where's the dog,"[{""text"": ""the dog is in my house""}]",2

And what the client makes of the first spelling when it adds the ids to a local file: it takes escaped commas for
separators and then quotes every piece, so the pieces are put together again before they are read as in the first.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from inference_container.errors import NotCsv
from inference_container.lines import numbered_lines

# Of the csv module, for the process: its own bound is 128 KiB, less than a document may have. Bodies are bounded.
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True, slots=True)
class MalformedRow:
    """A row that has not the columns of one, for whoever names the faults of all rows."""

    why: str


def decode_rows(body: bytes | bytearray) -> list[object]:
    """Each row as an object with query, documents and, where the row has them, id and top_n; or a MalformedRow.

    Raises NotCsv for a body that is no text or empty. A line end always ends a row, as batch transform takes it too.
    """
    rows = [_read_row(_decode(line, start)) for _, start, line in numbered_lines(body)]
    if not rows:
        raise NotCsv("the body has no rows; each is id,query,documents,top_n with documents as a JSON list")
    return [MalformedRow(row) if isinstance(row, str) else row for row in rows]


def _decode(line: bytes, start: int) -> str:
    try:
        return line.removesuffix(b"\r").decode("utf-8" if start else "utf-8-sig")
    except UnicodeDecodeError as error:
        byte = line[error.start]
        raise NotCsv(f"the body is not UTF-8: byte {start + error.start} is 0x{byte:02x}, {error.reason}") from None


def _read_row(line: str) -> dict[str, object] | str:
    """The row, or what is wrong with it."""
    faults: list[str] = []
    for fields in _spellings(line):
        row = _from_fields(fields)
        if not isinstance(row, str):
            return row
        faults.append(row)
    return faults[0] if faults else "is no CSV; expected id,query,documents,top_n"


def _spellings(line: str) -> Iterator[list[str]]:
    """The row's fields by each way of writing them that it may follow."""
    quoted = _split(line, escaped=False) if '"' in line else None
    if quoted and line.startswith('"'):
        yield quoted
        yield _split(",".join(quoted), escaped=True) or []
    else:
        yield _split(line, escaped=True) or []
        yield quoted or []


def _split(line: str, *, escaped: bool) -> list[str] | None:
    try:
        if escaped:
            return next(csv.reader([line], quoting=csv.QUOTE_NONE, escapechar="\\"))
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return None


def _from_fields(fields: Sequence[str]) -> dict[str, object] | str:
    place = next((place for place in (2, 1) if len(fields) > place and fields[place].lstrip().startswith("[")), None)
    if place is None:
        return "has no JSON list of documents in its third column; expected id,query,documents,top_n"
    if len(fields) > place + 2:
        return f"has {len(fields)} columns; expected id,query,documents,top_n, with commas in texts escaped"
    try:
        documents = msgspec.json.decode(fields[place])
    except (msgspec.DecodeError, RecursionError):
        return "has a third column that is not JSON; expected a list of documents, with quotes and commas escaped"
    row: dict[str, object] = {"query": fields[place - 1], "documents": documents}
    if place == 2:
        row["id"] = fields[0]
    top_n = fields[place + 1].strip() if len(fields) == place + 2 else ""
    if top_n:
        row["top_n"] = int(top_n) if top_n.isascii() and top_n.isdecimal() and len(top_n) < 19 else top_n
    return row
