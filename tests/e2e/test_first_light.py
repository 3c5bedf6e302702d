"""The whole thread with the stock tools: package, local AWS, cdk deploy, boto3, measure, destroy, nothing left.

Everything runs from a directory that is not the repository, with the lines that `rerank local up` prints.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from rerank_toolkit.client import RerankClient
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.profile import Profile

from .conftest import Shell

STACKS = ("RerankMiniLmL12Cpu", "RerankTinyCpu")
BERLIN = {
    "query": "How many people live in Berlin?",
    "documents": [
        "New York City is famous for the Metropolitan Museum of Art.",
        "Berlin has a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
    ],
}


@pytest.fixture(scope="module")
def cdk(shell: Shell, local: dict[str, object]) -> str:
    artifacts = shell.directory / "artifacts"
    shell(f"rerank package minilm-l12 --out {artifacts / 'ms-marco-MiniLM-L-12-v2'}")
    shell(f"rerank package tiny --source seeded:0 --out {artifacts / 'jina-reranker-v1-tiny-en'}")
    return f"cdk --app {shlex.quote(str(local['cdk_app']))} -c artifacts={artifacts}"


@pytest.fixture(scope="module")
def deployed(shell: Shell, cdk: str) -> Iterator[Shell]:
    shell(f"{cdk} deploy {' '.join(STACKS)} --require-approval never --outputs-file outputs.json")
    yield shell
    shell(f"{cdk} destroy --force {' '.join(STACKS)} RerankFoundation")
    status = json.loads(shell("rerank local status --json"))
    assert (status["stacks"], status["endpoints"]) == ([], [])


@pytest.fixture
def runtime(deployed: Shell, monkeypatch: pytest.MonkeyPatch) -> object:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE"):
        monkeypatch.setenv(name, deployed.environment[name])
    return boto3.session.Session().client("sagemaker-runtime")


def test_stock_boto3_gets_a_real_ranking_from_what_stock_cdk_deployed(deployed: Shell, runtime: object) -> None:
    outputs = json.loads((deployed.directory / "outputs.json").read_text())
    endpoint = outputs["RerankMiniLmL12Cpu"]["EndpointName"]

    answer = runtime.invoke_endpoint(  # type: ignore[attr-defined]
        EndpointName=endpoint, ContentType="application/json", Body=json.dumps(BERLIN)
    )
    body = json.loads(answer["Body"].read())

    assert [result["index"] for result in body["results"]] == [1, 0]
    assert body["results"][0]["relevance_score"] > 0.999
    assert body["results"][1]["relevance_score"] < 0.05
    assert "engine=openvino" in answer["CustomAttributes"]


def test_a_seeded_model_says_so_in_its_answer(runtime: object) -> None:
    answer = runtime.invoke_endpoint(EndpointName="RerankTinyCpu", Body=json.dumps(BERLIN))  # type: ignore[attr-defined]

    assert "seeded" in json.loads(answer["Body"].read())["model"]


def test_a_bad_body_comes_back_as_a_model_error_with_every_fault(runtime: object) -> None:
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName=STACKS[0], Body=b'{"documents": [1], "top_n": 0}')  # type: ignore[attr-defined]

    response = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 422
    faults = {error["field"] for error in json.loads(response["OriginalMessage"])["errors"]}
    assert faults == {"query", "documents[0]", "top_n"}


def test_our_client_reads_the_same_answer_with_its_origin(runtime: object) -> None:
    with RerankClient(STACKS[0]) as client:
        result = client.rerank(BERLIN["query"], BERLIN["documents"], top_n=1)  # type: ignore[arg-type]

    assert [ranked.index for ranked in result.results] == [1]
    assert result.origin is not None
    assert result.origin.tokens == result.usage.total_tokens


def test_the_endpoint_is_measured_and_the_comparison_is_printed(deployed: Shell) -> None:
    deployed("rerank bench record --endpoint RerankMiniLmL12Cpu --budget-seconds 5 --out profile.json")
    profile = documents.read(deployed.directory / "profile.json", Profile)
    assert profile.model_id == "ms-marco-MiniLM-L-12-v2"
    assert not profile.seeded
    assert profile.documents_per_second > 0

    compared = json.loads(deployed("rerank cost compare --model minilm-l12 --json"))
    assert compared["options"]


def test_a_model_that_is_not_packaged_fails_its_deploy_with_the_command_that_mends_it(
    deployed: Shell, cdk: str
) -> None:
    done = deployed.run(f"{cdk} deploy RerankTurboCpu --require-approval never")

    assert done.returncode != 0
    assert "rerank package" in done.stdout + done.stderr


def test_the_servers_are_on_loopback_alone(deployed: Shell, local: dict[str, object]) -> None:
    server = psutil.Process(int(str(local["pid"])))
    processes = [server, *server.children(recursive=True)]
    listening = {
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


def test_the_user_s_own_aws_files_are_not_touched(deployed: Shell) -> None:
    assert not (deployed.directory / ".aws").exists()  # HOME is that directory
