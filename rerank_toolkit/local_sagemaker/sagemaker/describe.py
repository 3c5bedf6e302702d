"""What DescribeEndpoint and ListEndpoints show."""

from __future__ import annotations

from typing import Any

from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint, Pending
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member

_AS_CONFIGURED = ("ManagedInstanceScaling", "RoutingConfig")
_UNDER_WAY = ("Creating", "Updating", "RollingBack")


def describe_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    fleet, pending = endpoint.fleet, endpoint.pending
    described = {
        **summarize_endpoint(endpoint),
        "EndpointConfigName": endpoint.config,
        "FailureReason": endpoint.failure,
        "LastDeploymentConfig": endpoint.deployment,
        "AsyncInferenceConfig": endpoint.asynchronous,
        "ProductionVariants": [_variant(member) for member in fleet.members] if fleet else None,
        "ShadowProductionVariants": [_variant(member) for member in fleet.shadows] if fleet else None,
        "PendingDeploymentSummary": _pending(pending) if pending and endpoint.status in _UNDER_WAY else None,
    }
    return {name: value for name, value in described.items() if value}


def summarize_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
        "EndpointStatus": endpoint.status,
    }


def deployed_image(member: Member) -> dict[str, Any]:
    """The image as it was named, and once a container was started, as its tag was resolved then."""
    resolved = {"ResolvedImage": member.image, "ResolutionTime": member.started} if member.image else {}
    return {"SpecifiedImage": (member.model or {}).get("Image"), **resolved}


def _variant(member: Member) -> dict[str, Any]:
    return {
        **_summary(member),
        "CurrentWeight": member.weight,
        "DesiredWeight": member.weight if member.desired_weight is None else member.desired_weight,
        **_capacity(member, current=member.count),
    }


def _pending(pending: Pending) -> dict[str, Any]:
    def describe(member: Member) -> dict[str, Any]:
        return {
            **_summary(member),
            "DesiredWeight": member.weight,
            **_capacity(member, current=member.count if member.running else 0),
            **({} if member.serverless else {"InstanceType": member.settings.get("InstanceType")}),
            "VariantStatus": [{"Status": pending.stage, "StartTime": pending.stage_started}],
        }

    summary = {
        "EndpointConfigName": pending.fleet.config,
        "StartTime": pending.started,
        "ProductionVariants": [describe(member) for member in pending.fleet.members],
        "ShadowProductionVariants": [describe(member) for member in pending.fleet.shadows],
    }
    return {name: value for name, value in summary.items() if value}


def _summary(member: Member) -> dict[str, Any]:
    return {
        "VariantName": member.name,
        **({"DeployedImages": [deployed_image(member)]} if member.model else {}),
        **{name: member.settings[name] for name in _AS_CONFIGURED if name in member.settings},
    }


def _capacity(member: Member, *, current: int) -> dict[str, Any]:
    if member.serverless:
        return {"CurrentServerlessConfig": member.serverless, "DesiredServerlessConfig": member.serverless}
    wanted = member.count if member.desired_count is None else member.desired_count
    return {"CurrentInstanceCount": current, "DesiredInstanceCount": wanted}
