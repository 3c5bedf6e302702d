"""Rows of a batch transform job in each spelling, and what is said of others."""

from __future__ import annotations

import csv
import io

import pytest

from inference_container.csv_rows import MalformedRow, decode_rows
from inference_container.errors import NotCsv

DOCUMENTS = [{"text": 'a "quoted", listed\\ text'}, {"text": "plain\nlines, 2"}, {"text": "[brackets]"}]
DOCUMENTS_JSON = r'[{"text": "a \"quoted\", listed\\ text"}, {"text": "plain\nlines, 2"}, {"text": "[brackets]"}]'
QUERY = "who, what"


def write(*columns: object, **options: object) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", **options).writerow(columns)  # type: ignore[arg-type]
    return out.getvalue()


def escaped(*columns: object) -> str:
    """As the client's notebook writes them."""
    return write(*columns, quoting=csv.QUOTE_NONE, escapechar="\\")


def with_id(row: str) -> str:
    """What the client makes of a local file's row: read with the csv module's defaults, quoted throughout."""
    return write("00", *next(csv.reader([row], quoting=csv.QUOTE_ALL)), quoting=csv.QUOTE_ALL)


@pytest.mark.parametrize(
    "row",
    [
        escaped("00", QUERY, DOCUMENTS_JSON, 2),
        write("00", QUERY, DOCUMENTS_JSON, 2),
        write("00", QUERY, DOCUMENTS_JSON, 2, quoting=csv.QUOTE_ALL),
        with_id(write(QUERY, DOCUMENTS_JSON, 2)),
        with_id(escaped(QUERY, DOCUMENTS_JSON, 2)),
    ],
    ids=["escaped", "quoted", "quoted throughout", "quoted, with id", "escaped, with id"],
)
def test_a_row_is_the_same_in_each_spelling(row: str) -> None:
    assert decode_rows(row.encode()) == [{"id": "00", "query": QUERY, "documents": DOCUMENTS, "top_n": 2}]


def test_a_published_example() -> None:
    body = (
        rb"07937cd63aed436b9e6c34a86783f55f,where's the dog,[{\"text\": \"the dog is in my house\"}\, "
        rb"{\"text\": \"the cat looks good\"}],2" + b"\r\n"
        rb"286076113143433cb5f2655c5f70a30e,do you like cat,[{\"text\": \"cash is king\"}],3" + b"\n\n"
    )
    assert decode_rows(body) == [
        {
            "id": "07937cd63aed436b9e6c34a86783f55f",
            "query": "where's the dog",
            "documents": [{"text": "the dog is in my house"}, {"text": "the cat looks good"}],
            "top_n": 2,
        },
        {
            "id": "286076113143433cb5f2655c5f70a30e",
            "query": "do you like cat",
            "documents": [{"text": "cash is king"}],
            "top_n": 3,
        },
    ]


def test_id_and_top_n_may_be_absent_and_a_byte_order_mark_present() -> None:
    assert decode_rows(b'\xef\xbb\xbfq,["a"]\np,["b"],1') == [
        {"query": "q", "documents": ["a"]},
        {"query": "p", "documents": ["b"], "top_n": 1},
    ]


def test_a_document_may_be_longer_than_the_csv_module_s_bound() -> None:
    text = "word " * 100_000
    assert decode_rows(escaped("1", "q", f'["{text}"]').encode()) == [{"id": "1", "query": "q", "documents": [text]}]


def test_top_n_that_is_no_number_is_left_to_the_dialect() -> None:
    assert decode_rows(b'1,q,["a"],many') == [{"id": "1", "query": "q", "documents": ["a"], "top_n": "many"}]


def test_a_row_that_is_none_tells_why() -> None:
    body = b'id,query,documents,top_n\n1,q,["a"],2\n1,q,[broken,2\n1,q,["a"],2,3,4\n"unclosed'
    found = [(row.why.partition(";")[0] if isinstance(row, MalformedRow) else None) for row in decode_rows(body)]
    assert found == [
        "has no JSON list of documents in its third column",
        None,
        "has a third column that is not JSON",
        "has 6 columns",
        "has no JSON list of documents in its third column",
    ]


@pytest.mark.parametrize("body", [b"", b"\n \n", b"\xff"])
def test_no_rows_at_all(body: bytes) -> None:
    with pytest.raises(NotCsv, match="the body"):
        decode_rows(body)
