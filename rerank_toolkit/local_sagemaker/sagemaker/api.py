"""SageMaker's API for models, endpoint configurations and endpoints; what else there is, moto answers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.protocol import Action, ApiError, Parameters
from rerank_toolkit.local_sagemaker.sagemaker.artifacts import ModelDataError, check_source
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint, Host, Variant

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


class SageMaker:
    """The actions by name; each takes the request's parameters and gives the answer's members."""

    def __init__(self, clients: Clients, host: Host, *, region: str, account: str) -> None:
        self._clients = clients
        self._host = host
        self._prefix = f"arn:aws:sagemaker:{region}:{account}"
        self._models: dict[str, dict[str, Any]] = {}
        self._configs: dict[str, dict[str, Any]] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._lock = Lock()

    def actions(self) -> dict[str, Action]:
        return {
            "AddTags": self.add_tags,
            "CreateEndpoint": self.create_endpoint,
            "CreateEndpointConfig": self.create_endpoint_config,
            "CreateModel": self.create_model,
            "DeleteEndpoint": self.delete_endpoint,
            "DeleteEndpointConfig": self.delete_endpoint_config,
            "DeleteModel": self.delete_model,
            "DeleteTags": self.delete_tags,
            "DescribeEndpoint": self.describe_endpoint,
            "DescribeEndpointConfig": self.describe_endpoint_config,
            "DescribeModel": self.describe_model,
            "ListEndpointConfigs": self.list_endpoint_configs,
            "ListEndpoints": self.list_endpoints,
            "ListModels": self.list_models,
            "ListTags": self.list_tags,
            "UpdateEndpoint": self.update_endpoint,
        }

    def find_endpoint(self, name: str) -> Endpoint | None:
        with self._lock:
            return self._endpoints.get(name)

    def all_endpoints(self) -> list[Endpoint]:
        with self._lock:
            return list(self._endpoints.values())

    # Models

    def create_model(self, request: Parameters) -> dict[str, Any]:
        name = _check_name("modelName", request["ModelName"])
        containers = [*request.get("Containers", ())] or [request.get("PrimaryContainer")]
        if containers == [None]:
            raise ApiError("ValidationException", "Either PrimaryContainer or Containers must be given.")
        if faults := [fault for container in containers for fault in _container_faults(container)]:
            raise ApiError("ValidationException", "; ".join(faults))
        try:
            for container in containers:
                check_source(self._clients, container)
        except ModelDataError as error:
            raise ApiError("ValidationException", str(error)) from None
        arn = f"{self._prefix}:model/{name.lower()}"
        self._add(self._models, "model", name, {**request, "ModelArn": arn}, arn)
        return {"ModelArn": arn}

    def describe_model(self, request: Parameters) -> dict[str, Any]:
        return self._get(self._models, "model", request["ModelName"])

    def list_models(self, request: Parameters) -> dict[str, Any]:
        found = self._listed(self._models, request, "ModelName")
        return {"Models": [_only(model, "ModelName", "ModelArn", "CreationTime") for model in found]}

    def delete_model(self, request: Parameters) -> dict[str, Any]:
        self._delete(self._models, "model", request["ModelName"], "ModelArn")
        return {}

    # Endpoint configurations

    def create_endpoint_config(self, request: Parameters) -> dict[str, Any]:
        name = _check_name("endpointConfigName", request["EndpointConfigName"])
        variants = [*request.get("ProductionVariants", ()), *request.get("ShadowProductionVariants", ())]
        faults = [fault for index, variant in enumerate(variants, 1) for fault in self._variant_faults(index, variant)]
        names = [variant.get("VariantName") for variant in variants]
        if len(set(names)) < len(names):
            faults.append(f"variant names must differ; they are {', '.join(map(str, names))}")
        if request.get("KmsKeyId"):
            faults.extend(_key_faults(variants))
        if faults:
            raise ApiError("ValidationException", _validation_errors(faults))
        arn = f"{self._prefix}:endpoint-config/{name.lower()}"
        self._add(self._configs, "endpoint configuration", name, {**request, "EndpointConfigArn": arn}, arn)
        return {"EndpointConfigArn": arn}

    def describe_endpoint_config(self, request: Parameters) -> dict[str, Any]:
        return self._get(self._configs, "endpoint configuration", request["EndpointConfigName"])

    def list_endpoint_configs(self, request: Parameters) -> dict[str, Any]:
        found = self._listed(self._configs, request, "EndpointConfigName")
        names = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        return {"EndpointConfigs": [_only(config, *names) for config in found]}

    def delete_endpoint_config(self, request: Parameters) -> dict[str, Any]:
        self._delete(self._configs, "endpoint configuration", request["EndpointConfigName"], "EndpointConfigArn")
        return {}

    # Endpoints

    def create_endpoint(self, request: Parameters) -> dict[str, Any]:
        name = _check_name("endpointName", request["EndpointName"])
        variants = self._variants(request["EndpointConfigName"])
        endpoint = Endpoint(name, f"{self._prefix}:endpoint/{name.lower()}", request["EndpointConfigName"])
        with self._lock:
            if name in self._endpoints:
                raise ApiError("ValidationException", f'Cannot create already existing endpoint "{endpoint.arn}".')
            self._endpoints[name] = endpoint
            self._tags[endpoint.arn] = _tag_map(request)
        self._host.deploy(endpoint, endpoint.config, variants)
        return {"EndpointArn": endpoint.arn}

    def update_endpoint(self, request: Parameters) -> dict[str, Any]:
        endpoint = self._endpoint(request["EndpointName"])
        variants = self._variants(request["EndpointConfigName"])
        with endpoint.lock:
            if endpoint.status == "Failed":
                raise ApiError(
                    "ValidationException",
                    f'Cannot update endpoint "{endpoint.arn}": it is Failed, and can only be deleted.',
                )
            if endpoint.status != "InService":
                raise ApiError(
                    "ValidationException",
                    f'Cannot update in-progress endpoint "{endpoint.arn}": it is {endpoint.status}.',
                )
            endpoint.settle("Updating")
        self._host.deploy(endpoint, request["EndpointConfigName"], variants)
        return {"EndpointArn": endpoint.arn}

    def delete_endpoint(self, request: Parameters) -> dict[str, Any]:
        endpoint = self._endpoint(request["EndpointName"])

        def forget() -> None:
            with self._lock:
                self._endpoints.pop(endpoint.name, None)
                self._tags.pop(endpoint.arn, None)

        self._host.remove(endpoint, forget)
        return {}

    def describe_endpoint(self, request: Parameters) -> dict[str, Any]:
        endpoint = self._endpoint(request["EndpointName"])
        fleet = endpoint.fleet
        variants = [
            {
                "VariantName": member.variant.name,
                "CurrentWeight": member.variant.weight,
                "DesiredWeight": member.variant.weight,
                "CurrentInstanceCount": member.variant.instances,
                "DesiredInstanceCount": member.variant.instances,
                "DeployedImages": [{"SpecifiedImage": member.variant.model.get("Image")}],
            }
            for member in (fleet.members if fleet else ())
        ]
        return {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.config,
            "EndpointStatus": endpoint.status,
            "FailureReason": endpoint.failure,
            "ProductionVariants": variants or None,
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
        }

    def list_endpoints(self, request: Parameters) -> dict[str, Any]:
        wanted, part = request.get("StatusEquals"), request.get("NameContains", "")
        return {
            "Endpoints": [
                {
                    "EndpointName": endpoint.name,
                    "EndpointArn": endpoint.arn,
                    "CreationTime": endpoint.created,
                    "LastModifiedTime": endpoint.modified,
                    "EndpointStatus": endpoint.status,
                }
                for endpoint in self.all_endpoints()
                if part.lower() in endpoint.name.lower() and wanted in (None, endpoint.status)
            ]
        }

    # Tags

    def add_tags(self, request: Parameters) -> dict[str, Any]:
        return {"Tags": self._change_tags(request, added=_tag_map(request))}

    def list_tags(self, request: Parameters) -> dict[str, Any]:
        return {"Tags": self._change_tags(request)}

    def delete_tags(self, request: Parameters) -> dict[str, Any]:
        self._change_tags(request, dropped=request["TagKeys"])
        return {}

    # What they share

    def _change_tags(
        self, request: Parameters, *, added: Mapping[str, str] | None = None, dropped: Collection[str] = ()
    ) -> list[dict[str, str]]:
        arn = request["ResourceArn"]
        with self._lock:
            if arn not in self._tags:
                raise ApiError("ValidationException", f'Could not find resource "{arn}".')
            tags = {key: value for key, value in {**self._tags[arn], **(added or {})}.items() if key not in dropped}
            self._tags[arn] = tags
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    def _add(self, table: dict[str, dict[str, Any]], kind: str, name: str, entry: Parameters, arn: str) -> None:
        with self._lock:
            if name in table:
                raise ApiError("ValidationException", f'Cannot create already existing {kind} "{arn}".')
            kept = {key: value for key, value in entry.items() if key != "Tags"}
            table[name] = {**kept, "CreationTime": datetime.now(UTC)}
            self._tags[arn] = _tag_map(entry)

    def _get(self, table: Mapping[str, dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
        with self._lock:
            if name not in table:
                raise ApiError("ValidationException", f'Could not find {kind} "{name}".')
            return table[name]

    def _listed(self, table: Mapping[str, dict[str, Any]], request: Parameters, name: str) -> list[Mapping[str, Any]]:
        part = request.get("NameContains", "").lower()
        with self._lock:
            return [entry for entry in table.values() if part in entry[name].lower()]

    def _delete(self, table: dict[str, dict[str, Any]], kind: str, name: str, arn_member: str) -> None:
        entry = self._get(table, kind, name)
        with self._lock:
            table.pop(name, None)
            self._tags.pop(entry[arn_member], None)

    def _endpoint(self, name: str) -> Endpoint:
        endpoint = self.find_endpoint(name)
        if endpoint is None:
            raise ApiError("ValidationException", f'Could not find endpoint "{self._prefix}:endpoint/{name.lower()}".')
        return endpoint

    def _variants(self, config_name: str) -> tuple[Variant, ...]:
        config = self._get(self._configs, "endpoint configuration", config_name)
        if config.get("AsyncInferenceConfig"):
            raise ApiError("ValidationException", "the local AWS has no asynchronous endpoints")
        return tuple(
            Variant(variant, self._container_of(variant["ModelName"])) for variant in config["ProductionVariants"]
        )

    def _container_of(self, model_name: str) -> Mapping[str, Any]:
        model = self._get(self._models, "model", model_name)
        containers = [*model.get("Containers", ())] or [model["PrimaryContainer"]]
        if len(containers) > 1:
            raise ApiError("ValidationException", f"model {model_name} has several containers; the local AWS runs one")
        container: Mapping[str, Any] = containers[0]
        return container

    def _variant_faults(self, index: int, variant: Mapping[str, Any]) -> list[str]:
        at = f"productionVariants.{index}.member"
        faults = []
        instance, serverless = variant.get("InstanceType"), variant.get("ServerlessConfig")
        if variant.get("ModelName") not in self._models:
            faults.append(f'Could not find model "{variant.get("ModelName")}".')
        if (instance is None) == (serverless is None):
            faults.append(f"{at} must have either instanceType or serverlessConfig")
        if instance is not None:
            known = load_instances().get(instance)
            if known is None or not known.endpoint:
                faults.append(
                    f"Value '{instance}' at '{at}.instanceType' failed to satisfy constraint: "
                    "Member must satisfy enum value set: it is no instance type that endpoints accept"
                )
            if variant.get("InitialInstanceCount", 1) < 1:
                faults.append(f"{at}.initialInstanceCount must be at least 1")
        if serverless is not None:
            limits = load_limits().serverless
            if serverless.get("MemorySizeInMB") not in limits.memory_mb:
                size, sizes = serverless.get("MemorySizeInMB"), ", ".join(map(str, limits.memory_mb))
                faults.append(f"{at}.serverlessConfig.memorySizeInMB is {size}; it must be one of {sizes}")
            if not 1 <= serverless.get("MaxConcurrency", 0) <= limits.max_concurrency:
                faults.append(f"{at}.serverlessConfig.maxConcurrency must be from 1 to {limits.max_concurrency}")
        least, most = load_limits().container.startup_timeout_s
        for field in ("ModelDataDownloadTimeoutInSeconds", "ContainerStartupHealthCheckTimeoutInSeconds"):
            if not least <= variant.get(field, least) <= most:
                faults.append(
                    f"{at}.{field[0].lower()}{field[1:]} is {variant[field]}; it must be from {least} to {most}"
                )
        return faults


def _check_name(field: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ApiError(
            "ValidationException",
            _validation_errors(
                [f"Value '{name}' at '{field}' failed to satisfy constraint: Member must match {_NAME.pattern}"]
            ),
        )
    return name


def _container_faults(container: Mapping[str, Any]) -> list[str]:
    limits = load_limits().container
    environment: Mapping[str, str] = container.get("Environment", {})
    faults = []
    if not container.get("Image"):
        faults.append("a container must name its Image (the local AWS has no model packages)")
    if len(environment) > limits.environment_entries:
        faults.append(f"Environment has {len(environment)} entries; at most {limits.environment_entries}")
    for name, value in environment.items():
        if len(value.encode()) > limits.environment_value_bytes:
            faults.append(
                f"Environment's {name} has {len(value.encode())} bytes; at most {limits.environment_value_bytes}"
            )
    total = sum(len(name.encode()) + len(value.encode()) for name, value in environment.items())
    if total > limits.environment_bytes:
        faults.append(f"Environment has {total} bytes in all; at most {limits.environment_bytes}")
    return faults


def _key_faults(variants: list[Mapping[str, Any]]) -> list[str]:
    types = {variant.get("InstanceType") for variant in variants}
    return [
        f"KmsKeyId can't be set for {instance.instance}: it stores on local NVMe, which encrypts by itself"
        for instance in load_instances().values()
        if instance.instance in types and instance.local_nvme
    ]


def _validation_errors(faults: list[str]) -> str:
    return f"{len(faults)} validation error{'s' * (len(faults) > 1)} detected: {'; '.join(faults)}"


def _only(entry: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: entry[name] for name in names}


def _tag_map(request: Parameters) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}
