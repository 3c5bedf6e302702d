"""What a template's names may refer to beyond the template itself: Systems Manager's parameters, exports, zones."""

from __future__ import annotations

from collections.abc import Mapping

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.cloudformation.intrinsics import TemplateError
from rerank_toolkit.local_sagemaker.cloudformation.stacks import Desired, Resource, Stack, StackStore
from rerank_toolkit.local_sagemaker.cloudformation.values import PARTITION, Values, resolve_parameters


class Lookups:
    """Looks names up in one region of one account."""

    def __init__(self, clients: Clients, store: StackStore, *, region: str, account: str) -> None:
        self._clients = clients
        self._store = store
        self._region = region
        self._account = account

    def values(
        self, stack: Stack, desired: Desired, resources: Mapping[str, Resource], *, absent: str | None = None
    ) -> Values:
        """The names of `desired` for `stack`; raises TemplateError for faulty parameters."""
        return Values(
            desired.template,
            parameters=resolve_parameters(desired, self._read_ssm),
            pseudo_parameters={
                "AWS::AccountId": self._account,
                "AWS::NotificationARNs": [],
                "AWS::Partition": PARTITION,
                "AWS::Region": self._region,
                "AWS::StackId": stack.id,
                "AWS::StackName": stack.name,
                "AWS::URLSuffix": "amazonaws.com",
            },
            resources=resources,
            exports=lambda: {name: value for name, (_, value) in self._store.exports().items()},
            zones=self._read_zones,
            absent=absent,
        )

    def _read_ssm(self, name: str) -> str | None:
        ssm = self._clients("ssm")
        try:
            return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
        except ssm.exceptions.ParameterNotFound:
            return None

    def _read_zones(self, region: str) -> list[str]:
        if region != self._region:
            raise TemplateError(f"Fn::GetAZs: the local AWS runs {self._region}, not {region}")
        return [zone["ZoneName"] for zone in self._clients("ec2").describe_availability_zones()["AvailabilityZones"]]
