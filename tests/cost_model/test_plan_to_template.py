"""From a choice to its plan, from the plan to templates, and from these back to the bill: three ways to one figure."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from cost_model.compare import Option
from cost_model.modes import Mode
from cost_model.planner import PLANNED, make_plan
from cost_model.prices.book import shipped_prices
from cost_model.question import Question, answer
from cost_model.service_time import load_profiles
from cost_model.templates.assembly import read_templates
from cost_model.templates.billing import bill_template
from cost_model.templates.charges import Charge
from cost_model.workload import Arrivals, Workload
from infra.app import add_stacks, new_app
from infra.options import Options
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts.plan import Plan

PRICES = shipped_prices()
MEASURED, _ = load_profiles([Path(__file__).with_name("profiles")])
WORKLOAD = Workload(
    requests_per_second=4,
    documents_per_request=25,
    tokens_per_document=150,
    traffic=Arrivals(week={"mon-sun": {"0-16": 1.0, "17-23": 5.0}}),
)
NAMES: dict[Mode, str] = {mode: f"Rerank{mode.title()}" for mode in PLANNED}


@pytest.fixture(scope="module")
def chosen() -> dict[Mode, Option]:
    """The cheapest of each mode."""
    question = Question(workload=WORKLOAD, models=(find_model("tiny"),), modes=tuple(PLANNED))
    options = answer(question, PRICES, MEASURED).options
    return {mode: next(option for option in options if option.mode == mode) for mode in PLANNED}


@pytest.fixture(scope="module")
def billed(chosen: dict[Mode, Option], tmp_path_factory: pytest.TempPathFactory) -> dict[Mode, list[Charge]]:
    """What the templates of their plans come to, by mode."""
    plans = {mode: make_plan(option, PRICES) for mode, option in chosen.items()}
    deployments = [msgspec.structs.replace(plan.deployments[0], stack=NAMES[mode]) for mode, plan in plans.items()]
    plan: Plan = msgspec.structs.replace(plans["realtime"], deployments=deployments)
    folder = tmp_path_factory.mktemp("cdk") / "cdk.out"
    app = new_app(str(folder))
    add_stacks(app, plan, Options(artifacts=folder))
    app.synth()
    templates = {template.stack: template for template in read_templates(folder)}
    return {
        mode: [charge for one in bill_template(templates[name], PRICES) for charge in one.charges]
        for mode, name in NAMES.items()
    }


def hours(option: Option) -> tuple[Decimal, Decimal]:
    """What the option's instances cost a month, and the rate."""
    (line,) = [line for line in option.components if line.unit == "hour"]
    assert line.cost is not None
    assert line.rate is not None
    return line.cost, line.rate


def instances(charges: list[Charge], option: Option) -> Charge:
    (found,) = [charge for charge in charges if option.candidate.host.label in charge.name and charge.unit == "hour"]
    return found


def test_instances_that_stand_cost_what_was_compared(chosen, billed):
    option = chosen["realtime"]
    charge = instances(billed["realtime"], option)

    cost, _ = hours(option)
    assert charge.cost is not None
    assert charge.cost.least == charge.cost.most == cost


@pytest.mark.parametrize("mode", ["autoscaled", "async"])
def test_what_scales_was_expected_between_its_bounds(chosen, billed, mode):
    option = chosen[mode]
    charge = instances(billed[mode], option)

    cost, rate = hours(option)
    assert charge.cost is not None
    assert charge.cost.least <= cost <= charge.cost.most
    assert charge.cost.least < charge.cost.most
    assert charge.rate == rate


def test_a_job_has_the_rate_that_was_compared(chosen, billed):
    option = chosen["batch"]
    charge = instances(billed["batch"], option)

    assert charge.by_use
    assert charge.rate == hours(option)[1]


def test_units_that_are_kept_warm_cost_what_was_compared(chosen, billed):
    (kept,) = [line for line in chosen["provisioned"].components if line.name.startswith("Provisioned concurrency")]
    (charge,) = [charge for charge in billed["provisioned"] if charge.name.startswith("provisioned concurrency")]

    assert charge.cost is not None
    assert charge.cost.least == kept.cost


@pytest.mark.parametrize("mode", ["serverless", "provisioned"])
def test_processing_has_the_rate_that_was_compared(chosen, billed, mode):
    rates = {line.rate for line in chosen[mode].components if line.name.startswith("Processing")}
    told = {charge.rate for charge in billed[mode] if charge.name.startswith("processing")}

    assert rates
    assert rates <= told


def test_nothing_of_ours_is_unknown_to_the_bill(billed):
    for mode, charges in billed.items():
        for charge in charges:
            assert "not known here" not in charge.basis, (mode, charge)


def test_the_plan_says_in_its_outputs_what_it_expects(chosen, tmp_path):
    plan = make_plan(chosen["realtime"], PRICES)
    app = new_app(str(tmp_path / "cdk.out"))
    add_stacks(app, plan, Options(artifacts=tmp_path))
    app.synth()

    (stack,) = [deployment.stack for deployment in plan.deployments]
    outputs = json.loads((tmp_path / "cdk.out" / f"{stack}.template.json").read_text())["Outputs"]
    expected = plan.deployments[0].expected.monthly_cost
    assert expected is not None
    told = outputs["ExpectedMonthlyCost"]["Value"].lstrip("$").replace(",", "")
    assert Decimal(told.split()[0]) == round(expected, 2)
