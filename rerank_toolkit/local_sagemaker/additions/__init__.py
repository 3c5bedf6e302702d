"""What moto lacks for the deployments of this toolkit, added where moto lets it be added; one file a service."""

from __future__ import annotations

from rerank_toolkit.local_sagemaker.additions import (
    application_autoscaling,
    budgets,
    cloudwatch,
    logs,
    s3,
    stepfunctions,
)
from rerank_toolkit.local_sagemaker.clients import Clients


def install(clients: Clients) -> None:
    """To be called once, before the first request."""
    application_autoscaling.install()
    budgets.install()
    cloudwatch.install()
    logs.install()
    s3.install()
    stepfunctions.install(clients)
