"""What the container is told: what follows from the mode, and over it what the plan says."""

from __future__ import annotations

import math

import msgspec

from infra.served import Served, is_package
from rerank_toolkit.catalog.limits import MEGABYTE, RequestLimits, load_limits
from rerank_toolkit.contracts.plan import Deployment, Mode
from rerank_toolkit.contracts.settings import ROWS, Settings

EMF_INTERVAL_S = 60
"""CloudWatch keeps such metrics by the minute."""


def request_limits(mode: Mode) -> RequestLimits:
    """What SageMaker takes of one request; an inference component's is a real-time one."""
    limits = load_limits()
    match mode:
        case "realtime" | "inference-component":
            return limits.realtime
        case "serverless":
            return limits.serverless
        case "async":
            return limits.async_
        case "batch":
            return limits.batch


def mode_settings(deployment: Deployment) -> Settings:
    """What each container of the deployment is told, whatever it serves."""
    limits = request_limits(deployment.mode)
    usual = Settings(
        time_limit_s=limits.timeout_s,
        max_body_mb=limits.payload_mb,
        emf_interval_s=EMF_INTERVAL_S,
        endpoint_name=deployment.stack,
    )
    match deployment.mode:
        case "realtime":
            return usual
        case "async":
            return _patient(usual, deployment)
        case "serverless":
            # It gets one request at a time and only a share of the CPUs that it sees: a worker for each would cost
            # memory and a longer cold start. AWS's guide advises one.
            return msgspec.structs.replace(usual, workers=1)
        case "inference-component":
            # SageMaker reads /metrics itself.
            return msgspec.structs.replace(usual, emf_interval_s=0, endpoint_name="")
        case "batch":
            # There is no endpoint to name.
            return msgspec.structs.replace(_patient(usual, deployment), endpoint_name="")


def _patient(usual: Settings, deployment: Deployment) -> Settings:
    """Bodies as large as the plan expects, not the gigabyte that SageMaker would bring: the container has room for
    several of the largest. All of their tokens may wait, and no body has more of them than bytes."""
    largest_mb = max(Settings().max_body_mb, math.ceil(deployment.largest_request_mb or 0))
    tokens = int(largest_mb * MEGABYTE) * (deployment.concurrency or 1)
    return msgspec.structs.replace(
        usual, max_body_mb=largest_mb, max_queued_tokens=max(tokens, Settings().max_queued_tokens)
    )


def effective_settings(deployment: Deployment, served: Served) -> Settings:
    """What the container makes of what it is told. A seller's is told nothing of ours; the limits are the mode's."""
    if is_package(served):
        return mode_settings(deployment)
    return Settings.from_environment(container_environment(deployment, served))


def container_environment(deployment: Deployment, served: Served) -> dict[str, str]:
    """The variables of one container. What the plan sets wins, by whichever of a setting's names it does."""
    if is_package(served):
        return dict(served.environment)
    names = {row.names[0]: row.names for row in ROWS}
    told = mode_settings(deployment).to_environment()
    return {
        **{name: value for name, value in told.items() if served.environment.keys().isdisjoint(names[name])},
        **served.environment,
    }
