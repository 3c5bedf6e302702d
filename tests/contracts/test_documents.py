from __future__ import annotations

from pathlib import Path

import pytest

from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.documents import NewerSchema
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.usage import Usage

SOUND = b'{"items": [{"kind": "data", "gb_in": 0.1}]}'


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b'{"items": NaN}', b"[" * 100_000, b'{"a": "\xc3\x28"}', b'"\\ud800"'], ids=repr
)
def test_what_is_not_json_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        documents.decode(data, Usage, name="usage.json")

    assert str(caught.value).startswith("usage.json:\n  document: ")


def test_quantities_keep_their_decimal_digits() -> None:
    usage = documents.decode(SOUND, Usage, name="usage")

    assert str(usage.items[0].gb_in) == "0.1"  # type: ignore[union-attr]


def test_a_newer_schema_is_refused_with_both_versions() -> None:
    with pytest.raises(NewerSchema, match="schema_version is 7, this toolkit reads up to 1"):
        documents.decode(b'{"schema_version": 7, "items": "in a form of the future"}', Usage, name="usage.json")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere.json:\n.*can't be read: No such file"):
        documents.read(tmp_path / "nowhere.json", Usage)


def test_a_document_written_and_read_is_the_same_and_no_part_is_left(tmp_path: Path) -> None:
    usage = documents.decode(SOUND, Usage, name="usage")
    path = tmp_path / "new folder" / "usage.json"

    documents.write(path, usage)
    first = path.read_bytes()
    documents.write(path, documents.read(path, Usage))

    assert documents.read(path, Usage) == usage
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["usage.json"]
