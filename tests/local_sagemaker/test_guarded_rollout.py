"""What infra renders, under way: a version that starts and then fails its requests is taken back by its own alarms."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.app import add_stacks, new_app
from infra.checks import check_plan
from infra.options import Options
from rerank_toolkit import __version__
from rerank_toolkit.contracts.plan import Deployment, Expectation, Image, Plan, S3Artifact

from .conftest import LocalAws

FOUNDATION, STACK = "RerankFoundation", "GuardedRollout"
BODY = json.dumps({"query": "which", "documents": ["this", "that"]})

HASTY = {"RERANK_TIME_LIMIT_S": "0.001"}
"""So little time that every request is late, if it didn't come too slowly before, to a server that is well."""

Templates = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def templates(model_data: str, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Makes those of the foundation and of the endpoint, whose container gets the variables given."""

    def make(**environment: str) -> dict[str, Any]:
        deployment = Deployment(
            stack=STACK,
            model="jina-reranker-v1-tiny-en",
            artifact=S3Artifact(uri=model_data),
            image=Image(repository="rerank-toolkit", tag=f"cpu-{__version__}"),
            engine="torch",
            dtype="fp32",
            mode="realtime",
            instance="ml.c7i.xlarge",
            environment={"RERANK_THREADS": "1", **environment},
            expected=Expectation(p95_ms=5000.0, basis="assumed"),
        )
        plan = Plan(id="any", region="us-east-1", price_date=None, workload="none", deployments=[deployment])
        assert check_plan(plan) == []
        app = new_app(str(tmp_path_factory.mktemp("cdk.out")))
        add_stacks(app, plan, Options())
        return {stack.stack_name: stack.template for stack in app.synth().stacks}

    return make


@pytest.fixture(scope="module")
def deployed(local_aws: LocalAws, templates: Templates) -> Iterator[str]:
    made = templates()
    for name in (FOUNDATION, STACK):
        assert local_aws.deploy(name, made[name])["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons(name)
    yield STACK
    for name in (STACK, FOUNDATION):
        local_aws.delete(name)


@pytest.fixture
def ask(local_aws: LocalAws, deployed: str) -> Callable[[], int]:
    """Sends one request; gives the container's status."""
    runtime = local_aws.client("sagemaker-runtime")

    def send() -> int:
        try:
            runtime.invoke_endpoint(EndpointName=deployed, ContentType="application/json", Body=BODY)
        except ClientError as error:
            return int(error.response["OriginalStatusCode"])
        return 200

    return send


@contextmanager
def _asking(ask: Callable[[], int]) -> Iterator[list[int]]:
    """While the block runs, somebody goes on asking; the list is of what they got."""
    over = Event()
    statuses: list[int] = []

    def go_on() -> None:
        while not over.wait(0.05):
            statuses.append(ask())

    thread = Thread(target=go_on)
    thread.start()
    try:
        yield statuses
    finally:
        over.set()
        thread.join()


def test_a_version_that_fails_its_requests_is_taken_back(
    local_aws: LocalAws, templates: Templates, deployed: str, ask: Callable[[], int]
) -> None:
    sagemaker = local_aws.client("sagemaker")
    before = sagemaker.describe_endpoint(EndpointName=deployed)["EndpointConfigName"]
    with _asking(ask) as statuses:
        update = local_aws.deploy(deployed, templates(**HASTY)[deployed], update=True)

    assert update["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert f"{deployed}.server-errors.rollout" in local_aws.reasons(deployed)
    assert {200, 503} <= set(statuses) <= {200, 408, 503}
    endpoint = sagemaker.describe_endpoint(EndpointName=deployed)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", before)
    assert ask() == 200


def test_an_endpoint_that_is_ill_is_given_what_heals_it(
    local_aws: LocalAws, templates: Templates, deployed: str, ask: Callable[[], int]
) -> None:
    unseen = local_aws.deploy(deployed, templates(**HASTY)[deployed], update=True)
    assert unseen["StackStatus"] == "UPDATE_COMPLETE", "nobody asked, so no alarm could ring"
    with _asking(ask) as statuses:
        update = local_aws.deploy(deployed, templates()[deployed], update=True)

    assert update["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons(deployed)
    assert 503 in statuses
    assert ask() == 200
