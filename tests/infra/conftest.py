"""Plans, and their templates. All in one process: the first synthesis takes seconds, the next ones do not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aws_cdk.cx_api import CloudAssembly

from infra.app import add_stacks, new_app
from infra.checks import check_plan
from infra.options import Options
from rerank_toolkit.contracts.plan import Deployment, Expectation, Image, Plan, S3Artifact, Scaling

DeploymentMaker = Callable[..., Deployment]
PlanMaker = Callable[..., Plan]
Synthesiser = Callable[..., CloudAssembly]


class Template(dict[str, Any]):
    """A template, and a way to its resources by type."""

    def resources(self, kind: str) -> list[dict[str, Any]]:
        return [resource for resource in self["Resources"].values() if resource["Type"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        """Properties of the only resource of this type."""
        (resource,) = self.resources(kind)
        properties: dict[str, Any] = resource["Properties"]
        return properties


Renderer = Callable[..., Template]


@pytest.fixture(scope="session")
def deployment() -> DeploymentMaker:
    """Makes a sound deployment, with the fields that a test changes."""

    def make(**changes: Any) -> Deployment:
        plain = Deployment(
            stack="RerankTinyCpu",
            model="jina-reranker-v1-tiny-en",
            artifact=S3Artifact(uri="s3://models/tiny/tiny.tar.gz"),
            image=Image(repository="rerank-toolkit", tag="cpu-0.1.0"),
            engine="torch",
            dtype="fp32",
            mode="realtime",
            instance="ml.c7i.xlarge",
            expected=Expectation(monthly_cost=Decimal("156.22"), basis="published"),
        )
        return msgspec.structs.replace(plain, **changes)

    return make


@pytest.fixture(scope="session")
def scaling() -> Callable[..., Scaling]:
    """Makes a sound scaling rule, with the fields that a test changes."""

    def make(**changes: Any) -> Scaling:
        plain = Scaling(
            min_instances=1,
            max_instances=4,
            metric="SageMakerVariantInvocationsPerInstance",
            target=300.0,
            scale_in_cooldown_s=300,
            scale_out_cooldown_s=60,
            formula="10 queries a second × 60 s × 0.5",
        )
        return msgspec.structs.replace(plain, **changes)

    return make


@pytest.fixture(scope="session")
def plan() -> PlanMaker:
    """Makes a plan of the deployments given."""

    def make(*deployments: Deployment, **changes: Any) -> Plan:
        plain = Plan(
            id="spring",
            region="us-east-1",
            price_date=date(2026, 9, 22),
            workload="10 queries a second of 20 documents",
            deployments=list(deployments),
        )
        return msgspec.structs.replace(plain, **changes)

    return make


@pytest.fixture
def synthesise(tmp_path: Path) -> Synthesiser:
    """Renders a sound plan."""

    def make(plan: Plan, options: Options | None = None) -> CloudAssembly:
        assert check_plan(plan) == []
        app = new_app(str(tmp_path / "cdk.out"))
        add_stacks(app, plan, options or Options())
        return app.synth()

    return make


@pytest.fixture
def render(plan: PlanMaker, synthesise: Synthesiser) -> Renderer:
    """The template of a deployment's stack."""

    def make(deployment: Deployment, options: Options | None = None) -> Template:
        template = synthesise(plan(deployment), options).get_stack_by_name(deployment.stack).template
        return Template(template)

    return make
