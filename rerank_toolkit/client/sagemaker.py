"""The way to a SageMaker endpoint: boto3's sagemaker-runtime, with its errors told in the caller's terms."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, NoReturn

import boto3
from botocore import exceptions
from botocore.config import Config

from rerank_toolkit.client.errors import (
    ClientError,
    EndpointNotFound,
    InvalidRequest,
    NotAuthorized,
    Overloaded,
    ServerFailed,
    TimedOut,
    Unreachable,
    error_from_answer,
)
from rerank_toolkit.client.transports import Answer

CONNECT_TIMEOUT_S = 5.0

# As in SageMaker's API reference, CreateEndpoint, where botocore doesn't check it.
_ENDPOINT_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")

_NOT_AUTHORIZED = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
}
_OVERLOADED = {"ModelNotReadyException", "ServiceUnavailable", "ThrottlingException", "TooManyRequestsException"}


class SageMakerTransport:
    """Invokes a real-time or serverless endpoint by name."""

    def __init__(
        self,
        endpoint_name: str,
        *,
        timeout_s: float,
        region: str | None = None,
        profile: str | None = None,
        client: Any = None,
    ) -> None:
        """Without `client`, one is made from the usual AWS configuration, with `region` and `profile` if given.

        botocore's own retries are off: they would repeat requests that timed out, see `retries`.
        """
        if not _ENDPOINT_NAME.fullmatch(endpoint_name):
            raise InvalidRequest(
                f"{endpoint_name!r} is no name of an endpoint; expected letters, digits and inner hyphens, at most 63, "
                "or an address such as http://127.0.0.1:8080"
            )
        self.endpoint = endpoint_name
        self._owned = client is None
        self._client = client or _make_client(region, profile, timeout_s)
        self._region = str(self._client.meta.region_name)

    def send(self, body: bytes) -> Answer:
        try:
            response = self._client.invoke_endpoint(
                EndpointName=self.endpoint, Body=body, ContentType="application/json", Accept="application/json"
            )
            return Answer(response["Body"].read(), response.get("CustomAttributes", ""))
        except exceptions.ClientError as error:
            raise self._explain(error) from error
        except exceptions.BotoCoreError as error:
            _raise_unanswered(error, f"endpoint {self.endpoint} in {self._region}")

    def close(self) -> None:
        if self._owned:
            self._client.close()

    def _explain(self, error: exceptions.ClientError) -> ClientError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = str(error.response.get("Error", {}).get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code == "ModelError":
            return self._look_inside(error.response, message)
        if code == "ValidationError" and "not found" in message.lower():
            return EndpointNotFound(
                f"no endpoint is called {self.endpoint} in {self._region}: {message} Check the name, the region and "
                "the profile; `aws sagemaker list-endpoints` lists what there is",
                status=status,
            )
        if code in _NOT_AUTHORIZED or status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return NotAuthorized(
                f"AWS refuses these credentials for {self.endpoint} in {self._region} ({code}): {message} "
                "They need sagemaker:InvokeEndpoint on this endpoint and must not have expired",
                status=status,
            )
        text = f"SageMaker answered {code} for {self.endpoint} in {self._region}: {message}"
        if code in _OVERLOADED:
            return Overloaded(text, status=status)
        if isinstance(status, int) and 400 <= status < 500:
            return InvalidRequest(text, status=status)
        return ServerFailed(text, status=status)

    def _look_inside(self, response: dict[str, Any], message: str) -> ClientError:
        """The container's own answer. SageMaker wraps every 4xx and 5xx in a 424: a refusal under load too.

        The container's headers don't come along, so that of a refusal the wait it asked for is unknown.
        """
        status = response.get("OriginalStatusCode")
        if not isinstance(status, int):
            return ServerFailed(f"SageMaker answered ModelError for {self.endpoint}: {message}", status=424)
        body = str(response.get("OriginalMessage", "")).encode()
        return error_from_answer(
            status,
            body,
            endpoint=f"endpoint {self.endpoint}",
            not_found_hint="its container serves no /invocations: is a reranker deployed there?",
        )


def _make_client(region: str | None, profile: str | None, timeout_s: float) -> Any:
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=64,
    )
    try:
        return boto3.Session(region_name=region, profile_name=profile).client("sagemaker-runtime", config=config)
    except exceptions.NoRegionError as error:
        raise NotAuthorized(
            "no AWS region is set; name one for this call, in AWS_REGION or in the AWS profile"
        ) from error
    except exceptions.BotoCoreError as error:
        raise NotAuthorized(f"the AWS configuration can't be used: {error}") from error


def _raise_unanswered(error: exceptions.BotoCoreError, endpoint: str) -> NoReturn:
    match error:
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            raise NotAuthorized(
                f"no AWS credentials for {endpoint}: {error}; set AWS_PROFILE, run `aws sso login`, or, for the "
                "local AWS, take over the environment that `rerank local up` prints"
            ) from error
        case exceptions.ConnectTimeoutError() | exceptions.EndpointConnectionError():
            raise Unreachable(
                f"can't connect to AWS for {endpoint}: {error}; check the network and the region, or, for the "
                "local AWS, `rerank local status`"
            ) from error
        case exceptions.ReadTimeoutError():
            raise TimedOut(
                f"{endpoint} gave no answer in time; send fewer documents a request, cut them with "
                "max_document_tokens, or raise the client's timeout_s"
            ) from error
        case exceptions.HTTPClientError():
            raise Unreachable(f"the connection to {endpoint} broke: {error}") from error
        case exceptions.TokenRetrievalError() | exceptions.CredentialRetrievalError() | exceptions.SSOError():
            raise NotAuthorized(f"AWS credentials for {endpoint} can't be fetched: {error}") from error
        case _:
            raise ServerFailed(f"asking {endpoint} failed: {error}") from error
