from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
import pytest

from rerank_toolkit.contracts.faults import MOST_FAULTS, collect_faults
from rerank_toolkit.contracts.plan import Plan
from rerank_toolkit.contracts.usage import Usage
from rerank_toolkit.contracts.wire import RerankRequest


def faults(document: object, expected: object) -> dict[str, str]:
    return {fault.field: fault.message for fault in collect_faults(document, expected)}


def test_every_fault_is_named_not_the_first() -> None:
    found = faults(
        {"query": 3, "documents": ["a", 7, {"text": 1}, {}], "top_n": 0, "return_documents": "yes"}, RerankRequest
    )

    assert set(found) == {
        "query", "documents[1]", "documents[2].text", "documents[3].text", "top_n", "return_documents",
    }  # fmt: skip
    assert found["query"] == "is 3; expected a string or an object with text"
    assert found["documents[3].text"] == "is missing"
    assert "0" in found["top_n"]


@pytest.mark.parametrize("document", [None, 3, "text", [], [[]], True])
def test_a_body_that_is_no_object(document: object) -> None:
    assert set(faults(document, RerankRequest)) == {""}


def test_what_is_missing_is_named() -> None:
    assert faults({}, RerankRequest) == {"query": "is missing", "documents": "is missing"}


def test_a_megabyte_of_faults_is_answered_with_a_page() -> None:
    found = collect_faults({"query": "q", "documents": [1] * 40_000}, RerankRequest)

    assert len(found) == MOST_FAULTS + 1
    assert str(found[-1]) == f"document: has more faults; these are the first {MOST_FAULTS}"
    assert all(
        len(str(fault)) < 200
        for fault in collect_faults({"query": "q" * 10**6, "documents": "x" * 10**6}, RerankRequest)
    )


def test_a_tagged_union_is_walked_by_its_tag() -> None:
    found = faults(
        {
            "items": [
                {"kind": "realtime", "instance": 1, "hours": "x", "day": 3},
                {"kind": "quantum"},
                {"kind": "data", "gb_in": -1},
            ]
        },
        Usage,
    )

    assert set(found) == {"items[0].instance", "items[0].hours", "items[0].day", "items[1].kind", "items[2]"}
    assert found["items[1].kind"].startswith("is 'quantum'; expected one of async, azure-")
    assert "gb_in is -1" in found["items[2]"]


def test_a_plan_with_faults_in_its_depths() -> None:
    found = faults(
        {
            "id": "p", "region": "us-east-1", "price_date": "yesterday", "workload": "w",
            "deployments": [{"stack": "1x", "model": "tiny", "artifact": {"from": "floppy"}, "engine": "abacus",
                             "dtype": "fp32", "mode": "realtime", "expected": {"basis": "b"},
                             "image": {"repository": "r"}}],
        },
        Plan,
    )  # fmt: skip

    deployment = "deployments[0]"
    assert set(found) == {
        "price_date",
        f"{deployment}.stack", f"{deployment}.artifact.from", f"{deployment}.engine", f"{deployment}.image",
    }  # fmt: skip


def test_bounds_of_leaves_are_those_of_the_annotation() -> None:
    class Bounded(msgspec.Struct):
        share: Annotated[float, msgspec.Meta(gt=0, le=1)]
        names: Annotated[list[str], msgspec.Meta(max_length=1)] = []
        amount: Decimal = Decimal(0)
        table: dict[str, int] = {}

    found = faults({"share": 2, "names": ["a", "b"], "amount": "much", "table": {"a": 1, "b": "c"}}, Bounded)

    assert set(found) == {"share", "names", "amount", "table.b"}


def test_a_sound_document_has_none() -> None:
    assert (
        collect_faults({"query": {"text": "q"}, "documents": ["a", {"text": "b"}], "top_n": None}, RerankRequest) == []
    )
