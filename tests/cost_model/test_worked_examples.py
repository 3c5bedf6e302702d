"""Bills that others published, priced by us: the acceptance cases of `rerank cost estimate`."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cost_model.billing.estimate import estimate
from cost_model.prices.book import load_prices
from cost_model.report.estimate import estimate_document
from rerank_toolkit.contracts.documents import convert
from rerank_toolkit.contracts.usage import Usage

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("worked_examples.json").read_text())


def priced(case: dict[str, Any]) -> dict[str, Any]:
    prices = load_prices()
    return estimate_document(estimate(convert(case["usage"], Usage, name=case["id"]), prices), prices)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_total_is_the_published_one_within_its_tolerance(case):
    document = priced(case)

    assert document["complete"]
    assert abs(Decimal(document["total"]) - Decimal(case["published_total"])) <= Decimal(case["tolerance"])


def test_our_exact_figures_beside_the_published_ones(snapshot):
    figures = {
        case["id"]: {
            "ours": priced(case)["total"],
            "published": case["published_total"],
            "lines": {line["name"]: line["cost"] for item in priced(case)["items"] for line in item["components"]},
        }
        for case in CASES
    }

    assert figures == snapshot
