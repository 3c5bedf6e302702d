"""CreateEndpointConfig and its kin: what SageMaker would refuse is refused, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.local_sagemaker.protocol import Action, Parameters
from rerank_toolkit.local_sagemaker.sagemaker.artifacts import find_source
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Variant
from rerank_toolkit.local_sagemaker.sagemaker.models import Models
from rerank_toolkit.local_sagemaker.sagemaker.records import Table, Tags, check_name, only, refuse
from rerank_toolkit.local_sagemaker.sagemaker.s3_uri import parse_s3_uri

NOT_HERE = ("DataCaptureConfig", "ExplainerConfig", "CrossRegionTrafficConfig")
"""Of a configuration, what the local AWS does not do and refuses: silence would look like a success."""


class EndpointConfigs:
    def __init__(self, models: Models, tags: Tags, *, arns: str) -> None:
        self._models = models
        self._table: Table[dict[str, Any]] = Table("endpoint configuration", f"{arns}:endpoint-config", tags)

    def actions(self) -> dict[str, Action]:
        return {
            "CreateEndpointConfig": self.create,
            "DeleteEndpointConfig": self.delete,
            "DescribeEndpointConfig": self.describe,
            "ListEndpointConfigs": self.list_all,
        }

    def get(self, name: str) -> Mapping[str, Any]:
        """The request that made it; raises ApiError."""
        return self._table.get(name)

    def variants(self, name: str) -> tuple[list[Variant], list[Variant]]:
        """Production and shadow variants with their models as they are now; raises ApiError."""
        config = self._table.get(name)
        production, shadow = (
            [Variant(settings, self._container(settings)) for settings in config.get(kind, ())]
            for kind in ("ProductionVariants", "ShadowProductionVariants")
        )
        return production, shadow

    def create(self, request: Parameters) -> dict[str, Any]:
        name = check_name("endpointConfigName", request["EndpointConfigName"])
        refuse(self._faults(request))
        arn = self._table.arn(name)
        kept = {key: value for key, value in request.items() if key != "Tags"}
        self._table.add(name, {**kept, "EndpointConfigArn": arn, "CreationTime": datetime.now(UTC)}, request)
        return {"EndpointConfigArn": arn}

    def describe(self, request: Parameters) -> dict[str, Any]:
        return self._table.get(request["EndpointConfigName"])

    def list_all(self, request: Parameters) -> dict[str, Any]:
        part = request.get("NameContains", "").lower()
        found = [config for config in self._table.all() if part in config["EndpointConfigName"].lower()]
        names = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        return {"EndpointConfigs": [only(config, *names) for config in found]}

    def delete(self, request: Parameters) -> dict[str, Any]:
        self._table.get(request["EndpointConfigName"])
        self._table.remove(request["EndpointConfigName"])
        return {}

    def _container(self, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        model = settings.get("ModelName")
        return self._models.container_of(model) if model else None

    def _faults(self, request: Parameters) -> list[str]:
        production = request.get("ProductionVariants", ())
        shadows = request.get("ShadowProductionVariants", ())
        variants = [*production, *shadows]
        faults = [
            fault
            for kind, group in (("productionVariants", production), ("shadowProductionVariants", shadows))
            for index, variant in enumerate(group, 1)
            for fault in self._variant_faults(f"{kind}.{index}.member", variant)
        ]
        names = [variant.get("VariantName") for variant in variants]
        if len(set(names)) < len(names):
            faults.append(f"variant names must differ; they are {', '.join(map(str, names))}")
        faults += [
            f"{field} is not supported by the local AWS; leave it out here"
            for field in NOT_HERE
            if _set(request, field)
        ]
        faults += _together_faults(request, production, shadows)
        if request.get("KmsKeyId"):
            faults += _key_faults(variants)
        return faults

    def _variant_faults(self, at: str, variant: Mapping[str, Any]) -> list[str]:
        model, instance, serverless = (variant.get(name) for name in ("ModelName", "InstanceType", "ServerlessConfig"))
        faults = []
        if model is not None and not self._models.exists(model):
            faults.append(f'Could not find model "{model}".')
        if (instance is None) == (serverless is None):
            faults.append(f"{at} must have either instanceType or serverlessConfig")
        if instance is not None:
            faults += _instance_faults(at, variant)
        if serverless is not None:
            faults += _serverless_faults(at, serverless)
            faults += self._serverless_model_faults(at, model)
        if variant.get("ManagedInstanceScaling") and model is not None:
            faults.append(f"{at}: ManagedInstanceScaling is only supported for inference component endpoints")
        return faults

    def _serverless_model_faults(self, at: str, model: str | None) -> list[str]:
        if model is None:
            return [f"{at} must have modelName: a serverless variant hosts no inference components"]
        if not self._models.exists(model):
            return []
        definition = self._models.get(model)
        faults = [
            f"{at}: model {model} has {field}, which serverless does not take"
            for field in ("VpcConfig", "EnableNetworkIsolation")
            if definition.get(field)
        ]
        source = find_source(self._models.container_of(model))
        if source is not None and source.form != "archive":
            faults.append(f"{at}: the model data of {model} is uncompressed; serverless takes a tar.gz alone")
        return faults


def _set(request: Parameters, field: str) -> bool:
    value = request.get(field) or {}
    return bool(value) and (field != "DataCaptureConfig" or bool(value.get("EnableCapture", True)))


def _instance_faults(at: str, variant: Mapping[str, Any]) -> list[str]:
    faults = []
    instance = variant["InstanceType"]
    known = load_instances().get(instance)
    if known is None or not known.endpoint:
        faults.append(
            f"Value '{instance}' at '{at}.instanceType' failed to satisfy constraint: "
            "Member must satisfy enum value set: it is no instance type that endpoints accept"
        )
    if variant.get("InitialInstanceCount", 1) < 1:
        faults.append(f"{at}.initialInstanceCount must be at least 1")
    least, most = load_limits().container.startup_timeout_s
    for field in ("ModelDataDownloadTimeoutInSeconds", "ContainerStartupHealthCheckTimeoutInSeconds"):
        if not least <= variant.get(field, least) <= most:
            faults.append(f"{at}.{field[0].lower()}{field[1:]} is {variant[field]}; it must be from {least} to {most}")
    return faults


def _serverless_faults(at: str, serverless: Mapping[str, Any]) -> list[str]:
    limits = load_limits().serverless
    faults = []
    size, most = serverless.get("MemorySizeInMB"), serverless.get("MaxConcurrency", 0)
    provisioned = serverless.get("ProvisionedConcurrency")
    if size not in limits.memory_mb:
        sizes = ", ".join(map(str, limits.memory_mb))
        faults.append(f"{at}.serverlessConfig.memorySizeInMB is {size}; it must be one of {sizes}")
    if not 1 <= most <= limits.max_concurrency:
        faults.append(f"{at}.serverlessConfig.maxConcurrency must be from 1 to {limits.max_concurrency}")
    if provisioned is not None and not 1 <= provisioned <= most:
        faults.append(f"{at}.serverlessConfig.provisionedConcurrency is {provisioned}; it must be from 1 to {most}")
    return faults


def _together_faults(
    request: Parameters, production: Sequence[Mapping[str, Any]], shadows: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What the variants and the rest of a configuration may not be at once."""
    faults = []
    variants = [*production, *shadows]
    serverless = any(variant.get("ServerlessConfig") for variant in variants)
    without_model = [variant for variant in variants if not variant.get("ModelName")]
    asynchronous = request.get("AsyncInferenceConfig")
    if shadows and (len(production) > 1 or len(shadows) > 1):
        faults.append("with shadowProductionVariants there may be one production variant and one shadow")
    if serverless and len(variants) > 1:
        faults.append("a serverless endpoint has one variant")
    if serverless and asynchronous:
        faults.append("asyncInferenceConfig can't be set for a serverless variant")
    if without_model and len(without_model) < len(variants):
        faults.append("either every variant has modelName, or none, for an endpoint that hosts inference components")
    if without_model and asynchronous:
        faults.append(
            "asyncInferenceConfig can't be set without models: an asynchronous request can't name a component"
        )
    if without_model and not request.get("ExecutionRoleArn"):
        faults.append("executionRoleArn must be set for an endpoint that hosts inference components")
    if serverless:
        faults += [
            f"{field} can't be set for a serverless variant"
            for field in ("KmsKeyId", "VpcConfig", "EnableNetworkIsolation")
            if request.get(field)
        ]
    return faults + (_async_faults(asynchronous) if asynchronous else [])


def _async_faults(asynchronous: Mapping[str, Any]) -> list[str]:
    output = asynchronous["OutputConfig"]
    faults = []
    if not output.get("S3OutputPath"):
        faults.append("asyncInferenceConfig.outputConfig.s3OutputPath must be given")
    for field in ("S3OutputPath", "S3FailurePath"):
        try:
            parse_s3_uri(output.get(field) or "s3://given")
        except ValueError as error:
            faults.append(f"asyncInferenceConfig.outputConfig.{field[:1].lower()}{field[1:]}: {error}")
    return faults


def _key_faults(variants: Sequence[Mapping[str, Any]]) -> list[str]:
    types = {variant.get("InstanceType") for variant in variants}
    return [
        f"KmsKeyId can't be set for {instance.instance}: it stores on local NVMe, which encrypts by itself"
        for instance in load_instances().values()
        if instance.instance in types and instance.local_nvme
    ]
