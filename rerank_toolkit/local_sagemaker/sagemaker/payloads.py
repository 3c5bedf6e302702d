"""How batch transform cuts an object into the bodies of its requests, and puts the answers together again."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from rerank_toolkit.catalog.limits import MEGABYTE


class RecordTooLarge(Exception):
    """A record is larger than a payload may be."""


def cut(content: bytes, *, by_line: bool, several: bool, most_mb: int) -> Iterator[bytes]:
    """The payloads of an object: all of it at once, or its lines, `several` in each as far as they fit.

    Lines that hold nothing are no records. `most_mb` 0 sets no limit. Raises RecordTooLarge.
    """
    most = most_mb * MEGABYTE or None
    records: Iterable[bytes] = (line for line in io.BytesIO(content) if line.strip()) if by_line else (content,)
    payload = b""
    for record in records:
        if most is not None and len(record) > most:
            raise RecordTooLarge(f"a record has {len(record):,} bytes; MaxPayloadInMB is {most_mb}")
        if payload and (not several or (most is not None and len(payload) + len(record) > most)):
            yield payload
            payload = b""
        payload += record
    if payload:
        yield payload


def assemble(answers: Iterable[bytes], *, by_line: bool) -> bytes:
    """The object that a job writes: the answers in their order, each ended by a newline if they are lines."""
    if not by_line:
        return b"".join(answers)
    return b"".join(answer if answer.endswith(b"\n") else answer + b"\n" for answer in answers)
