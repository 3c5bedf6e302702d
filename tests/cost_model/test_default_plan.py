"""The plan that ships is the plan that the command makes, and it stands on rules, not on names."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from cost_model.default_plan import cheapest, default_plan, meets_cpu_rule, meets_gpu_rule
from cost_model.prices.book import Unknown, load_prices
from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.models import find_model, load_models
from rerank_toolkit.contracts.documents import encode, read
from rerank_toolkit.contracts.errors import NothingMeetsConstraints
from rerank_toolkit.contracts.plan import LocalArtifact, Plan

SHIPPED = Path(__file__).parents[2] / "infra" / "default_plan.json"


def test_the_shipped_plan_is_the_generated_one():
    assert SHIPPED.read_bytes() == encode(default_plan()), (
        "run: python -m cost_model.default_plan --out infra/default_plan.json"
    )


def test_each_reranker_has_a_cpu_and_a_gpu_stack():
    plan = read(SHIPPED, Plan)

    stacks = [deployment.stack for deployment in plan.deployments]

    assert stacks == [f"{model.stack}{kind}" for model in load_models().values() for kind in ("Cpu", "Gpu")]
    assert len(set(stacks)) == 18


@pytest.mark.parametrize("rule", [meets_cpu_rule, meets_gpu_rule])
def test_no_type_that_meets_the_rule_is_cheaper(rule):
    prices = load_prices()
    chosen, rate = cheapest(prices, "us-east-1", rule)

    for name, instance in load_instances().items():
        other = prices.hosting("us-east-1", name)
        if rule(instance) and instance.endpoint and not isinstance(other, Unknown) and not other.suspect:
            assert (rate.usd, chosen.instance) <= (other.usd, name)


def test_costs_are_the_sum_of_their_lines_and_a_month_of_hours():
    for deployment in default_plan().deployments:
        lines = deployment.expected.cost_components
        assert deployment.expected.monthly_cost == sum((line.cost for line in lines), Decimal(0))
        assert [line.quantity for line in lines] == [730]


def test_a_cpu_runs_what_is_packaged_by_default_and_a_gpu_another_artifact():
    for deployment in default_plan().deployments:
        assert isinstance(deployment.artifact, LocalArtifact)
        if deployment.stack.endswith("Gpu"):
            assert (deployment.engine, deployment.dtype) == ("torch", "fp16")
            assert deployment.artifact.path == f"artifacts/{deployment.model}-torch-fp16"
        else:
            assert (deployment.engine, deployment.dtype) == ("openvino", "bf16")
            assert deployment.artifact.path == f"artifacts/{deployment.model}"


def test_a_rule_that_nothing_meets_is_an_error():
    with pytest.raises(NothingMeetsConstraints, match="no priced endpoint type"):
        cheapest(load_prices(), "us-east-1", lambda instance: False)


def test_memory_is_planned_for_documents_as_long_as_the_model_reads():
    for deployment in default_plan().deployments:
        expected = deployment.expected
        longest = find_model(deployment.model).max_tokens
        instance = load_instances()[deployment.instance or ""]
        assert expected.memory_mib is not None
        assert 0 < expected.memory_mib <= instance.memory_mib
        assert f"memory of {longest:,} tokens a document" in expected.basis


def test_a_start_is_known_where_one_was_measured_on_such_a_machine():
    for deployment in default_plan().deployments:
        start = deployment.expected.start_s
        if deployment.stack.endswith("Gpu"):
            assert start is None
        else:
            assert start is not None
            assert 0 < start < deployment.startup_timeout_s
