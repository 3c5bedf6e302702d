"""A body line by line, without a second copy of all of it."""

from __future__ import annotations

from collections.abc import Iterator


def numbered_lines(body: bytes | bytearray) -> Iterator[tuple[int, int, bytes]]:
    """Of each line that holds something: its number from 1, the position of its first byte, and its bytes."""
    start = number = 0
    while start < len(body):
        number += 1
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        line = bytes(body[start:end])
        if line.strip():
            yield number, start, line
        start = end + 1
