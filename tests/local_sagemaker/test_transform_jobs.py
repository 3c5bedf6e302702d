"""Batch transform: a job runs the container over the objects of a prefix."""

from __future__ import annotations

import gzip
import json
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from rerank_toolkit.local_sagemaker.processes import ENDPOINT_MARK, find_marked
from rerank_toolkit.local_sagemaker.sagemaker.payloads import RecordTooLarge, assemble, cut
from rerank_toolkit.local_sagemaker.sagemaker.transform import batch_environment

from .conftest import LocalAws
from .serving import eventually, make_model

LINES = [
    json.dumps({"query": f"question {number}", "documents": ["this one", "another one"][: 1 + number % 2]})
    for number in range(7)
]


@pytest.fixture(scope="module")
def model(local_aws: LocalAws, model_data: str) -> str:
    local_aws.client("s3").create_bucket(Bucket="jobs")
    return make_model(local_aws, "transformer", model_data)


def job(model: str, name: str, source: str, **more: Any) -> dict[str, Any]:
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": "application/jsonlines",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": "s3://jobs/out", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
        **more,
    }


def run(local_aws: LocalAws, request: dict[str, Any]) -> dict[str, Any]:
    sagemaker = local_aws.client("sagemaker")
    sagemaker.create_transform_job(**request)

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = sagemaker.describe_transform_job(TransformJobName=request["TransformJobName"])
        return described if described["TransformJobStatus"] not in ("InProgress", "Stopping") else None

    return eventually(ended)


def put(local_aws: LocalAws, key: str, content: str | bytes) -> None:
    local_aws.client("s3").put_object(Bucket="jobs", Key=key, Body=content)


def answers(local_aws: LocalAws, key: str) -> list[Any]:
    content = local_aws.client("s3").get_object(Bucket="jobs", Key=key)["Body"].read()
    return [json.loads(line) for line in content.splitlines()]


def keys(local_aws: LocalAws, prefix: str) -> list[str]:
    listed = local_aws.client("s3").list_objects_v2(Bucket="jobs", Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", ())]


def test_each_line_has_its_answer_beside_the_objects_name(local_aws: LocalAws, model: str) -> None:
    put(local_aws, "in/monday/a.jsonl", "\n".join(LINES) + "\n")
    put(local_aws, "in/b.jsonl", LINES[0])
    described = run(local_aws, job(model, "whole", "s3://jobs/in/"))
    assert described["TransformJobStatus"] == "Completed", described
    assert described["TransformStartTime"] < described["TransformEndTime"]
    assert described["TransformResources"]["InstanceType"] == "ml.c5.xlarge"
    assert keys(local_aws, "out/") == ["out/b.jsonl.out", "out/monday/a.jsonl.out"]
    found = answers(local_aws, "out/monday/a.jsonl.out")
    assert [len(answer["results"]) for answer in found] == [1, 2, 1, 2, 1, 2, 1], "in the order of the lines"
    assert found[0] == answers(local_aws, "out/b.jsonl.out")[0]
    assert find_marked(str(local_aws.state), ENDPOINT_MARK) == [], "nothing runs any more"


def test_a_record_at_a_time_from_a_compressed_object_of_a_manifest(local_aws: LocalAws, model: str) -> None:
    put(local_aws, "packed/a.jsonl.gz", gzip.compress("\n".join(LINES).encode()))
    put(local_aws, "manifest", json.dumps([{"prefix": "s3://jobs/packed/"}, "a.jsonl.gz"]))
    request = job(model, "packed", "s3://jobs/manifest", BatchStrategy="SingleRecord", MaxConcurrentTransforms=3)
    request["TransformInput"] |= {"CompressionType": "Gzip", "ContentType": "application/json"}
    request["TransformInput"]["DataSource"]["S3DataSource"]["S3DataType"] = "ManifestFile"
    request["TransformOutput"]["S3OutputPath"] = "s3://jobs/unpacked/"
    described = run(local_aws, request)
    assert described["TransformJobStatus"] == "Completed", described
    found = answers(local_aws, "unpacked/a.jsonl.gz.out")
    assert [len(answer["results"]) for answer in found] == [1, 2, 1, 2, 1, 2, 1]


def test_one_bad_object_fails_the_job_and_the_others_results_stay(local_aws: LocalAws, model: str) -> None:
    put(local_aws, "mixed/bad.jsonl", '{"query": "no documents"}\n')
    put(local_aws, "mixed/good.jsonl", LINES[0])
    request = job(model, "mixed", "s3://jobs/mixed/")
    request["TransformOutput"]["S3OutputPath"] = "s3://jobs/mixed-out"
    described = run(local_aws, request)
    assert described["TransformJobStatus"] == "Failed"
    assert "s3://jobs/mixed/bad.jsonl: the container answered 422" in described["FailureReason"]
    assert keys(local_aws, "mixed-out/") == ["mixed-out/good.jsonl.out"]
    (listed,) = local_aws.client("sagemaker").list_transform_jobs(NameContains="MIXED")["TransformJobSummaries"]
    assert listed["FailureReason"] == described["FailureReason"]


def test_a_job_is_stopped_in_the_middle_of_a_request(local_aws: LocalAws, model: str) -> None:
    put(local_aws, "endless/a.jsonl", LINES[0])
    sagemaker = local_aws.client("sagemaker")
    sagemaker.create_transform_job(**job(model, "endless", "s3://jobs/endless/"))

    def containers() -> list[psutil.Process]:
        return find_marked(str(local_aws.state), ENDPOINT_MARK)

    for container in eventually(containers):
        container.suspend()
    sagemaker.stop_transform_job(TransformJobName="endless")

    def status() -> str:
        return str(sagemaker.describe_transform_job(TransformJobName="endless")["TransformJobStatus"])

    eventually(lambda: status() == "Stopped")
    eventually(lambda: not containers())
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_transform_job(TransformJobName="endless")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ModelName": "no-such"}, "Could not find model"),
        ({"MaxPayloadInMB": 101}, "maxPayloadInMB is 101; at most 100"),
        ({"MaxPayloadInMB": 30, "MaxConcurrentTransforms": 4}, "is 120; at most 100"),
        ({"MaxConcurrentTransforms": 17}, "is 102; at most 100"),
        ({"TransformResources": {"InstanceType": "ml.c6g.xlarge", "InstanceCount": 1}}, "no instance type that transf"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "nothing is joined"),
    ],
)
def test_a_job_that_cannot_be_is_refused(local_aws: LocalAws, model: str, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=said):
        local_aws.client("sagemaker").create_transform_job(**{**job(model, "refused", "s3://jobs/in/"), **change})


def test_a_prefix_of_nothing_fails_the_job(local_aws: LocalAws, model: str) -> None:
    described = run(local_aws, job(model, "nothing", "s3://jobs/nothing-here/"))
    assert described["FailureReason"] == "ClientError: there is no object at the input's S3Uri"


@pytest.mark.parametrize(
    ("several", "most_mb", "payloads"),
    [
        (True, 6, [b"a\n\xc3\xa9\r\nb"]),
        (False, 6, [b"a\n", b"\xc3\xa9\r\n", b"b"]),
        (True, 0, [b"a\n\xc3\xa9\r\nb"]),
    ],
)
def test_lines_are_cut_at_newlines_alone_and_empty_ones_are_no_records(
    several: bool, most_mb: int, payloads: list[bytes]
) -> None:
    content = b"a\n\n\xc3\xa9\r\n  \nb"
    assert list(cut(content, by_line=True, several=several, most_mb=most_mb)) == payloads


def test_payloads_are_filled_up_to_their_limit() -> None:
    line = b"x" * 399_999 + b"\n"
    sizes = [len(payload) for payload in cut(line * 5, by_line=True, several=True, most_mb=1)]
    assert sizes == [800_000, 800_000, 400_000]
    with pytest.raises(RecordTooLarge, match=r"1,000,001 bytes; MaxPayloadInMB is 1"):
        list(cut(b"x" * 1_000_001, by_line=False, several=False, most_mb=1))


def test_lines_are_assembled_with_one_newline_each() -> None:
    assert assemble([b"a", b"b\n"], by_line=True) == b"a\nb\n"
    assert assemble([b"a", b"b"], by_line=False) == b"ab"


def test_a_container_is_told_what_the_job_says() -> None:
    request = {"MaxPayloadInMB": 0, "BatchStrategy": "MultiRecord", "Environment": {"RERANK_THREADS": "2"}}
    assert batch_environment(request) == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "RERANK_THREADS": "2",
    }
