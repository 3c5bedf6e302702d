"""Models and configurations that SageMaker would refuse, or that can't run here, are refused in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import IMAGE, ROLE, LocalAws
from .serving import invoke, make_config, make_endpoint, make_model, remove_endpoint, settled, variant

PACKAGE = "arn:aws:sagemaker:us-east-1:865070037744:model-package/reranker-v2"


@pytest.fixture(scope="module")
def model(local_aws: LocalAws, model_data: str) -> str:
    return make_model(local_aws, "for-refusals", model_data)


@pytest.fixture(scope="module")
def uncompressed(local_aws: LocalAws, model_data: str, small_bert: Path) -> Mapping[str, Any]:
    """The small model as single objects below a prefix."""
    for path in small_bert.rglob("*"):
        if path.is_file():
            local_aws.client("s3").upload_file(str(path), "models", f"plain/{path.relative_to(small_bert)}")
    return {"S3DataSource": {"S3Uri": "s3://models/plain/", "S3DataType": "S3Prefix", "CompressionType": "None"}}


def make_plain_model(local_aws: LocalAws, name: str, source: Mapping[str, Any], **changed: str) -> str:
    data = {"S3DataSource": {**source["S3DataSource"], **changed}}
    container = {"Image": IMAGE, "ModelDataSource": data, "Environment": {"RERANK_THREADS": "1"}}
    local_aws.client("sagemaker").create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    return name


def test_uncompressed_model_data_serve_on_instances_and_nowhere_else(
    local_aws: LocalAws, uncompressed: Mapping[str, Any]
) -> None:
    make_plain_model(local_aws, "plain", uncompressed)
    make_config(local_aws, "plain", variant("plain"))
    make_endpoint(local_aws, "plain", "plain")
    assert invoke(local_aws, "plain")["InvokedProductionVariant"] == "AllTraffic"
    remove_endpoint(local_aws, "plain")

    with pytest.raises(ClientError, match=r"plain is uncompressed; serverless takes a tar\.gz alone"):
        make_config(local_aws, "refused", serverless("plain"))
    with pytest.raises(ClientError, match=r"plain is uncompressed; batch transform takes a tar\.gz alone"):
        local_aws.client("sagemaker").create_transform_job(
            TransformJobName="refused",
            ModelName="plain",
            TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://models/in"}}},
            TransformOutput={"S3OutputPath": "s3://models/out"},
            TransformResources={"InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
        )


def test_a_folder_as_s3s_console_makes_them_fails_the_endpoint(
    local_aws: LocalAws, uncompressed: Mapping[str, Any]
) -> None:
    local_aws.client("s3").put_object(Bucket="models", Key="marked/", Body=b"")
    make_plain_model(local_aws, "marked", uncompressed, S3Uri="s3://models/marked/")
    make_config(local_aws, "marked", variant("marked"))
    local_aws.client("sagemaker").create_endpoint(EndpointName="marked", EndpointConfigName="marked")
    endpoint = settled(local_aws, "marked")
    assert endpoint["EndpointStatus"] == "Failed"
    assert "s3://models/marked/ is a folder" in endpoint["FailureReason"]
    remove_endpoint(local_aws, "marked")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"S3Uri": "s3://models/plain"}, "a prefix ends with a slash"),
        ({"S3Uri": "s3://models/empty/"}, "Could not find model data at s3://models/empty/"),
        ({"S3DataType": "S3Object", "S3Uri": "s3://models/no.bin"}, "Could not find model data at s3://models/no.bin"),
        ({"S3Uri": "ftp://models/plain/"}, "expected s3://BUCKET/KEY"),
    ],
)
def test_a_source_that_is_none_is_refused(
    local_aws: LocalAws, uncompressed: Mapping[str, Any], changed: dict[str, str], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        make_plain_model(local_aws, "refused", uncompressed, **changed)


def test_a_marketplace_package_is_refused_with_a_way_out(local_aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="no container engine to run; try the same model from an artifact"):
        local_aws.client("sagemaker").create_model(
            ModelName="packaged", PrimaryContainer={"ModelPackageName": PACKAGE}, EnableNetworkIsolation=True
        )


def serverless(model: str, **settings: Any) -> dict[str, Any]:
    return {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 2, **settings},
    }


ASYNC = {"OutputConfig": {"S3OutputPath": "s3://models/out"}}
BARE = {"VariantName": "AllTraffic", "InstanceType": "ml.c7i.xlarge", "InitialInstanceCount": 1}
M = "for-refusals"


@pytest.mark.parametrize(
    ("variants", "more", "said"),
    [
        ([serverless(M, ProvisionedConcurrency=3)], {}, "provisionedConcurrency is 3; it must be from 1 to 2"),
        ([serverless(M), {**serverless(M), "VariantName": "Other"}], {}, "a serverless endpoint has one variant"),
        ([serverless(M)], {"KmsKeyId": "any"}, "KmsKeyId can't be set for a serverless variant"),
        ([serverless(M)], {"AsyncInferenceConfig": ASYNC}, "can't be set for a serverless variant"),
        ([variant(M)], {"AsyncInferenceConfig": {"OutputConfig": {}}}, "s3OutputPath must be given"),
        ([BARE], {"ExecutionRoleArn": ROLE, "AsyncInferenceConfig": ASYNC}, "can't name a component"),
        ([variant(M)], {"ShadowProductionVariants": [variant(M, "B"), variant(M, "C")]}, "one shadow"),
        ([variant(M)], {"ShadowProductionVariants": [variant(M)]}, "variant names must differ"),
        (
            [variant(M)],
            {
                "DataCaptureConfig": {
                    "InitialSamplingPercentage": 1,
                    "DestinationS3Uri": "s3://models/captured",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "DataCaptureConfig is not supported by the local AWS",
        ),
        ([variant(M, InstanceType="ml.g5.xlarge")], {"KmsKeyId": "any"}, "KmsKeyId can't be set for ml.g5.xlarge"),
    ],
)
def test_a_configuration_that_sagemaker_would_refuse_is_refused(
    local_aws: LocalAws, model: str, variants: list[dict[str, Any]], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        make_config(local_aws, "refused", *variants, **more)


def test_all_faults_come_at_once(local_aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="5 validation errors detected") as raised:
        make_config(
            local_aws,
            "refused",
            serverless("no-such", MemorySizeInMB=1500),
            variant("no-such", "Other", InstanceType="ml.nonsense.large"),
        )
    for said in ("no-such", "memorySizeInMB is 1500", "ml.nonsense.large", "a serverless endpoint has one variant"):
        assert said in str(raised.value)


def test_an_endpoint_stays_of_its_kind(local_aws: LocalAws, model: str) -> None:
    make_config(local_aws, "kind", variant(model))
    make_endpoint(local_aws, "kind", "kind")
    make_config(local_aws, "kind-async", variant(model), AsyncInferenceConfig=ASYNC)
    make_config(local_aws, "kind-bare", BARE, ExecutionRoleArn=ROLE)
    for config, said in (("kind-async", "become asynchronous"), ("kind-bare", "begin to host inference components")):
        with pytest.raises(ClientError, match=said):
            local_aws.client("sagemaker").update_endpoint(EndpointName="kind", EndpointConfigName=config)
    with pytest.raises(ClientError, match="is not asynchronous; use InvokeEndpoint"):
        local_aws.client("sagemaker-runtime").invoke_endpoint_async(EndpointName="kind", InputLocation="s3://models/a")
    with pytest.raises(ClientError, match="hosts no inference components"):
        invoke(local_aws, "kind", InferenceComponentName="any")
    with pytest.raises(ClientError, match="Inference Components are not supported in this Endpoint"):
        local_aws.client("sagemaker").create_inference_component(
            InferenceComponentName="refused",
            EndpointName="kind",
            Specification={"ModelName": model, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128}},
        )
    remove_endpoint(local_aws, "kind")


def test_a_serverless_variant_takes_no_network_of_ones_own(local_aws: LocalAws, model_data: str) -> None:
    local_aws.client("sagemaker").create_model(
        ModelName="isolated",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": model_data},
        EnableNetworkIsolation=True,
    )
    with pytest.raises(ClientError, match="isolated has EnableNetworkIsolation, which serverless does not take"):
        make_config(local_aws, "refused", serverless("isolated"))
