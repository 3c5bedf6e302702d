"""What a request asks a stack to become; a template that it names by its URL is read from the local S3."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.cloudformation.intrinsics import TemplateError
from rerank_toolkit.local_sagemaker.cloudformation.stacks import Desired, Stack
from rerank_toolkit.local_sagemaker.cloudformation.template import Template
from rerank_toolkit.local_sagemaker.protocol import ApiError, Parameters


def read_desired(clients: Clients, request: Parameters, stack: Stack | None) -> Desired:
    """What the request asks the stack to become; raises ApiError."""
    template = read_template(clients, request, stack)
    capabilities = request.get("Capabilities", ())
    needs_iam = any(resource.type.startswith("AWS::IAM::") for resource in template.resources.values())
    if needs_iam and not {"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"} & set(capabilities):
        raise ApiError("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]")
    parameters: dict[str, str] = {}
    for item in request.get("Parameters", ()):
        name = item["ParameterKey"]
        if not item.get("UsePreviousValue"):
            parameters[name] = item.get("ParameterValue", "")
        elif stack is not None and name in stack.desired.parameters:
            parameters[name] = stack.desired.parameters[name]
    tags = tuple((tag["Key"], tag["Value"]) for tag in request.get("Tags", ()))
    if "Tags" not in request and stack is not None:
        tags = stack.desired.tags
    return Desired(
        template,
        parameters,
        tags,
        disable_rollback=_disables_rollback(request),
        token=request.get("ClientRequestToken"),
    )


def read_template(clients: Clients, request: Parameters, stack: Stack | None) -> Template:
    """The template given, or else the one that the stack has; raises ApiError."""
    try:
        if "TemplateBody" in request:
            return Template.parse(request["TemplateBody"])
        if "TemplateURL" in request:
            return Template.parse(_fetch_template(clients, request["TemplateURL"]))
    except TemplateError as error:
        raise ApiError("ValidationError", str(error)) from None
    if stack is not None:
        return stack.desired.template
    raise ApiError("ValidationError", "Either Template URL or Template Body must be specified.")


def _disables_rollback(request: Parameters) -> bool:
    for option in ("OnFailure", "OnStackFailure"):
        wanted = request.get(option, "ROLLBACK")
        if wanted not in ("ROLLBACK", "DO_NOTHING"):
            raise ApiError("ValidationError", f"the local AWS has no {option}={wanted}; it has ROLLBACK, DO_NOTHING")
        if wanted == "DO_NOTHING":
            return True
    return bool(request.get("DisableRollback", False))


def _fetch_template(clients: Clients, url: str) -> str:
    bucket, key = _split_s3_url(url)
    try:
        body: bytes = clients("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise ApiError("ValidationError", f"S3 error: {error}; the template's URL is {url}") from None
    return body.decode("utf-8")


def _split_s3_url(url: str) -> tuple[str, str]:
    """Bucket and key, whichever way the URL names them: s3://, path style, or the bucket in the host's name."""
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    host = parts.hostname or ""
    if parts.scheme == "s3":
        return host, path
    virtual = re.fullmatch(r"(?P<bucket>.+)\.s3[.-][a-z0-9.-]*amazonaws\.com(\.cn)?", host)
    if virtual:
        return virtual["bucket"], path
    bucket, _, key = path.partition("/")
    if not bucket or not key:
        raise ApiError("ValidationError", f"S3 error: {url} names no bucket and key")
    return bucket, key
