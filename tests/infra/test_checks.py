"""A plan that can't be deployed is refused before anything is rendered, with every fault."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from infra.checks import check_plan
from infra.options import DEFAULT_PLAN
from infra.plan import read_plan
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.plan import Image, ModelPackageArtifact, S3Artifact

SERVERLESS = {"mode": "serverless", "instance": None, "memory_mb": 2048, "concurrency": 20}
KEY_ELSEWHERE = f"arn:aws:kms:eu-west-1:123456789012:key/{'0a' * 16}"
PACKAGE = ModelPackageArtifact(arn="arn:aws:sagemaker:us-east-1:123456789012:model-package/x")


def _fields(plan):
    return [fault.field for fault in check_plan(plan)]


def test_a_sound_plan_has_no_faults(plan, deployment, scaling):
    assert check_plan(plan(deployment(scaling=scaling()))) == []


def test_the_plan_that_ships_is_sound():
    assert len(read_plan(DEFAULT_PLAN).deployments) == 18


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("model", {"model": "jina-reranker-v9"}),
        ("stack", {"stack": "RerankFoundation"}),
        ("stack", {"stack": "CDKToolkit"}),
        ("stack", {"stack": "R" * 64}),
        ("stack", {"stack": "Rerank-"}),
        ("instance", {"instance": None}),
        ("instance", {"instance": "ml.c7i.tiny"}),
        ("instance", {"instance": "ml.inf2.xlarge"}),
        ("memory_mb", {"memory_mb": 2048}),
        ("concurrency", {"concurrency": 5}),
        ("provisioned_concurrency", {"provisioned_concurrency": 1}),
        ("copies_per_instance", {"copies_per_instance": 2}),
        ("weight", {"weight": 0.0}),
        ("count", {"count": 0}),
        ("startup_timeout_s", {"startup_timeout_s": 59}),
        ("startup_timeout_s", {"startup_timeout_s": 3601}),
        ("image", {"image": None}),
        (
            "image.repository",
            {"image": Image(repository="123456789012.dkr.ecr.eu-west-1.amazonaws.com/rerank", tag="1")},
        ),
        ("image.tag", {"image": Image(repository="rerank-toolkit", tag="with space")}),
        ("image.tag", {"image": Image(repository="rerank-toolkit", tag="gpu-0.1.0")}),
        ("image.tag", {"image": Image(repository="rerank-toolkit", tag="cpu-0.1.0"), "instance": "ml.c7g.xlarge"}),
        ("image", {"artifact": PACKAGE}),
        ("artifact.arn", {"artifact": ModelPackageArtifact(arn="jina-reranker"), "image": None}),
        ("artifact.arn", {"artifact": ModelPackageArtifact(arn=PACKAGE.arn.replace("us", "eu")), "image": None}),
        ("artifact.uri", {"artifact": S3Artifact(uri="s3://models/tiny.zip")}),
        ("artifact.uri", {"artifact": S3Artifact(uri="s3://models/*.tar.gz")}),
        ("artifact.uri", {"artifact": S3Artifact(uri="s3://models/*/")}),
        ("artifact.key_arn", {"artifact": S3Artifact(uri="s3://models/tiny.tar.gz", key_arn=KEY_ELSEWHERE)}),
        ("engine", {"engine": "openvino", "instance": "ml.g5.xlarge"}),
        ("dtype", {"dtype": "bf16", "instance": "ml.c5.xlarge"}),
        ("dtype", {"engine": "openvino", "dtype": "int8", "instance": "ml.c4.xlarge"}),
        ("dtype", {"dtype": "bf16", "instance": "ml.g4dn.xlarge"}),
        ("dtype", {"dtype": "fp16"}),
        ("dtype", {"dtype": "int8"}),
        ("environment.RERANK_TOKEN_BUDGET", {"environment": {"RERANK_TOKEN_BUDGET": "lots"}}),
        ("environment.A-B", {"environment": {"A-B": "1"}}),
        ("environment.A", {"environment": {"A": "é" * 513}}),
        ("environment", {"environment": {f"A{n}": "" for n in range(101)}}),
        ("environment", {"environment": {f"A{n}": "x" * 1024 for n in range(33)}}),
        ("environment", {"environment": {"RERANK_TIME_LIMIT_S": "61"}}),
        ("environment", {"environment": {"RERANK_MAX_BODY_MB": "2"}, "largest_request_mb": 3.0}),
        ("environment.TOKEN", {"environment": {"TOKEN": "hf_"}}),
        ("largest_request_mb", {"largest_request_mb": 0.0}),
        ("largest_request_mb", {"largest_request_mb": 25.5}),
    ],
)
def test_a_faulty_deployment_is_refused_by_field(plan, deployment, field, changes):
    assert _fields(plan(deployment(), deployment(**({"stack": "Other"} | changes)))) == [f"deployments[1].{field}"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("memory_mb", {"memory_mb": None}),
        ("memory_mb", {"memory_mb": 1500}),
        ("memory_mb", {"memory_mb": 7168}),
        ("concurrency", {"concurrency": None}),
        ("concurrency", {"concurrency": 201}),
        ("provisioned_concurrency", {"provisioned_concurrency": 21}),
        ("provisioned_concurrency", {"provisioned_concurrency": 0}),
        ("instance", {"instance": "ml.c7i.xlarge"}),
        ("count", {"count": 2}),
        ("dtype", {"dtype": "fp16"}),
        ("dtype", {"dtype": "int8"}),
        ("image.tag", {"image": Image(repository="rerank-toolkit", tag="gpu-0.1.0")}),
        ("artifact", {"artifact": PACKAGE, "image": None}),
        ("artifact.uri", {"artifact": S3Artifact(uri="s3://models/tiny/")}),
        ("largest_request_mb", {"largest_request_mb": 4.5}),
        ("environment", {"environment": {"RERANK_TIME_LIMIT_S": "61"}}),
    ],
)
def test_a_faulty_serverless_endpoint_is_refused_by_field(plan, deployment, field, changes):
    assert _fields(plan(deployment(**SERVERLESS))) == []
    assert _fields(plan(deployment(**SERVERLESS | changes))) == [f"deployments[0].{field}"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("count", {"count": 0}),
        ("memory_mb", {"memory_mb": None}),
        ("memory_mb", {"memory_mb": 100}),
        ("memory_mb", {"memory_mb": 8193}),
        ("concurrency", {"concurrency": 2}),
        ("weight", {"weight": 0.5}),
        ("copies_per_instance", {"copies_per_instance": 17, "memory_mb": 200}),
        ("copies_per_instance", {"instance": "ml.g5.12xlarge", "copies_per_instance": 3}),
        ("instance", {"instance": "ml.none.large"}),
        ("startup_timeout_s", {"startup_timeout_s": 59}),
        ("artifact", {"artifact": PACKAGE, "image": None}),
    ],
)
def test_a_faulty_inference_component_is_refused_by_field(plan, deployment, field, changes):
    component = {"mode": "inference-component", "memory_mb": 2048}
    assert _fields(plan(deployment(**component))) == []
    assert _fields(plan(deployment(**component | changes))) == [f"deployments[0].{field}"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("model", {"model": "jina-reranker-v9"}),
        ("instance", {"instance": "ml.none.large"}),
        ("image.tag", {"image": None, "instance": "ml.g5.xlarge"}),
        ("image.tag", {"image": Image(repository="rerank-toolkit", tag="with space")}),
        ("artifact.uri", {"artifact": S3Artifact(uri="s3://models/tiny.zip")}),
        ("dtype", {"dtype": "fp16"}),
        ("count", {"count": 0}),
        ("startup_timeout_s", {"startup_timeout_s": 59}),
        ("environment.RERANK_TOKEN_BUDGET", {"environment": {"RERANK_TOKEN_BUDGET": "lots"}}),
        ("name", {"name": "AllTraffic"}),
        ("weight", {"shadow": True, "weight": 1.5}),
        ("weight", {"shadow": True, "weight": 0.0}),
    ],
)
def test_a_faulty_variant_is_refused_by_field(plan, deployment, variant, field, changes):
    assert _fields(plan(deployment(variants=[variant(**changes)]))) == [f"deployments[0].variants[0].{field}"]


def test_variants_have_names_of_their_own(plan, deployment, variant):
    twins = deployment(variants=[variant(name="twin"), variant(name="twin"), variant(name="other")])
    assert _fields(plan(twins)) == ["deployments[0].variants[0].name", "deployments[0].variants[1].name"]


def test_an_endpoint_has_ten_variants_at_most(plan, deployment, variant):
    many = [variant(name=f"v{number}") for number in range(10)]
    assert _fields(plan(deployment(variants=many[:9]))) == []
    assert _fields(plan(deployment(variants=many))) == ["deployments[0].variants"]


@pytest.mark.parametrize("beside", [{"name": "b", "shadow": True, "weight": 0.5}, {"name": "b"}])
def test_a_shadow_is_alone_with_what_it_shadows(plan, deployment, variant, shadow, beside):
    assert _fields(plan(deployment(variants=[shadow]))) == []
    assert _fields(plan(deployment(variants=[shadow, variant(**beside)]))) == ["deployments[0].variants"]


def test_a_package_has_no_shadow(plan, deployment, variant):
    image = Image(repository="rerank-toolkit", tag="cpu-0.1.0")
    shadowed = deployment(artifact=PACKAGE, image=None, variants=[variant(shadow=True, image=image)])
    assert _fields(plan(shadowed)) == ["deployments[0].variants"]


def test_only_realtime_endpoints_have_variants(plan, deployment, variant):
    component = deployment(mode="inference-component", memory_mb=2048, variants=[variant()])
    assert _fields(plan(component)) == ["deployments[0].variants"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("instance", {"expected": {"memory_mib": 8193.0}}),
        ("startup_timeout_s", {"expected": {"start_s": 481.0}}),
        ("memory_mb", {**SERVERLESS, "expected": {"memory_mib": 2049.0}}),
        ("expected.start_s", {**SERVERLESS, "expected": {"start_s": 181.0}}),
        ("memory_mb", {"mode": "inference-component", "memory_mb": 2048, "expected": {"memory_mib": 2049.0}}),
        (
            "instance",
            {"mode": "inference-component", "copies_per_instance": 2, "expected": {"memory_mib": 4097.0}},
        ),
    ],
)
def test_what_is_expected_has_to_fit(plan, deployment, expected, field, changes):
    known = changes["expected"]
    exactly = {name: value - 1 for name, value in known.items()}
    assert _fields(plan(deployment(**changes | {"expected": expected(**exactly)}))) == []
    assert _fields(plan(deployment(**changes | {"expected": expected(**known)}))) == [f"deployments[0].{field}"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        (".min_instances", {"min_instances": 0}),
        (".min_instances", {"min_instances": 5}),
        ("", {"min_instances": 2}),
        (".metric", {"metric": "ApproximateBacklogSizePerInstance"}),
        (".target", {"target": 0.0}),
        (".scale_in_cooldown_s", {"scale_in_cooldown_s": -1}),
    ],
)
def test_a_faulty_scaling_rule_is_refused_by_field(plan, deployment, scaling, field, changes):
    assert _fields(plan(deployment(scaling=scaling(**changes)))) == [f"deployments[0].scaling{field}"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("id", {"id": "plan #1"}),
        ("id", {"id": "fr\u00fchling"}),
        ("region", {"region": "Frankfurt"}),
        ("deployments", {"deployments": []}),
    ],
)
def test_a_faulty_header_is_refused_by_field(plan, deployment, field, changes):
    assert _fields(plan(deployment(), **changes)) == [field]


@pytest.mark.parametrize("other", ["RerankTinyCpu", "reranktinycpu"])
def test_two_deployments_cannot_share_a_stack(plan, deployment, other):
    assert _fields(plan(deployment(), deployment(stack=other))) == ["deployments[0].stack", "deployments[1].stack"]


def test_an_instance_that_the_region_lacks_is_refused_with_the_regions_that_have_it(plan, deployment):
    (fault,) = check_plan(plan(deployment(instance="ml.m7i.large"), region="ap-northeast-2"))
    assert fault.field == "deployments[0].instance"
    assert "not offered in ap-northeast-2; offered in " in fault.message
    assert "us-east-1" in fault.message


def test_a_region_whose_offer_is_unknown_is_not_taken_for_one_without_any(plan, deployment):
    assert check_plan(plan(deployment(), region="eu-south-2")) == []


def test_bf16_is_taken_where_the_cpu_has_it(plan, deployment):
    assert check_plan(plan(deployment(dtype="bf16", instance="ml.c7i.xlarge"))) == []


def test_all_faults_of_a_file_are_reported_at_once(tmp_path: Path, plan, deployment):
    file = tmp_path / "plan.json"
    documents.write(file, plan(deployment(instance="ml.none.large", model="none", count=0), id=""))
    with pytest.raises(InvalidInput) as refused:
        read_plan(file)
    assert str(file) in str(refused.value)
    assert {fault.field for fault in refused.value.faults} == {
        "id",
        "deployments[0].model",
        "deployments[0].count",
        "deployments[0].instance",
    }


def test_a_newer_schema_is_refused_with_both_versions(tmp_path: Path, plan, deployment):
    file = tmp_path / "plan.json"
    documents.write(file, msgspec.structs.replace(plan(deployment()), schema_version=2))
    with pytest.raises(documents.NewerSchema, match="schema_version is 2, this toolkit reads up to 1"):
        read_plan(file)


def test_a_plan_needs_no_image_where_another_takes_its_place(plan, deployment):
    imageless = plan(deployment(image=None))

    assert _fields(imageless) == ["deployments[0].image"]
    assert check_plan(imageless, image_given=True) == []
