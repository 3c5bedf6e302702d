from __future__ import annotations

import pytest

from rerank_toolkit.client import (
    EndpointNotFound,
    InvalidRequest,
    NotAuthorized,
    Overloaded,
    RerankClient,
    Retries,
    ServerFailed,
    TimedOut,
    Unreachable,
)
from rerank_toolkit.contracts.faults import Fault

ONCE = Retries(attempts=1)


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """An environment without any AWS configuration; a test sets what it needs."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def ask(runtime):
    with RerankClient("RerankTinyCpu", boto3_client=runtime, retries=ONCE) as client:
        return client.rerank("which?", ["first", "second"])


def test_an_endpoint_is_invoked_by_name(loopback, runtime):
    loopback.will_rank()

    result = ask(runtime)

    assert [item.index for item in result.results] == [1, 0]
    assert loopback.paths == ["/endpoints/RerankTinyCpu/invocations"]
    assert loopback.bodies[0]["documents"] == ["first", "second"]


def test_the_containers_faults_are_found_inside_a_424(loopback, runtime):
    loopback.will_model_error(
        422, '{"detail": "1 fault", "errors": [{"field": "top_n", "message": "is 9", "type": "too_large"}]}'
    )

    with pytest.raises(InvalidRequest, match="1 fault") as caught:
        ask(runtime)

    assert caught.value.status == 422
    assert caught.value.faults == (Fault("top_n", "is 9", "too_large"),)


@pytest.mark.parametrize("status", [429, 503])
def test_the_containers_refusal_is_seen_as_one(loopback, runtime, status):
    loopback.will_model_error(status, '{"detail": "4,000,000 tokens are waiting"}')

    with pytest.raises(Overloaded, match="4,000,000 tokens") as caught:
        ask(runtime)

    assert caught.value.status == status
    assert caught.value.retry_after is None


def test_the_containers_refusal_is_retried(loopback, runtime):
    loopback.will_model_error(503, '{"detail": "full"}').will_rank()

    with RerankClient("RerankTinyCpu", boto3_client=runtime, retries=Retries(first_wait_s=0.001)) as client:
        assert client.rerank("which?", ["first", "second"]).model == "tiny"

    assert len(loopback.paths) == 2


def test_a_container_without_the_path_is_no_reranker(loopback, runtime):
    loopback.will_model_error(404, "Not Found")

    with pytest.raises(EndpointNotFound, match="is a reranker deployed there") as caught:
        ask(runtime)

    assert "127.0.0.1:8080" not in str(caught.value)


def test_a_container_that_breaks(loopback, runtime):
    loopback.will_model_error(500, "Traceback")

    with pytest.raises(ServerFailed, match="Traceback"):
        ask(runtime)


@pytest.mark.parametrize(
    ("status", "error", "meaning"),
    [
        (400, ("ValidationError", "Endpoint RerankTinyCpu of account 1 not found."), (EndpointNotFound, "eu-west-1")),
        (400, ("ValidationError", "Request body too large"), (InvalidRequest, "too large")),
        (400, ("AccessDeniedException", "not authorized"), (NotAuthorized, "sagemaker:InvokeEndpoint")),
        (403, ("ExpiredTokenException", "expired"), (NotAuthorized, "expired")),
        (403, ("RequestTimeTooSkewed", "clock"), (NotAuthorized, "clock")),
        (401, ("SomethingNew", "who are you?"), (NotAuthorized, "who are you")),
        (400, ("ThrottlingException", "Rate exceeded"), (Overloaded, "Rate exceeded")),
        (429, ("ModelNotReadyException", "loading"), (Overloaded, "loading")),
        (503, ("ServiceUnavailable", "busy"), (Overloaded, "busy")),
        (500, ("InternalFailure", "oops"), (ServerFailed, "oops")),
    ],
)
def test_each_of_aws_own_errors_has_its_meaning(loopback, runtime, status, error, meaning):
    code, message = error
    kind, says = meaning
    loopback.will_answer(status, {"Message": message}, x_amzn_errortype=code)

    with pytest.raises(kind, match=says):
        ask(runtime)


def test_no_region(aws):
    with pytest.raises(NotAuthorized, match="AWS_REGION"):
        RerankClient("RerankTinyCpu")


def test_no_such_profile(aws):
    with pytest.raises(NotAuthorized, match="nobody"):
        RerankClient("RerankTinyCpu", profile="nobody")


def test_no_credentials(aws):
    with (
        RerankClient("RerankTinyCpu", region="eu-west-1", retries=ONCE) as client,
        pytest.raises(NotAuthorized, match="AWS_PROFILE"),
    ):
        client.rerank("which?", ["first"])


def test_nothing_answers_for_aws(aws, unused_url):
    aws.setenv("AWS_ACCESS_KEY_ID", "test")
    aws.setenv("AWS_SECRET_ACCESS_KEY", "test")
    aws.setenv("AWS_ENDPOINT_URL", unused_url)
    with (
        RerankClient("RerankTinyCpu", region="eu-west-1", retries=ONCE) as client,
        pytest.raises(Unreachable, match="rerank local status"),
    ):
        client.rerank("which?", ["first"])


def test_no_answer_in_time(aws, silent_url):
    aws.setenv("AWS_ACCESS_KEY_ID", "test")
    aws.setenv("AWS_SECRET_ACCESS_KEY", "test")
    aws.setenv("AWS_ENDPOINT_URL", silent_url)
    with (
        RerankClient("RerankTinyCpu", region="eu-west-1", timeout_s=0.1) as client,
        pytest.raises(TimedOut, match="timeout_s"),
    ):
        client.rerank("which?", ["first"])


@pytest.mark.parametrize("name", ["", "localhost:8080", "-tiny", "x" * 64])
def test_a_name_that_no_endpoint_can_have(name):
    with pytest.raises(InvalidRequest, match="http://127"):
        RerankClient(name)
