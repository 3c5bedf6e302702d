"""CreateEndpoint and its kin."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.alarms.watcher import Alarms
from rerank_toolkit.local_sagemaker.protocol import Action, ApiError, Parameters
from rerank_toolkit.local_sagemaker.sagemaker.async_queue import AsyncQueue
from rerank_toolkit.local_sagemaker.sagemaker.deployments import Change, Deployments
from rerank_toolkit.local_sagemaker.sagemaker.describe import describe_endpoint, summarize_endpoint
from rerank_toolkit.local_sagemaker.sagemaker.endpoint_configs import EndpointConfigs
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Fleet, Member, Variant, member_of
from rerank_toolkit.local_sagemaker.sagemaker.records import Table, Tags, check_name, refuse
from rerank_toolkit.local_sagemaker.sagemaker.rollout import AT_ONCE, read_rollout, rollout_faults
from rerank_toolkit.local_sagemaker.sagemaker.scalable_targets import ScalableTargets

_WEIGHT, _COUNT = "DesiredWeight", "DesiredInstanceCount"

Kept = Mapping[str, tuple[float | None, int | None]]
"""Weight and count by variant, as they are and shall stay; None for what the configuration sets anew."""


class Endpoints:
    def __init__(
        self,
        configs: EndpointConfigs,
        deployments: Deployments,
        alarms: Alarms,
        tags: Tags,
        make_queue: Callable[[Endpoint], AsyncQueue],
        *,
        targets: ScalableTargets,
        arns: str,
    ) -> None:
        self._configs = configs
        self._targets = targets
        self._deployments = deployments
        self._alarms = alarms
        self._make_queue = make_queue
        self._table: Table[Endpoint] = Table("endpoint", f"{arns}:endpoint", tags)
        self.components_of: Callable[[Endpoint], Collection[str]] = lambda _: ()
        """Names of the inference components on an endpoint, which keep it from being deleted."""

    def actions(self) -> dict[str, Action]:
        return {
            "CreateEndpoint": self.create,
            "DeleteEndpoint": self.delete,
            "DescribeEndpoint": self.describe,
            "ListEndpoints": self.list_all,
            "UpdateEndpoint": self.update,
            "UpdateEndpointWeightsAndCapacities": self.change,
        }

    def find(self, name: str) -> Endpoint | None:
        return self._table.find(name)

    def get(self, name: str) -> Endpoint:
        """Raises ApiError."""
        return self._table.get(name)

    def all(self) -> list[Endpoint]:
        return self._table.all()

    def create(self, request: Parameters) -> dict[str, Any]:
        name = check_name("endpointName", request["EndpointName"])
        fleet = self._fleet(name, request["EndpointConfigName"])
        asynchronous = self._configs.get(fleet.config).get("AsyncInferenceConfig")
        deployment = request.get("DeploymentConfig")
        if deployment:
            refuse(rollout_faults(deployment, count=_count(fleet)))
        endpoint = Endpoint(name, self._table.arn(name), fleet.config, asynchronous, deployment=deployment)
        self._table.add(name, endpoint, request)
        if asynchronous:
            endpoint.queue = self._make_queue(endpoint)
        self._deployments.deploy(endpoint, fleet, AT_ONCE, asynchronous)
        return {"EndpointArn": endpoint.arn}

    def update(self, request: Parameters) -> dict[str, Any]:
        endpoint = self._table.get(request["EndpointName"])
        kept = _retained(endpoint, request)
        fleet = self._fleet(endpoint.name, request["EndpointConfigName"], kept)
        asynchronous = self._configs.get(fleet.config).get("AsyncInferenceConfig")
        refuse(_kind_faults(endpoint, fleet, asynchronous))
        self._check_types(endpoint, fleet)
        deployment = endpoint.deployment if request.get("RetainDeploymentConfig") else request.get("DeploymentConfig")
        deployment = self._check_deployment(endpoint, fleet, deployment)
        self._begin(endpoint)
        endpoint.deployment = deployment
        self._deployments.deploy(endpoint, fleet, read_rollout(deployment, count=_count(fleet)), asynchronous)
        return {"EndpointArn": endpoint.arn}

    def change(self, request: Parameters) -> dict[str, Any]:
        endpoint = self._table.get(request["EndpointName"])
        fleet = endpoint.fleet
        members = {member.name: member for member in (fleet.members if fleet else ())}
        wanted = request["DesiredWeightsAndCapacities"]
        refuse(fault for desired in wanted for fault in _change_faults(endpoint, members, desired))
        self._begin(endpoint)
        self._deployments.change(
            endpoint, [_read_change(members[desired["VariantName"]], desired) for desired in wanted]
        )
        return {"EndpointArn": endpoint.arn}

    def describe(self, request: Parameters) -> dict[str, Any]:
        return describe_endpoint(self._table.get(request["EndpointName"]))

    def list_all(self, request: Parameters) -> dict[str, Any]:
        wanted, part = request.get("StatusEquals"), request.get("NameContains", "")
        return {
            "Endpoints": [
                summarize_endpoint(endpoint)
                for endpoint in self._table.all()
                if part.lower() in endpoint.name.lower() and wanted in (None, endpoint.status)
            ]
        }

    def delete(self, request: Parameters) -> dict[str, Any]:
        endpoint = self._table.get(request["EndpointName"])
        if components := self.components_of(endpoint):
            raise ApiError(
                "ValidationException",
                f'Cannot delete endpoint "{endpoint.arn}": it hosts inference components: {", ".join(components)}.',
            )
        self._deployments.remove(endpoint, lambda: self._table.remove(endpoint.name))
        return {}

    def _fleet(self, endpoint: str, config: str, kept: Kept | None = None) -> Fleet:
        def member(variant: Variant) -> Member:
            weight, count = (kept or {}).get(variant.name, (None, None))
            return member_of(
                variant,
                endpoint=endpoint,
                config=config,
                weight=variant.weight if weight is None else weight,
                count=variant.instances if count is None else count,
            )

        production, shadows = self._configs.variants(config)
        return Fleet(config, tuple(map(member, production)), tuple(map(member, shadows)))

    def _check_types(self, endpoint: Endpoint, fleet: Fleet) -> None:
        """What is scaled keeps its instance type (developer guide, "Update endpoints that use auto scaling")."""
        before, after = (
            {member.name: member.settings.get("InstanceType") for member in side.members} if side else {}
            for side in (endpoint.fleet, fleet)
        )
        changed = {name for name, kind in after.items() if name in before and before[name] != kind}
        if changed and (held := sorted(changed & self._targets.of(endpoint.name))):
            raise ApiError(
                "ValidationException",
                f"{', '.join(held)}: a variant that is registered as a scalable target can't get another instance "
                "type; deregister it first",
            )

    def _check_deployment(
        self, endpoint: Endpoint, fleet: Fleet, deployment: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        if not deployment:
            return None
        faults = rollout_faults(deployment, count=_count(fleet))
        old, new = ({member.name for member in side.members} if side else set() for side in (endpoint.fleet, fleet))
        if old and old != new:
            faults.append(
                "with a deploymentConfig the variants must keep their names; they are "
                f"{', '.join(sorted(old))}, and shall be {', '.join(sorted(new))}"
            )
        if deployment.get("RollingUpdatePolicy") and (len(fleet.members) > 1 or fleet.members[0].serverless):
            faults.append("a rollingUpdatePolicy is for endpoints of one variant on instances")
        alarms = [alarm["AlarmName"] for alarm in deployment.get("AutoRollbackConfiguration", {}).get("Alarms", ())]
        if missing := self._alarms.missing(alarms):
            faults.append(f"autoRollbackConfiguration names alarms that nobody has made: {', '.join(missing)}")
        refuse(faults)
        return deployment

    @staticmethod
    def _begin(endpoint: Endpoint) -> None:
        """From InService to Updating; raises ApiError for an endpoint in another state."""
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


def _kind_faults(endpoint: Endpoint, fleet: Fleet, asynchronous: Mapping[str, Any] | None) -> list[str]:
    faults = []
    if bool(asynchronous) != bool(endpoint.asynchronous):
        faults.append("an endpoint can't become asynchronous, or stop being so; make another")
    if endpoint.fleet and endpoint.hosts_components != fleet.hosts_components:
        faults.append("an endpoint can't begin to host inference components, or stop; make another")
    return faults


def _retained(endpoint: Endpoint, request: Parameters) -> Kept:
    fleet = endpoint.fleet
    if fleet is None or not request.get("RetainAllVariantProperties"):
        return {}
    excluded = {entry["VariantPropertyType"] for entry in request.get("ExcludeRetainedVariantProperties", ())}
    return {
        member.name: (
            None if _WEIGHT in excluded else member.weight,
            None if _COUNT in excluded else member.count,
        )
        for member in fleet.everyone
    }


def _count(fleet: Fleet) -> int:
    return sum(member.count for member in fleet.members)


def _change_faults(endpoint: Endpoint, members: Mapping[str, Member], desired: Mapping[str, Any]) -> list[str]:
    member = members.get(desired["VariantName"])
    if member is None:
        return [f"{desired['VariantName']} is no variant of {endpoint.name}; it has {', '.join(members)}"]
    faults = []
    at = f"variant {member.name}"
    if desired.get(_COUNT) == 0 and not endpoint.asynchronous:
        faults.append(f"{at}: desiredInstanceCount may be 0 on asynchronous endpoints alone")
    if member.serverless and _COUNT in desired:
        faults.append(f"{at} is serverless and has no instances")
    update = desired.get("ServerlessUpdateConfig")
    if update and not member.serverless:
        faults.append(f"{at} is not serverless")
    elif update:
        merged = {**(member.serverless or {}), **update}
        if merged.get("ProvisionedConcurrency", 0) > merged["MaxConcurrency"]:
            faults.append(f"{at}: provisionedConcurrency must be at most maxConcurrency, {merged['MaxConcurrency']}")
    return faults


def _read_change(member: Member, desired: Mapping[str, Any]) -> Change:
    update = desired.get("ServerlessUpdateConfig")
    return Change(
        member,
        weight=desired.get(_WEIGHT),
        count=desired.get(_COUNT),
        serverless={**(member.serverless or {}), **update} if update else None,
    )
