"""Whatever is changed in a sound plan, it is refused in words or can be rendered."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from infra.app import add_stacks, new_app
from infra.checks import check_plan
from infra.options import Options
from rerank_toolkit.contracts.plan import (
    Expectation,
    Image,
    LocalArtifact,
    Mode,
    ModelPackageArtifact,
    Rollout,
    S3Artifact,
    Variant,
)

PACKAGE = ModelPackageArtifact(arn="arn:aws:sagemaker:us-east-1:123456789012:model-package/x")
VARIANT = Variant(
    name="other",
    model="jina-reranker-v1-base-en",
    artifact=S3Artifact(uri="s3://models/base.tar.gz"),
    engine="torch",
    dtype="fp32",
    instance="ml.m5d.large",
    expected=Expectation(basis="assumed"),
)
CHANGES = [
    (field, value)
    for field, values in {
        "mode": get_args(Mode),
        "model": ["bge-reranker-base", "none"],
        "artifact": [S3Artifact(uri="s3://models/x/"), LocalArtifact(path="artifacts/none"), PACKAGE],
        "image": [None, *(Image(repository="rerank-toolkit", tag=tag) for tag in ("cpu-1", "gpu-1", "ours"))],
        "engine": ["torch", "openvino"],
        "dtype": ["fp32", "bf16", "fp16", "int8"],
        "instance": [None, "ml.c7i.large", "ml.c7g.large", "ml.g5.xlarge", "ml.m5d.large", "ml.inf2.xlarge", "ml.x"],
        "memory_mb": [None, 100, 1500, 2048],
        "count": [0, 1, 3],
        "copies_per_instance": [1, 2, 100],
        "concurrency": [None, 0, 5],
        "provisioned_concurrency": [None, 0, 1],
        "weight": [0.0, 1.0],
        "variants": [
            [],
            [VARIANT],
            [VARIANT, VARIANT],
            [msgspec.structs.replace(VARIANT, shadow=True, count=0)],
            [msgspec.structs.replace(VARIANT, artifact=PACKAGE)],
        ],
        "scaling": [None],
        "rollout": [None, *(Rollout(kind=kind) for kind in ("all-at-once", "canary", "linear", "rolling"))],
        "largest_request_mb": [None, 0.1, 5.0, 200.0],
        "startup_timeout_s": [30, 3600],
        "environment": [{"RERANK_MAX_BODY_MB": "1"}, {"RERANK_TYPO": "1"}, {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "9999"}],
        "expected": [Expectation(basis="none"), Expectation(memory_mib=9000.0, start_s=400.0, basis="assumed")],
    }.items()
    for value in values
]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Renders a plan, or raises what is a bug: the plan was found sound."""

    def render(plan):
        app = new_app(str(tmp_path_factory.mktemp("any")))
        add_stacks(app, plan, Options())
        return app.synth()

    return render


@settings(max_examples=120)
@given(at=st.integers(0, 9), changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3))
def test_a_plan_is_refused_in_words_or_rendered(every_mode, rendered, at, changes):
    deployment = msgspec.structs.replace(every_mode.deployments[at], **dict(changes))
    plan = msgspec.structs.replace(every_mode, deployments=[deployment])
    faults = check_plan(plan)
    event("refused" if faults else "rendered")
    assert all(fault.field and fault.message for fault in faults)
    if not faults:
        assert deployment.stack in {stack.stack_name for stack in rendered(plan).stacks}
