"""Why a body is no JSON, in words that lead to the place."""

from __future__ import annotations

import pytest

from inference_container.body import decode_json
from inference_container.errors import NotJson


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
