"""What a change does to the choice and to the bill."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from cost_model.prices.book import load_prices
from cost_model.question import Question
from cost_model.service_time import load_profiles
from cost_model.whatif import WhatIf, ask_what_if
from cost_model.workload import Workload
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts.usage import SavingsPlan

PRICES = load_prices()
MEASURED, _ = load_profiles([Path(__file__).with_name("profiles")])
QUESTION = Question(
    workload=Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150, max_p95_ms=1000),
    models=(find_model("tiny"),),
    modes=("realtime",),
    instances="ml.c7i.*",
)


def ask(*, regions: tuple[str, ...] = QUESTION.regions, **changes: object) -> WhatIf:
    after = msgspec.structs.replace(
        QUESTION, workload=msgspec.structs.replace(QUESTION.workload, **changes), regions=regions
    )
    return ask_what_if(QUESTION, after, PRICES, MEASURED)


def test_no_change_changes_nothing():
    found = ask()

    assert not found.changes_choice
    assert found.kept_meets
    assert found.dearer == 0


def test_more_traffic_costs_more_and_what_was_chosen_grows_with_it():
    found = ask(requests_per_second=30)

    assert found.before.chosen is not None
    assert found.kept is not None
    assert found.after.chosen is not None
    assert found.kept.candidate.host == found.before.chosen.candidate.host
    assert found.kept.count > found.before.chosen.count
    assert found.dearer is not None
    assert found.dearer > 0
    assert found.after.chosen.monthly_cost <= found.kept.monthly_cost


def test_a_discount_is_taken_off_the_same_choice():
    found = ask(savings_plan=SavingsPlan(discount=Decimal("0.3")))

    assert not found.changes_choice
    assert found.dearer is not None
    assert found.dearer < 0


def test_another_region_has_its_own_price():
    found = ask(regions=("eu-west-1",))

    assert found.kept is not None
    assert found.kept.region == "eu-west-1"
    assert found.before.chosen is not None
    assert found.kept.monthly_cost != found.before.chosen.monthly_cost


def test_a_limit_that_nothing_keeps_leaves_no_choice():
    found = ask(max_p95_ms=0.1)

    assert found.after.chosen is None
    assert found.dearer is None
    assert found.kept is not None
    assert not found.kept_meets
