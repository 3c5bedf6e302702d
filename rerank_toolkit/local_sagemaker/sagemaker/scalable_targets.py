"""Variants that are registered with Application Auto Scaling."""

from __future__ import annotations

from rerank_toolkit.local_sagemaker.clients import Clients


class ScalableTargets:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def of(self, endpoint: str) -> set[str]:
        """Names of the endpoint's registered variants."""
        pages = self._clients("application-autoscaling").get_paginator("describe_scalable_targets")
        paths = (
            target["ResourceId"].split("/")
            for page in pages.paginate(ServiceNamespace="sagemaker")
            for target in page["ScalableTargets"]
        )
        return {path[3] for path in paths if path[:3] == ["endpoint", endpoint, "variant"]}
