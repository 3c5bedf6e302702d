"""CreateInferenceComponent and its kin; each change runs in a thread of its own, the status tells how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.protocol import Action, ApiError, Parameters
from rerank_toolkit.local_sagemaker.sagemaker.components import Component, member_of_component
from rerank_toolkit.local_sagemaker.sagemaker.endpoint_api import Endpoints
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member
from rerank_toolkit.local_sagemaker.sagemaker.host import Host
from rerank_toolkit.local_sagemaker.sagemaker.models import Models, container_faults
from rerank_toolkit.local_sagemaker.sagemaker.records import Table, Tags, check_name, refuse
from rerank_toolkit.local_sagemaker.sagemaker.rollout import Rollout, read_rollout, rollout_faults
from rerank_toolkit.local_sagemaker.sagemaker.transitions import Transitions, run

_NOT_HERE = ("BaseInferenceComponentName", "Specifications")


class Components:
    def __init__(
        self,
        models: Models,
        endpoints: Endpoints,
        host: Host,
        transitions: Transitions,
        tags: Tags,
        *,
        arns: str,
    ) -> None:
        self._transitions = transitions
        self._models = models
        self._endpoints = endpoints
        self._host = host
        self._table: Table[Component] = Table("inference component", f"{arns}:inference-component", tags)
        endpoints.components_of = lambda endpoint: [entry.name for entry in self.on(endpoint)]

    def actions(self) -> dict[str, Action]:
        return {
            "CreateInferenceComponent": self.create,
            "DeleteInferenceComponent": self.delete,
            "DescribeInferenceComponent": self.describe,
            "ListInferenceComponents": self.list_all,
            "UpdateInferenceComponent": self.update,
            "UpdateInferenceComponentRuntimeConfig": self.scale,
        }

    def all(self) -> list[Component]:
        return self._table.all()

    def on(self, endpoint: Endpoint) -> list[Component]:
        return [component for component in self._table.all() if component.endpoint is endpoint]

    def pick(self, endpoint: Endpoint, name: str) -> Member:
        """The member that answers the next request for the component; raises ApiError."""
        component = self._table.find(name)
        if component is None or component.endpoint is not endpoint:
            raise ApiError("ValidationError", f"Inference Component {name} not found on endpoint {endpoint.name}.")
        member = component.traffic.pick()
        if member is None:
            why = f" {component.failure}" if component.failure else ""
            raise ApiError("ValidationError", f"Inference Component {name} is {component.status}, not InService.{why}")
        return member

    def create(self, request: Parameters) -> dict[str, Any]:
        name = check_name("inferenceComponentName", request["InferenceComponentName"])
        endpoint = self._endpoints.get(request["EndpointName"])
        copies = request.get("RuntimeConfig", {}).get("CopyCount", 1)
        specification = request.get("Specification", {})
        faults = _hosting_faults(endpoint, request.get("VariantName"))
        if copies < 1:
            faults.append("runtimeConfig.copyCount must be at least 1; scale to 0 afterwards")
        given = {**request, **specification}
        faults += [f"{field} is not supported by the local AWS" for field in _NOT_HERE if given.get(field)]
        refuse([*faults, *self._specification_faults(specification)])
        variant = request.get("VariantName") or _variants(endpoint)[0]
        component = Component(name, self._table.arn(name), endpoint, variant, specification, copies)
        self._table.add(name, component, request)
        member = self._member(component, copies)
        run(f"place {name}", lambda: self._place(component, member, read_rollout(None, count=copies)))
        return {"InferenceComponentArn": component.arn}

    def update(self, request: Parameters) -> dict[str, Any]:
        component = self._table.get(request["InferenceComponentName"])
        specification = request.get("Specification")
        copies = request.get("RuntimeConfig", {}).get("CopyCount", component.desired_copies)
        deployment = request.get("DeploymentConfig")
        faults = self._specification_faults(specification) if specification else []
        if request.get("Specifications"):
            faults.append("Specifications is not supported by the local AWS")
        refuse([*faults, *(rollout_faults(deployment, count=copies) if deployment else ())])
        self._begin(component)
        component.desired_copies, component.deployment = copies, deployment
        if specification is None:
            run(f"scale {component.name}", lambda: self._scale(component, copies))
            return {"InferenceComponentArn": component.arn}
        before, component.specification = component.specification, specification
        member = self._member(component, copies)
        rollout = read_rollout(deployment, count=copies)
        run(f"place {component.name}", lambda: self._place(component, member, rollout, before))
        return {"InferenceComponentArn": component.arn}

    def scale(self, request: Parameters) -> dict[str, Any]:
        component = self._table.get(request["InferenceComponentName"])
        copies = request["DesiredRuntimeConfig"]["CopyCount"]
        self._begin(component)
        component.desired_copies = copies
        run(f"scale {component.name}", lambda: self._scale(component, copies))
        return {"InferenceComponentArn": component.arn}

    def describe(self, request: Parameters) -> dict[str, Any]:
        return self._table.get(request["InferenceComponentName"]).describe()

    def list_all(self, request: Parameters) -> dict[str, Any]:
        part = request.get("NameContains", "").lower()
        endpoint, variant, status = (
            request.get(name) for name in ("EndpointNameEquals", "VariantNameEquals", "StatusEquals")
        )
        return {
            "InferenceComponents": [
                component.summarize()
                for component in self._table.all()
                if part in component.name.lower()
                and endpoint in (None, component.endpoint.name)
                and variant in (None, component.variant)
                and status in (None, component.status)
            ]
        }

    def delete(self, request: Parameters) -> dict[str, Any]:
        component = self._table.get(request["InferenceComponentName"])
        with component.lock:
            if component.status == "Deleting":
                return {}
            component.settle("Deleting")
            component.cancelled.set()

        def remove() -> None:
            self._host.retire(self.dismantle(component))
            self._table.remove(component.name)

        run(f"remove {component.name}", remove)
        return {}

    @staticmethod
    def dismantle(component: Component) -> list[Member]:
        """Takes its members away, for the caller to retire."""
        with component.lock:
            component.cancelled.set()
            members = component.traffic.sides
            component.traffic.present = component.traffic.incoming = None
        return list(members)

    def _place(
        self,
        component: Component,
        member: Member,
        rollout: Rollout,
        before: Mapping[str, Any] | None = None,
    ) -> None:
        """Brings the component to the member; `before` is the specification to which it goes back."""
        traffic = component.traffic
        why = self._transitions.move(
            traffic,
            member,
            [member],
            owner=component.endpoint.name,
            rollout=rollout,
            cancelled=component.cancelled,
            tell=lambda _: None,  # a component's description has no stages
        )
        with component.lock:
            outdated: Member | None = member
            if component.cancelled.is_set():
                pass
            elif why is not None:
                component.specification = before or component.specification
                component.settle("InService" if traffic.present else "Failed", why)
            else:
                outdated, traffic.present = traffic.present, member
                component.settle("InService")
            traffic.incoming, traffic.share = None, 0.0
        if outdated is not None:
            self._host.retire([outdated])

    def _scale(self, component: Component, copies: int) -> None:
        member = component.traffic.present
        why = component.failure
        if member is not None:
            why = self._transitions.resize(member, copies, owner=component.endpoint.name, cancelled=component.cancelled)
        with component.lock:
            if not component.cancelled.is_set():
                component.desired_copies = member.count if member else 0
                component.settle("InService" if member else "Failed", why)

    @staticmethod
    def _begin(component: Component) -> None:
        with component.lock:
            if component.status != "InService":
                raise ApiError(
                    "ValidationException",
                    f'Cannot update inference component "{component.arn}": it is {component.status}.',
                )
            component.settle("Updating")

    def _member(self, component: Component, copies: int) -> Member:
        return member_of_component(component, self._definition(component.specification), copies=copies)

    def _definition(self, specification: Mapping[str, Any]) -> Mapping[str, Any]:
        """The container as a model would define it."""
        if name := specification.get("ModelName"):
            return self._models.container_of(name)
        container = specification["Container"]
        return {
            "Image": container.get("Image"),
            "Environment": container.get("Environment", {}),
            **({"ModelDataUrl": container["ArtifactUrl"]} if container.get("ArtifactUrl") else {}),
        }

    def _specification_faults(self, specification: Mapping[str, Any]) -> list[str]:
        faults = []
        name, container = specification.get("ModelName"), specification.get("Container", {})
        if (name is None) == (container.get("Image") is None):
            faults.append("specification must have either modelName or a container with an image")
        if name is not None and not self._models.exists(name):
            faults.append(f'Could not find model "{name}".')
        if name is None and container:
            faults += container_faults(container)
        if not specification.get("ComputeResourceRequirements"):
            faults.append("specification.computeResourceRequirements must be given")
        return faults


def _hosting_faults(endpoint: Endpoint, variant: str | None) -> list[str]:
    if endpoint.status not in ("InService", "Updating"):
        return [f"endpoint {endpoint.name} is {endpoint.status}; it must be InService"]
    if not endpoint.hosts_components:
        return [
            "Inference Components are not supported in this Endpoint. Please make sure this endpoint can deploy "
            "inference components: its variants must have no modelName."
        ]
    if variant is not None and variant not in _variants(endpoint):
        return [f"{variant} is no variant of {endpoint.name}; it has {', '.join(_variants(endpoint))}"]
    return []


def _variants(endpoint: Endpoint) -> list[str]:
    fleet = endpoint.fleet
    return [member.name for member in fleet.members] if fleet else []
