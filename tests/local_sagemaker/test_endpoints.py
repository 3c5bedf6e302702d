"""Stacks with an endpoint: a real container answers, and a failed deploy never takes it away."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from rerank_toolkit.contracts.wire import decode_origin
from rerank_toolkit.local_sagemaker.alarms.watcher import Alarms
from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.sagemaker.container import Container, ContainerFailed
from rerank_toolkit.local_sagemaker.sagemaker.deployments import Deployments
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Fleet, Member, Running, Traffic
from rerank_toolkit.local_sagemaker.sagemaker.host import Host
from rerank_toolkit.local_sagemaker.sagemaker.rollout import AT_ONCE
from rerank_toolkit.local_sagemaker.sagemaker.transitions import Transitions

from .conftest import IMAGE, LocalAws, endpoint_template, rerank

BODY = json.dumps({"query": "which one", "documents": ["this one", "another one", "or that"]}).encode()


def invoke(local_aws: LocalAws, endpoint: str, body: bytes = BODY, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = local_aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Body=body, **options
    )
    return answer


@pytest.fixture(scope="module")
def endpoint(local_aws: LocalAws, model_data: str) -> Iterator[str]:
    stack = local_aws.deploy("served", endpoint_template(model_data, name="served"))
    assert stack["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons("served")
    assert stack["Outputs"] == [{"OutputKey": "EndpointName", "OutputValue": "served"}]
    yield "served"
    local_aws.delete("served")


def test_an_endpoint_answers_with_the_containers_own_scores(local_aws: LocalAws, endpoint: str) -> None:
    answer = invoke(local_aws, endpoint)
    ranked = json.loads(answer["Body"].read())["results"]

    assert sorted(result["index"] for result in ranked) == [0, 1, 2]
    assert ranked == sorted(ranked, key=lambda result: -result["relevance_score"])
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    origin = decode_origin(answer["CustomAttributes"])
    assert origin is not None
    assert origin.seeded
    assert origin.threads == 1


def test_what_the_container_refuses_is_a_model_error(local_aws: LocalAws, endpoint: str) -> None:
    with pytest.raises(ClientError) as raised:
        invoke(local_aws, endpoint, b'{"query": "no documents"}')

    answer = raised.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["OriginalStatusCode"] == 422
    assert "documents" in answer["OriginalMessage"]
    assert answer["LogStreamArn"].endswith(f"/aws/sagemaker/Endpoints/{endpoint}")


def test_a_body_over_25_mb_is_refused_before_the_container_sees_it(local_aws: LocalAws, endpoint: str) -> None:
    with pytest.raises(ClientError, match=f"{26 * 1024 * 1024} bytes") as raised:
        invoke(local_aws, endpoint, b"x" * (26 * 1024 * 1024))
    assert raised.value.response["Error"]["Code"] == "ValidationError"
    assert invoke(local_aws, endpoint)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_an_unknown_endpoint_or_variant_is_a_validation_error(local_aws: LocalAws, endpoint: str) -> None:
    with pytest.raises(ClientError, match="Endpoint nowhere of account 123456789012 not found") as raised:
        invoke(local_aws, "nowhere")
    assert raised.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="Variant Other not found"):
        invoke(local_aws, endpoint, TargetVariant="Other")


def test_cloudwatch_counts_the_invocations(local_aws: LocalAws, endpoint: str) -> None:
    invoke(local_aws, endpoint)
    deadline = time.monotonic() + 20
    found: list[dict[str, Any]] = []
    while not found and time.monotonic() < deadline:
        time.sleep(0.2)
        found = local_aws.client("cloudwatch").list_metrics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        )["Metrics"]
    assert found[0]["Dimensions"] == [
        {"Name": "EndpointName", "Value": endpoint},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]


def test_the_life_of_an_endpoint_updated_failed_to_update_updated_again_killed_and_deleted(
    local_aws: LocalAws, model_data: str
) -> None:
    local_aws.deploy("moving", endpoint_template(model_data, name="moving"))
    first = local_aws.physical_ids("moving")

    updated = endpoint_template(model_data, name="moving", RERANK_TOKEN_BUDGET="512")
    updated["Resources"]["Endpoint"]["Properties"]["Tags"] = [{"Key": "team", "Value": "search"}]
    assert local_aws.deploy("moving", updated, update=True)["StackStatus"] == "UPDATE_COMPLETE"
    second = local_aws.physical_ids("moving")
    assert second["Endpoint"] == first["Endpoint"] == "arn:aws:sagemaker:us-east-1:123456789012:endpoint/moving"
    assert second["Model"] != first["Model"]
    assert second["Config"] != first["Config"]
    sagemaker = local_aws.client("sagemaker")
    arn = sagemaker.describe_endpoint(EndpointName="moving")["EndpointArn"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "search"}]
    (model,) = sagemaker.list_models(NameContains="moving")["Models"]
    assert model["ModelArn"] == second["Model"], "the old one is gone"
    origin = decode_origin(invoke(local_aws, "moving")["CustomAttributes"])
    assert origin is not None
    assert origin.token_budget == 512

    broken = endpoint_template(model_data, name="moving", RERANK_TOKEN_BUDGET="none at all")
    assert local_aws.deploy("moving", broken, update=True)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert ("Endpoint", "UPDATE_FAILED") in local_aws.events("moving")
    assert "RERANK_TOKEN_BUDGET" in local_aws.reasons("moving"), "the reason shows the end of the container's log"
    assert local_aws.physical_ids("moving") == second
    origin = decode_origin(invoke(local_aws, "moving")["CustomAttributes"])
    assert origin is not None
    assert origin.token_budget == 512

    again = endpoint_template(model_data, name="moving", RERANK_TOKEN_BUDGET="256")
    assert local_aws.deploy("moving", again, update=True)["StackStatus"] == "UPDATE_COMPLETE"

    psutil.Process(container_of(local_aws, "moving")).kill()
    deadline = time.monotonic() + 20
    while (endpoint := sagemaker.describe_endpoint(EndpointName="moving"))["EndpointStatus"] != "Failed":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "exited with code -9" in endpoint["FailureReason"]
    assert f"{local_aws.state}/logs/moving-AllTraffic" in endpoint["FailureReason"]
    with pytest.raises(ClientError, match="Failed, not InService"):
        invoke(local_aws, "moving")
    with pytest.raises(ClientError, match="can only be deleted"):
        sagemaker.update_endpoint(EndpointName="moving", EndpointConfigName=endpoint["EndpointConfigName"])

    local_aws.delete("moving")
    assert local_aws.client("sagemaker").list_endpoints(NameContains="moving")["Endpoints"] == []
    assert local_aws.client("sagemaker").list_models(NameContains="moving")["Models"] == []


def test_an_image_that_is_not_here_fails_the_create_and_names_those_that_are(
    local_aws: LocalAws, model_data: str
) -> None:
    foreign = "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:2.6"
    stack = local_aws.deploy("foreign", endpoint_template(model_data, name="foreign", image=foreign))

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert foreign in local_aws.reasons("foreign")
    assert IMAGE.rpartition("/")[2] in local_aws.reasons("foreign")
    assert local_aws.physical_ids("foreign") == {}
    assert local_aws.client("sagemaker").list_endpoints(NameContains="foreign")["Endpoints"] == []
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        local_aws.deploy("foreign", endpoint_template(model_data, name="foreign"), update=True)

    local_aws.delete("foreign")
    without_endpoint = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    assert local_aws.deploy("foreign", without_endpoint)["StackStatus"] == "CREATE_COMPLETE"
    local_aws.delete("foreign")


def test_an_archive_that_leads_outside_is_refused(local_aws: LocalAws, model_data: str, tmp_path: Path) -> None:
    victim, outside = tmp_path / "victim", "../../../victim"
    for name, member in {
        "traversal": tarfile.TarInfo(outside),
        "absolute": tarfile.TarInfo(str(victim)),
        "link": _link("inside", str(victim)),
    }.items():
        archive = tmp_path / f"{name}.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            member.size = 0 if member.issym() else 4
            tar.addfile(member, io.BytesIO(b"evil"))
        local_aws.client("s3").upload_file(str(archive), "models", archive.name)
        stack = local_aws.deploy(name, endpoint_template(f"s3://models/{archive.name}", name=name))
        assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
        assert "archive" in local_aws.reasons(name)
        local_aws.delete(name)
    assert not victim.exists()
    assert not (local_aws.state / "endpoints" / "any" / outside).resolve().exists()


@pytest.mark.parametrize("search_path", ["", ":", "."])
def test_no_code_is_found_in_what_was_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search_path: str
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "sitecustomize.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.setenv("PYTHONPATH", search_path)
    environment = {"PYTHONPATH": search_path} if search_path == "." else {}
    container = Container(model, environment, log=tmp_path / "log", mark="tests", region="us-east-1")
    with pytest.raises(ContainerFailed, match="exited"):
        container.wait_until_healthy(60, Event())
    assert not (tmp_path / "ran").exists()


def test_an_update_that_meets_its_endpoints_deletion_leaves_no_container(
    local_aws: LocalAws, small_bert: Path, tmp_path: Path
) -> None:
    clients = Clients(local_aws.document["endpoint_url"], "us-east-1")
    host = Host(clients, folder=tmp_path, mark="t", region="us-east-1")
    alarms = Alarms(clients, region="us-east-1", account="123456789012")
    deployments = Deployments(host, Transitions(host, alarms, longest_wait_s=0.0))
    container = Container(small_bert, {}, log=tmp_path / "log", mark="tests", region="us-east-1")
    old = Fleet("old", (Member("only", {}, 1, running=Running(container, tmp_path / "unpacked")),))
    endpoint = Endpoint("met", "arn", "old", status="Updating", traffic=Traffic(old))
    gone = Event()
    try:
        endpoint.cancelled.set()  # the deletion begins, and the update comes to its end before the rest of it
        deployments.deploy(endpoint, Fleet("new", ()), AT_ONCE)
        while any(thread.name == "deploy met" for thread in enumerate_threads()):
            time.sleep(0.01)
        deployments.remove(endpoint, gone.set)
        assert gone.wait(60)
        assert container.exit_code is not None
    finally:
        container.stop(1.0)


def test_model_data_that_is_not_there_is_told_at_once(local_aws: LocalAws) -> None:
    stack = local_aws.deploy("absent", endpoint_template("s3://models/no-such.tar.gz", name="absent"))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Could not find model data at s3://models/no-such.tar.gz" in local_aws.reasons("absent")
    local_aws.delete("absent")


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ({"InstanceType": "ml.nonsense.large", "InitialInstanceCount": 1}, "ml.nonsense.large"),
        ({"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}, "memorySizeInMB is 1500"),
        ({"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}, "InstanceType": "ml.m5.large"}, "either"),
    ],
)
def test_a_variant_that_sagemaker_would_refuse_is_refused(local_aws: LocalAws, variant: Any, said: str) -> None:
    with pytest.raises(ClientError, match=said):
        local_aws.client("sagemaker").create_endpoint_config(
            EndpointConfigName="refused", ProductionVariants=[{"VariantName": "one", "ModelName": "no-such", **variant}]
        )


def test_instance_types_that_moto_does_not_know_are_accepted(local_aws: LocalAws, model_data: str) -> None:
    sagemaker = local_aws.client("sagemaker")
    container = {"Image": IMAGE, "ModelDataUrl": model_data}
    sagemaker.create_model(ModelName="for-types", PrimaryContainer=container)
    for instance in ("ml.g6.xlarge", "ml.c7g.large", "ml.inf2.xlarge"):
        name = instance.replace(".", "-")
        variant = {"VariantName": "v", "ModelName": "for-types", "InstanceType": instance, "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        described = sagemaker.describe_endpoint_config(EndpointConfigName=name)
        assert described["ProductionVariants"][0]["InstanceType"] == instance
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName="for-types")


def container_of(local_aws: LocalAws, endpoint: str) -> int:
    """Pid of the process that answers for the endpoint."""
    status = json.loads(rerank("local", "status", "--json", state=local_aws.state).stdout)
    (container,) = next(entry["containers"] for entry in status["endpoints"] if entry["name"] == endpoint)
    return int(container["pid"])


def _link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member
