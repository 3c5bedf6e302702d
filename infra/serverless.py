"""A serverless endpoint: memory instead of instances, nothing to pay while nobody asks."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.container import Container
from infra.endpoint import Endpoint, add_endpoint, explain_missing_key
from infra.model import add_model
from infra.served import MAIN
from rerank_toolkit.contracts.plan import Deployment


class ServerlessEndpoint(Endpoint):
    """SageMaker runs it where no network, isolation or key of ours reaches (AWS developer guide, "Feature exclusions"
    of serverless inference)."""

    def __init__(self, scope: Construct, deployment: Deployment, *, container: Container, role: iam.IRole) -> None:
        super().__init__(scope)
        if deployment.memory_mb is None or deployment.concurrency is None:
            raise TypeError(f"{deployment.stack} has no memory or concurrency, as a checked plan has. This is a bug.")
        model = add_model(self, container, role, isolated=False)
        self.models = {MAIN: model}
        self.config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=MAIN,
                    model_name=model.attr_model_name,
                    serverless_config=sagemaker.CfnEndpointConfig.ServerlessConfigProperty(
                        memory_size_in_mb=deployment.memory_mb,
                        max_concurrency=deployment.concurrency,
                        provisioned_concurrency=deployment.provisioned_concurrency,
                    ),
                )
            ],
        )
        explain_missing_key(self.config, "a serverless endpoint has no storage volume that a key could encrypt")
        self.endpoint = add_endpoint(self, deployment, self.config, scaled=deployment.scaling is not None)
