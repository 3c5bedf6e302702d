"""The stacks that all endpoints share, as infra renders them: deployed, changed and destroyed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from infra.app import add_stacks, new_app
from infra.options import Options
from rerank_toolkit import __version__
from rerank_toolkit.contracts.plan import (
    Deployment,
    Expectation,
    Image,
    NewNetwork,
    Operations,
    Plan,
    S3Artifact,
)

from .conftest import LocalAws

SHARED = ("RerankFoundation", "RerankNetwork", "RerankData", "RerankImages")
ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Mapping[str, Any]]]:
    """By stack, of one plan and of the next, which has another zone, address, budget and retention."""

    def render(mail: str, zones: int, budget: int, days: int) -> dict[str, Mapping[str, Any]]:
        job = Deployment(
            stack="SharedJob",
            model="jina-reranker-v1-tiny-en",
            artifact=S3Artifact(uri="s3://models/tiny.tar.gz"),
            image=Image(repository="rerank-toolkit", tag=f"cpu-{__version__}"),
            engine="torch",
            dtype="fp32",
            mode="batch",
            instance="ml.c5.xlarge",
            expected=Expectation(basis="assumed"),
        )
        kept = {"data_retention_days": days, "log_retention_days": days}
        told = Operations(notify=[mail], monthly_budget=Decimal(budget), **kept)
        plan = Plan(
            id="shared",
            region="us-east-1",
            price_date=None,
            workload="a test",
            network=NewNetwork(zones=zones),
            operations=told,
            deployments=[job],
        )
        app = new_app(str(tmp_path_factory.mktemp("assembly")))
        add_stacks(app, plan, Options(images=True))
        assembly = app.synth()
        return {name: assembly.get_stack_by_name(name).template for name in SHARED}

    return [render("one@example.com", 2, 100, 7), render("two@example.com", 3, 200, 14)]


def test_what_all_endpoints_share_is_deployed_changed_and_destroyed(
    local_aws: LocalAws, templates: list[dict[str, Mapping[str, Any]]]
) -> None:
    client = local_aws.client
    images = client("ecr").list_images(repositoryName="rerank-toolkit")["imageIds"]
    ids = []
    for update, of_plan in enumerate(templates):
        for name in SHARED:
            stack = local_aws.deploy(name, of_plan[name], update=bool(update))
            assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), local_aws.reasons(name)
        ids.append({name: local_aws.physical_ids(name) for name in SHARED})

    before, after = ids
    replaced = {
        logical_id
        for name in SHARED
        for logical_id, found in before[name].items()
        if after[name].get(logical_id) != found
    }
    assert {name.rstrip("0123456789ABCDEF") for name in replaced} <= {"BudgetMonthly", "Alertsoneexamplecom"}
    budgets = client("budgets").describe_budgets(AccountId=ACCOUNT)["Budgets"]
    assert [budget["BudgetLimit"]["Amount"] for budget in budgets] == ["200"]
    vpc = next(found for name, found in after["RerankNetwork"].items() if name == "Vpc")
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    assert len(client("ec2").describe_subnets(Filters=filters)["Subnets"]) == 3
    bucket = next(found for name, found in after["RerankData"].items() if name.startswith("Bucket8"))
    (rule,) = client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["Expiration"] == {"Days": 14}

    for name in reversed(SHARED):
        local_aws.delete(name)
    assert client("ecr").list_images(repositoryName="rerank-toolkit")["imageIds"] == images
    assert client("budgets").describe_budgets(AccountId=ACCOUNT).get("Budgets", []) == []
    assert not [topic for topic in client("sns").list_topics()["Topics"] if "Rerank" in json.dumps(topic)]
