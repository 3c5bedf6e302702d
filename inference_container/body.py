"""A request's body, from the socket to the documents in it, within bounds of size, time and memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import msgspec
from starlette.requests import ClientDisconnect, Request

from inference_container.csv_rows import decode_rows
from inference_container.errors import (
    BodyTooLarge,
    BodyTooSlow,
    CallerLeft,
    NotJson,
    QueueFull,
    UnsupportedEncoding,
)
from inference_container.lines import numbered_lines
from rerank_toolkit.catalog.limits import MEGABYTE

_BODIES_HELD = 8
"""Bodies of the largest size that may be in memory at once; of usual sizes that is thousands."""


class BodyReader:
    """Reads bodies of at most `max_mb` megabytes, each within `time_limit_s`."""

    def __init__(self, *, max_mb: float, time_limit_s: float) -> None:
        self._max_mb = max_mb
        self._max_bytes = int(max_mb * MEGABYTE)
        self._time_limit_s = time_limit_s
        self._held_bytes = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytearray]:
        """The body of `request`, accounted for until the block ends; who has decoded it may clear it.

        Raises BodyTooLarge as soon as that is known (the server throws away what still comes), BodyTooSlow,
        UnsupportedEncoding, QueueFull if other bodies fill the memory set aside, CallerLeft.
        """
        self._check_headers(request)
        body = bytearray()
        held = 0
        try:
            try:
                await self._fill(body, request)
            finally:
                held = len(body)
            yield body
        finally:
            self._held_bytes -= held

    async def _fill(self, body: bytearray, request: Request) -> None:
        try:
            async with asyncio.timeout(self._time_limit_s):
                async for chunk in request.stream():
                    self._check_room(len(body) + len(chunk), len(chunk))
                    self._held_bytes += len(chunk)
                    body += chunk
        except TimeoutError:
            raise BodyTooSlow(
                f"of the body {len(body):,} bytes came within {self._time_limit_s:g} s, and not its end"
            ) from None
        except ClientDisconnect:
            raise CallerLeft from None

    def _check_headers(self, request: Request) -> None:
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.casefold() != "identity":
            raise UnsupportedEncoding(f"Content-Encoding is {encoding[:40]!r}; send the body uncompressed")
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise self._too_large(f"{int(announced):,} bytes")

    def _check_room(self, size: int, added: int) -> None:
        if size > self._max_bytes:
            raise self._too_large(f"more than {self._max_bytes:,} bytes")
        if self._held_bytes + added > _BODIES_HELD * self._max_bytes:
            raise QueueFull(
                f"requests of {self._held_bytes // MEGABYTE} MB are being answered, "
                "as much as this server holds at once",
                reason="memory",
                retry_after_s=1,
            )

    def _too_large(self, found: str) -> BodyTooLarge:
        return BodyTooLarge(f"the body has {found}; at most {self._max_mb:g} MB are taken")


Layout = Literal["document", "lines", "rows"]

_LAYOUTS: Mapping[str, Layout] = {
    "text/csv": "rows",
    "application/csv": "rows",
    "application/jsonlines": "lines",
    "application/jsonl": "lines",
    "application/x-jsonlines": "lines",
    "application/x-ndjson": "lines",
}


@dataclass(frozen=True, slots=True)
class Decoded:
    layout: Layout
    content: object
    """Of lines and rows a list."""


def decode(body: bytes | bytearray, content_type: str) -> Decoded:
    """The documents in `body`; raises NotJson or NotCsv, which say where and why there are none, UnsupportedEncoding.

    JSON unless the content type says lines of JSON or CSV, for curl calls JSON a form. Several JSON documents, a line
    each, are lines under any name: batch transform puts as many records as fit into one body.
    """
    _check_charset(content_type)
    match layout_of(content_type):
        case "rows":
            return Decoded("rows", decode_rows(body))
        case "lines":
            return Decoded("lines", decode_lines(body))
    try:
        return Decoded("document", decode_json(body))
    except NotJson:
        if not _starts_with_document_line(body):
            raise
    return Decoded("lines", decode_lines(body))


def layout_of(content_type: str) -> Layout:
    """How a body of this content type is said to hold its documents."""
    return _LAYOUTS.get(content_type.partition(";")[0].strip().casefold(), "document")


def _check_charset(content_type: str) -> None:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        charset = value.strip().strip('"').casefold()
        if name.casefold() == "charset" and charset not in {"", "utf-8", "utf8", "us-ascii", "ascii"}:
            raise UnsupportedEncoding(f"the charset of Content-Type is {charset[:40]!r}; send UTF-8")


def _starts_with_document_line(body: bytes | bytearray) -> bool:
    """Whether the first of several lines is an object by itself."""
    end = body.find(b"\n")
    start = bytes(body[: max(0, end)])
    if not start.lstrip().startswith(b"{") or body.find(b"{", end) < 0:
        return False
    try:
        decode_json(start)
    except NotJson:
        return False
    return True


def decode_lines(body: bytes | bytearray) -> list[object]:
    """The document in each line that holds something; raises NotJson naming the line."""
    documents = []
    for number, _, line in numbered_lines(body):
        try:
            documents.append(decode_json(line))
        except NotJson as error:
            raise NotJson(f"line {number}: {error}") from None
    if not documents:
        raise NotJson("the body is not JSON: it is empty")
    return documents


_BYTE = re.compile(r" \(byte (\d+)\)$")
_NOT_NUMBERS = (b"NaN", b"Infinity")


def decode_json(body: bytes | bytearray) -> object:
    """The document in `body`; raises NotJson, which says where and why it is none."""
    try:
        return msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        # Its position counts from the start of a string; from that of the body is of more use.
        raise NotJson(f"the body is not UTF-8: {_where_not_utf8(body) or error.reason}") from None
    except RecursionError:
        raise NotJson("the body is nested too deeply; a request needs three levels") from None
    except msgspec.DecodeError as error:
        raise NotJson(f"the body is not JSON: {_explain(error, body)}") from None


def _where_not_utf8(body: bytes | bytearray) -> str | None:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte {error.start} is 0x{body[error.start]:02x}, {error.reason}"
    return None


def _explain(error: msgspec.DecodeError, body: bytes | bytearray) -> str:
    if not body.strip():
        return "it is empty"
    text = str(error)
    if position := _BYTE.search(text):
        at = body[int(position[1]) :]
        word = next((word for word in _NOT_NUMBERS if at.startswith(word)), None)
        if word:
            return f"{word.decode()} at byte {position[1]} is no JSON number"
    if text == "Input data was truncated":
        return "it ends too early"
    return text.removeprefix("JSON is malformed: ")
