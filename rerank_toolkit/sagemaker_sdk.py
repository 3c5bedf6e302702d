"""A plan's endpoint for SageMaker's own SDK, version 3: for those who deploy from a notebook.

    from rerank_toolkit.sagemaker_sdk import deploy, destroy, read_deployment

    deployment = read_deployment("plan.json", "RerankTinyCpu")
    endpoint = deploy(deployment, role="arn:aws:iam::…:role/…", upload_to="s3://bucket/models/")
    answer = endpoint.invoke(body=json.dumps({"query": …, "documents": […]}), content_type="application/json")
    destroy(endpoint)

Containers, settings and instances are those that the CDK app gives the same deployment. What surrounds them there does
not come with an SDK: the role that may do no more than it needs, a key, alarms, rollouts, scaling. What is to stay is
deployed with `cdk deploy`.

Needs the extra `sagemaker`. Of the SDK it takes sagemaker-core alone, where endpoints are. Models and configurations
are made through boto3: the SDK's own (2.27) leave out what is false or zero, and a weight of 0 would become one of 1.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boto3.session import Session
from botocore.exceptions import ClientError
from sagemaker.core.resources import Endpoint

from infra.archive import Archive
from infra.hosting import ROUTING_STRATEGY, SCRAPED, ami_for
from infra.served import Served, all_served, image_of, is_shadow, variant_name
from infra.settings import container_environment
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError, UnknownName
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment, Image, LocalArtifact, ModelPackageArtifact, Plan

_LONGEST_NAME = 63
_MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack")

Request = dict[str, Any]
"""In the words of SageMaker's API."""


class DeployFailed(ToolkitError):
    """The endpoint did not come into service; one that stood before answers as it did."""


def read_deployment(plan: str | Path, stack: str) -> Deployment:
    """The deployment that the plan calls `stack`; raises InvalidInput for the plan, UnknownName for the stack."""
    deployments = documents.read(Path(plan), Plan).deployments
    for deployment in deployments:
        if deployment.stack == stack:
            return deployment
    known = ", ".join(deployment.stack for deployment in deployments)
    raise UnknownName(f"{plan} deploys no {stack}; it has {known}")


def deploy(
    deployment: Deployment,
    *,
    role: str,
    session: Session | None = None,
    upload_to: str | None = None,
    answers_to: str | None = None,
    poll_s: float = 5.0,
) -> Endpoint:
    """Makes the endpoint, or brings the one of this name to what the deployment says; waits until it is in service.

    role: ARN of the role that SageMaker runs the models in. Images are taken from the ECR of its account, in the
    session's region.
    upload_to: s3://BUCKET/FOLDER/ for artifacts that are on this machine.
    answers_to: s3://BUCKET/FOLDER/ for what an asynchronous endpoint answers.

    Raises InvalidInput with every reason why it can't be deployed like this, UnusableArchive for an artifact that is
    not packaged, botocore's ClientError with what SageMaker refuses, DeployFailed for what then doesn't start.
    """
    if faults := list(_faults(deployment, upload_to, answers_to)):
        raise InvalidInput(f"deployment {deployment.stack}", faults)
    session = session or Session()
    sagemaker = session.client("sagemaker")
    config = _new_name(deployment.stack, "config")
    models: dict[str, str] = {}
    try:
        for served in all_served(deployment):
            model = _new_name(deployment.stack, variant_name(served))
            container = _container(deployment, served, role, session, upload_to)
            isolated = {} if deployment.mode == "serverless" else {"EnableNetworkIsolation": True}
            sagemaker.create_model(ModelName=model, ExecutionRoleArn=role, PrimaryContainer=container, **isolated)
            models[variant_name(served)] = model
        sagemaker.create_endpoint_config(EndpointConfigName=config, **_config(deployment, models, answers_to))
        endpoint, former = _bring(deployment.stack, config, session, poll_s)
    except BaseException:
        _delete_config(config, sorted(models.values()), session)
        raise
    if former is not None:
        _delete_config(former, _models_of(former, session), session)
    return endpoint


def destroy(endpoint: Endpoint, *, session: Session | None = None, poll_s: float = 5.0) -> None:
    """Deletes the endpoint, and its configuration and models: nothing of it is billed any more."""
    session, config = session or Session(), endpoint.endpoint_config_name
    models = _models_of(config, session)
    _delete_endpoint(endpoint, poll_s)
    _delete_config(config, models, session)


def _faults(deployment: Deployment, upload_to: str | None, answers_to: str | None) -> Iterator[Fault]:
    if deployment.mode not in ("realtime", "serverless", "async"):
        yield Fault("mode", f"is {deployment.mode}; expected realtime, serverless or async. Deploy it with the CDK")
    for served in all_served(deployment):
        if isinstance(served.artifact, LocalArtifact) and upload_to is None:
            yield Fault("upload_to", f"is missing; expected s3://BUCKET/FOLDER/ to put {served.artifact.path} in")
        if not isinstance(served.artifact, ModelPackageArtifact) and image_of(served, deployment) is None:
            yield Fault("image", f"is missing for {variant_name(served)}; expected the repository and a tag or digest")
    if deployment.mode == "async" and answers_to is None:
        yield Fault("answers_to", "is missing; an asynchronous endpoint answers into a folder, s3://BUCKET/FOLDER/")


def _container(deployment: Deployment, served: Served, role: str, session: Session, upload_to: str | None) -> Request:
    environment = {"Environment": container_environment(deployment, served)}
    match served.artifact:
        case ModelPackageArtifact(arn=arn):
            return {"ModelPackageName": arn, **environment}
        case LocalArtifact(path=path):
            url = _upload(served, Path(path), session, str(upload_to))
        case other:
            url = other.uri
    image = {"Image": _uri(image_of(served, deployment), role, session), **environment}
    if not url.endswith("/"):
        return {**image, "ModelDataUrl": url}
    prefix = {"S3Uri": url, "S3DataType": "S3Prefix", "CompressionType": "None"}
    return {**image, "ModelDataSource": {"S3DataSource": prefix}}


def _upload(served: Served, folder: Path, session: Session, upload_to: str) -> str:
    """S3 URI of the archive that `rerank package` wrote, under a name that says what is in it."""
    archive = Archive.open(folder, served.model, served.engine, served.dtype)
    url = f"{upload_to.rstrip('/')}/{folder.name}-{archive.digest[:16]}.tar.gz"
    bucket, _, key = url.removeprefix("s3://").partition("/")
    session.client("s3").upload_file(str(archive.path), bucket, key)
    return url


def _uri(image: Image | None, role: str, session: Session) -> str:
    if image is None:
        raise TypeError("There is no image, which a checked deployment has. This is a bug.")
    named = f"{image.repository}@{image.digest}" if image.digest else f"{image.repository}:{image.tag}"
    return f"{role.split(':')[4]}.dkr.ecr.{session.region_name}.amazonaws.com/{named}"


def _config(deployment: Deployment, models: dict[str, str], answers_to: str | None) -> Request:
    variants: dict[bool, list[Request]] = {False: [], True: []}
    for served in all_served(deployment):
        variants[is_shadow(served)].append(_variant(deployment, served, models[variant_name(served)]))
    config: Request = {"ProductionVariants": variants[False]}
    if variants[True]:
        config["ShadowProductionVariants"] = variants[True]
    if deployment.mode != "serverless":
        config["MetricsConfig"] = {"EnableDetailedObservability": SCRAPED}
    if deployment.mode == "async":
        config["AsyncInferenceConfig"] = _queue(deployment, str(answers_to).rstrip("/"))
    return config


def _variant(deployment: Deployment, served: Served, model: str) -> Request:
    variant: Request = {"VariantName": variant_name(served), "ModelName": model}
    if deployment.mode == "serverless":
        serverless = {"MemorySizeInMB": deployment.memory_mb, "MaxConcurrency": deployment.concurrency}
        if deployment.provisioned_concurrency:
            serverless["ProvisionedConcurrency"] = deployment.provisioned_concurrency
        return {**variant, "ServerlessConfig": serverless}
    ami = ami_for(served)
    return {
        **variant,
        "InitialVariantWeight": served.weight,
        "InitialInstanceCount": served.count,
        "InstanceType": served.instance,
        "ContainerStartupHealthCheckTimeoutInSeconds": served.startup_timeout_s,
        "RoutingConfig": {"RoutingStrategy": ROUTING_STRATEGY},
        **({"InferenceAmiVersion": ami} if ami else {}),
    }


def _queue(deployment: Deployment, folder: str) -> Request:
    queue: Request = {"OutputConfig": {"S3OutputPath": f"{folder}/output/", "S3FailurePath": f"{folder}/failures/"}}
    if deployment.concurrency is not None:
        queue["ClientConfig"] = {"MaxConcurrentInvocationsPerInstance": deployment.concurrency}
    return queue


def _bring(name: str, config: str, session: Session, poll_s: float) -> tuple[Endpoint, str | None]:
    """The endpoint, made or moved to the configuration, and the one that it had before."""
    former = None
    try:
        endpoint = Endpoint.get(name, session=session)
    except ClientError as error:
        if not _tells_absence(error):
            raise
        endpoint = Endpoint.create(endpoint_name=name, endpoint_config_name=config, session=session)
    else:
        former = endpoint.endpoint_config_name
        endpoint.endpoint_config_name = config
        endpoint.update()
    while endpoint.endpoint_status in _MOVING:
        time.sleep(poll_s)
        endpoint.refresh()
    if endpoint.endpoint_status == "InService" and endpoint.endpoint_config_name == config:
        return endpoint, former
    reason = endpoint.failure_reason
    if former is None:  # it can't be mended, and would be in the way of the next one
        _delete_endpoint(endpoint, poll_s)
    raise DeployFailed(f"{name} did not come into service: {reason}")


def _delete_endpoint(endpoint: Endpoint, poll_s: float) -> None:
    """And waits until it is gone, for until then it needs its configuration."""
    endpoint.delete()
    while True:
        try:
            endpoint.refresh()
        except ClientError as error:
            if _tells_absence(error):
                return
            raise
        time.sleep(poll_s)


def _models_of(config: str, session: Session) -> list[str]:
    described = session.client("sagemaker").describe_endpoint_config(EndpointConfigName=config)
    variants = [*described["ProductionVariants"], *described.get("ShadowProductionVariants", ())]
    return [variant["ModelName"] for variant in variants]


def _delete_config(config: str, models: list[str], session: Session) -> None:
    """With its models; what was not made, or is gone already, is none of its concern."""
    sagemaker = session.client("sagemaker")
    steps = [(sagemaker.delete_endpoint_config, {"EndpointConfigName": config})]
    steps += [(sagemaker.delete_model, {"ModelName": model}) for model in models]
    for delete, name in steps:
        try:
            delete(**name)
        except ClientError as error:
            if not _tells_absence(error):
                raise


def _tells_absence(error: ClientError) -> bool:
    """SageMaker's code for it is that of every other refusal."""
    return "Could not find" in error.response["Error"]["Message"]


def _new_name(stack: str, part: str) -> str:
    """Never the same twice: neither models nor configurations can be changed."""
    suffix = secrets.token_hex(4)
    return f"{f'{stack}-{part}'[: _LONGEST_NAME - len(suffix) - 1].rstrip('-')}-{suffix}"
