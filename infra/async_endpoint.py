"""An asynchronous endpoint: an hour for a request, a gigabyte for its body, and no instance while nobody asks."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.async_queue import AsyncQueue
from infra.container import Container
from infra.endpoint import Endpoint, add_endpoint, explain_missing_key
from infra.instance_variant import UNSCRAPED, instance_variant, why_no_key
from infra.model import add_model
from infra.served import MAIN
from infra.vpc_access import VpcAccess
from rerank_toolkit.contracts.plan import Deployment


class AsyncEndpoint(Endpoint):
    """Instances as behind a real-time endpoint; what they are given comes from a queue."""

    def __init__(
        self,
        scope: Construct,
        deployment: Deployment,
        *,
        queue: AsyncQueue,
        container: Container,
        role: iam.IRole,
        key: kms.IKey | None,
        network: VpcAccess | None,
    ) -> None:
        """key: as for a RealtimeEndpoint."""
        super().__init__(scope)
        model = add_model(self, container, role, network=network)
        self.models = {MAIN: model}
        self.config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            kms_key_id=key.key_arn if key else None,
            async_inference_config=queue.config(deployment.concurrency),
            production_variants=[instance_variant(deployment, model)],
            metrics_config=UNSCRAPED,
        )
        if key is None:
            explain_missing_key(self.config, why_no_key(deployment))
        self.endpoint = add_endpoint(self, deployment, self.config, scaled=deployment.scaling is not None)
