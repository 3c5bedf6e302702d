"""Bodies within bounds, and why one is no JSON in words that lead to the place."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.requests import Request

from inference_container.body import BodyReader, decode_json
from inference_container.errors import NotJson, QueueFull


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON: it is empty"),
        (b" \n", "the body is not JSON: it is empty"),
        (b'{"a": [1', "the body is not JSON: it ends too early"),
        (b'{"a": NaN}', "the body is not JSON: NaN at byte 6 is no JSON number"),
        (b'{"a": -Infinity}', "the body is not JSON: Infinity at byte 7 is no JSON number"),
        (b'{"a": 1} 2', "the body is not JSON: trailing characters (byte 10)"),
        (b"{'a': 1}", "the body is not JSON: object keys must be strings (byte 1)"),
        (b'{"a": "x", "b": "y\xff"}', "the body is not UTF-8: byte 18 is 0xff, invalid start byte"),
        (b"[" * 50_000, "the body is nested too deeply; a request needs three levels"),
    ],
)
def test_what_is_wrong_and_where(body: bytes, message: str) -> None:
    with pytest.raises(NotJson) as raised:
        decode_json(body)
    assert str(raised.value) == message


def test_json_is_decoded() -> None:
    assert decode_json(bytearray(b'{"a": [1, "\\ud83d\\ude00", null]}')) == {"a": [1, "😀", None]}


def request_of(body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_all_bodies_together_are_bounded_until_they_are_answered() -> None:
    async def scenario() -> None:
        reader = BodyReader(max_mb=0.001, time_limit_s=60)
        async with AsyncExitStack() as answering:
            for _ in range(8):
                assert await answering.enter_async_context(reader.read(request_of(b"x" * 1000)))
            with pytest.raises(QueueFull) as raised:
                async with reader.read(request_of(b"x")):
                    pass
            assert raised.value.reason == "memory"
        async with reader.read(request_of(b"x" * 1000)) as body:
            assert len(body) == 1000

    asyncio.run(scenario())
