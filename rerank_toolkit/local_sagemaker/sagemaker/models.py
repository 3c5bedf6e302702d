"""CreateModel and its kin: a container's image, environment and model data, checked as SageMaker checks them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.protocol import Action, ApiError, Parameters
from rerank_toolkit.local_sagemaker.sagemaker.artifacts import ModelDataError, check_source
from rerank_toolkit.local_sagemaker.sagemaker.records import Table, Tags, check_name, only, refuse


class Models:
    def __init__(self, clients: Clients, tags: Tags, *, arns: str) -> None:
        self._clients = clients
        self._table: Table[dict[str, Any]] = Table("model", f"{arns}:model", tags)

    def actions(self) -> dict[str, Action]:
        return {
            "CreateModel": self.create,
            "DeleteModel": self.delete,
            "DescribeModel": self.describe,
            "ListModels": self.list_all,
        }

    def exists(self, name: str | None) -> bool:
        return name is not None and self._table.find(name) is not None

    def get(self, name: str) -> Mapping[str, Any]:
        """The request that made it; raises ApiError."""
        return self._table.get(name)

    def container_of(self, name: str) -> Mapping[str, Any]:
        """The definition of the model's one container; raises ApiError."""
        model = self._table.get(name)
        containers = [*model.get("Containers", ())] or [model["PrimaryContainer"]]
        if len(containers) > 1:
            raise ApiError("ValidationException", f"model {name} has several containers; the local AWS runs one")
        container: Mapping[str, Any] = containers[0]
        return container

    def create(self, request: Parameters) -> dict[str, Any]:
        name = check_name("modelName", request["ModelName"])
        containers = [*request.get("Containers", ())] or [request.get("PrimaryContainer")]
        if containers == [None]:
            raise ApiError("ValidationException", "Either PrimaryContainer or Containers must be given.")
        refuse(fault for container in containers for fault in container_faults(container))
        try:
            for container in containers:
                check_source(self._clients, container)
        except ModelDataError as error:
            raise ApiError("ValidationException", str(error)) from None
        arn = self._table.arn(name)
        kept = {key: value for key, value in request.items() if key != "Tags"}
        self._table.add(name, {**kept, "ModelArn": arn, "CreationTime": datetime.now(UTC)}, request)
        return {"ModelArn": arn}

    def describe(self, request: Parameters) -> dict[str, Any]:
        return self._table.get(request["ModelName"])

    def list_all(self, request: Parameters) -> dict[str, Any]:
        part = request.get("NameContains", "").lower()
        found = [model for model in self._table.all() if part in model["ModelName"].lower()]
        return {"Models": [only(model, "ModelName", "ModelArn", "CreationTime") for model in found]}

    def delete(self, request: Parameters) -> dict[str, Any]:
        self._table.get(request["ModelName"])
        self._table.remove(request["ModelName"])
        return {}


def container_faults(container: Mapping[str, Any]) -> list[str]:
    """What SageMaker would refuse of a container's definition, and what can't run here."""
    faults = []
    if container.get("ModelPackageName"):
        faults.append(
            f"ModelPackageName is {container['ModelPackageName']}: a Marketplace package brings an image of its "
            "seller's, which the local AWS has no container engine to run; try the same model from an artifact"
        )
    elif not container.get("Image"):
        faults.append("a container must name its Image")
    return faults + environment_faults(container.get("Environment", {}))


def environment_faults(environment: Mapping[str, str], *, most_entries: int | None = None) -> list[str]:
    """Too many entries, or too long ones."""
    limits = load_limits().container
    most = limits.environment_entries if most_entries is None else most_entries
    faults = []
    if len(environment) > most:
        faults.append(f"Environment has {len(environment)} entries; at most {most}")
    for name, value in environment.items():
        if len(value.encode()) > limits.environment_value_bytes:
            faults.append(
                f"Environment's {name} has {len(value.encode())} bytes; at most {limits.environment_value_bytes}"
            )
    total = sum(len(name.encode()) + len(value.encode()) for name, value in environment.items())
    if total > limits.environment_bytes:
        faults.append(f"Environment has {total} bytes in all; at most {limits.environment_bytes}")
    return faults
