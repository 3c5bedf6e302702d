"""The templates of stacks that stand, by CloudFormation's API."""

from __future__ import annotations

from typing import Any

from cost_model.templates.template import Template, convert_template, decode_template
from rerank_toolkit.contracts.errors import ToolkitError


class CannotAsk(ToolkitError):
    """CloudFormation could not be asked, or did not answer."""


def cloudformation_client(region: str | None = None) -> Any:
    """A boto3 client by the credentials, the region and the endpoint that boto3 finds; raises CannotAsk."""
    try:
        import boto3  # noqa: PLC0415  # only here needed, and slow to import
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CannotAsk(f"--deployed needs {error.name}: pip install 'rerank-toolkit[client]'") from error
    try:
        return boto3.Session().client("cloudformation", region_name=region)
    except BotoCoreError as error:
        raise CannotAsk(f"CloudFormation can't be asked: {error}") from None


def read_deployed(client: Any, stack: str) -> Template | None:
    """The stack's template with the values of its parameters; None where no such stack stands. Raises CannotAsk."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        described = client.describe_stacks(StackName=stack)["Stacks"][0]
        # As CloudFormation runs it: transforms done, intrinsics still there.
        given = client.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            return None
        raise CannotAsk(f"CloudFormation, of {stack}: {error}") from None
    except BotoCoreError as error:
        raise CannotAsk(f"CloudFormation, of {stack}: {error}") from None
    name = f"the deployed {stack}"
    body = decode_template(given, name=name) if isinstance(given, str) else convert_template(dict(given), name=name)
    values = {
        one["ParameterKey"]: one.get("ResolvedValue", one.get("ParameterValue", ""))
        for one in described.get("Parameters", [])
    }
    return Template(stack=stack, region=client.meta.region_name, source=name, body=body, values=values)
