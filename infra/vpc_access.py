"""Where containers have their network interfaces, and what a role needs to put them there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker


@dataclass(frozen=True)
class VpcAccess:
    """Subnets and security groups of a VPC, by id."""

    subnets: Sequence[str]
    security_groups: Sequence[str]
    shared: bool = False
    """They may be another account's, shared with this one."""

    def of_model(self) -> sagemaker.CfnModel.VpcConfigProperty:
        return sagemaker.CfnModel.VpcConfigProperty(
            subnets=list(self.subnets), security_group_ids=list(self.security_groups)
        )

    def of_endpoint(self) -> sagemaker.CfnEndpointConfig.VpcConfigProperty:
        """For an endpoint of inference components: its configuration has no model to say it for it."""
        return sagemaker.CfnEndpointConfig.VpcConfigProperty(
            subnets=list(self.subnets), security_group_ids=list(self.security_groups)
        )

    def statements(self, stack: cdk.Stack) -> list[iam.PolicyStatement]:
        """The ten actions that SageMaker asks for, bound to these subnets as far as EC2 can
        (SageMaker developer guide, "Give SageMaker AI Hosted Endpoints Access to Resources in Your Amazon VPC";
        service authorization reference, "Actions, resources, and condition keys for Amazon EC2").
        """
        return [
            iam.PolicyStatement(
                actions=["ec2:CreateNetworkInterface"],
                resources=[*self._subnets(stack), *self._groups(stack), _interfaces(stack)],
            ),
            iam.PolicyStatement(
                actions=["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"],
                resources=[_interfaces(stack)],
                conditions={"ArnLike": {"ec2:Subnet": self._subnets(stack)}},
            ),
            iam.PolicyStatement(
                actions=[
                    "ec2:DeleteNetworkInterfacePermission",
                    "ec2:DescribeDhcpOptions",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcEndpoints",
                    "ec2:DescribeVpcs",
                ],
                resources=["*"],
            ),
        ]

    def wildcards(self, stack: cdk.Stack) -> dict[str, str]:
        """Resources of those statements that have a * in them, each with its reason."""
        named = "they are named by their ids, which no two have; whose they are is not known if they are shared"
        return {
            _interfaces(stack): "an interface has no name before SageMaker makes it; it is told by its subnet",
            **(dict.fromkeys((*self._subnets(stack), *self._groups(stack)), named) if self.shared else {}),
        }

    def _subnets(self, stack: cdk.Stack) -> list[str]:
        return [self._arn(stack, "subnet", name) for name in self.subnets]

    def _groups(self, stack: cdk.Stack) -> list[str]:
        return [self._arn(stack, "security-group", name) for name in self.security_groups]

    def _arn(self, stack: cdk.Stack, kind: str, name: str) -> str:
        return stack.format_arn(
            service="ec2", resource=kind, resource_name=name, account="*" if self.shared else stack.account
        )


def _interfaces(stack: cdk.Stack) -> str:
    return stack.format_arn(service="ec2", resource="network-interface", resource_name="*")
