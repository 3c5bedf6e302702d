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
from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.contracts.plan import (
    Deployment,
    ExistingNetwork,
    Expectation,
    Image,
    ModelPackageArtifact,
    NewNetwork,
    Operations,
    Plan,
    S3Artifact,
    Scaling,
    Variant,
)

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


def _image(instance: str) -> Image:
    """Of this repository's, the one that runs there."""
    machine = load_instances().get(instance)
    arm = "-arm64" if machine and machine.architecture == "arm64" else ""
    kind = "gpu" if machine and machine.kind == "gpu" else "cpu"
    return Image(repository="rerank-toolkit", tag=f"{kind}{arm}-0.1.0")


@pytest.fixture(scope="session")
def deployment() -> DeploymentMaker:
    """Makes a sound deployment, with the fields that a test changes."""

    def make(**changes: Any) -> Deployment:
        plain = Deployment(
            stack="RerankTinyCpu",
            model="jina-reranker-v1-tiny-en",
            artifact=S3Artifact(uri="s3://models/tiny/tiny.tar.gz"),
            image=_image(changes.get("instance") or "ml.c7i.xlarge"),
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
def expected() -> Callable[..., Expectation]:
    """Makes an expectation, of which nothing is known but what a test says."""

    def make(**known: Any) -> Expectation:
        if known.get("monthly_cost") is not None:
            known["monthly_cost"] = Decimal(known["monthly_cost"])
        return Expectation(**{"basis": "assumed"} | known)

    return make


@pytest.fixture(scope="session")
def variant() -> Callable[..., Variant]:
    """Makes a sound variant that shares the requests, with the fields that a test changes."""

    def make(**changes: Any) -> Variant:
        plain = Variant(
            name="other",
            model="jina-reranker-v1-base-en",
            artifact=S3Artifact(uri="s3://models/base/base.tar.gz"),
            engine="torch",
            dtype="fp32",
            instance="ml.c7i.xlarge",
            expected=Expectation(monthly_cost=Decimal("156.22"), basis="published"),
        )
        return msgspec.structs.replace(plain, **changes)

    return make


@pytest.fixture(scope="session")
def shadow(variant: Callable[..., Variant]) -> Variant:
    """A sound variant that gets half of the requests as copies."""
    return variant(name="candidate", shadow=True, weight=0.5)


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


@pytest.fixture(scope="session")
def every_mode(plan: PlanMaker, deployment: DeploymentMaker, scaling: Callable[..., Scaling]) -> Plan:
    """A deployment of each mode, and of each kind that its resources differ by."""
    expected = Expectation(p95_ms=200.0, memory_mib=900.0, start_s=40.0, monthly_cost=Decimal("156.22"), basis="scaled")
    gpu = {"instance": "ml.g5.xlarge", "dtype": "fp16"}
    arm = Image(repository="rerank-toolkit", tag="cpu-arm64-0.1.0")
    package = ModelPackageArtifact(arn="arn:aws:sagemaker:us-east-1:123456789012:model-package/reranker-v2")
    turbo = Variant(
        name="turbo",
        model="jina-reranker-v1-turbo-en",
        artifact=S3Artifact(uri="s3://models/turbo/", key_arn=f"arn:aws:kms:us-east-1:123456789012:key/{'0a' * 16}"),
        engine="openvino",
        dtype="bf16",
        instance="ml.c7i.2xlarge",
        expected=expected,
    )
    kinds: dict[str, dict[str, Any]] = {
        "RerankRealtime": {"count": 2, "scaling": scaling(min_instances=2), "variants": [turbo]},
        "RerankGpu": gpu,
        "RerankArm": {"instance": "ml.c7g.xlarge", "image": arm},
        "RerankShadowed": {"variants": [msgspec.structs.replace(turbo, shadow=True)]},
        "RerankPackage": {"artifact": package, "image": None},
        "RerankServerless": {
            **{"mode": "serverless", "instance": None, "memory_mb": 2048},
            **{"concurrency": 10, "provisioned_concurrency": 1},
        },
        "RerankAsync": {
            **{"mode": "async", "count": 1, "concurrency": 4},
            "scaling": scaling(min_instances=0, metric="ApproximateBacklogSizePerInstance", target=5.0),
        },
        "RerankBatch": {"mode": "batch", "concurrency": 4, "largest_request_mb": 6.0},
        "RerankComponent": {
            "mode": "inference-component",
            "scaling": scaling(min_instances=0, metric="SageMakerInferenceComponentInvocationsPerCopy"),
        },
        "RerankComponentGpu": {"mode": "inference-component", **gpu},
    }
    return plan(
        *(deployment(**({"stack": name, "expected": expected} | changes)) for name, changes in kinds.items()),
        operations=Operations(notify=["search@example.com"], monthly_budget=Decimal(1000)),
    )


@pytest.fixture(scope="session")
def every_mode_in_a_network(every_mode: Plan) -> Plan:
    """The same in a VPC, but for serverless, which knows none."""
    inside = [deployment for deployment in every_mode.deployments if deployment.mode != "serverless"]
    return msgspec.structs.replace(every_mode, deployments=inside, network=NewNetwork())


@pytest.fixture(scope="session")
def in_subnets_that_exist(plan: PlanMaker, deployment: DeploymentMaker) -> Plan:
    """One deployment in a network that was there before."""
    network = ExistingNetwork(
        subnets=["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"], security_groups=["sg-0123456789abcdef0"]
    )
    return plan(deployment(stack="RerankInside"), network=network)
