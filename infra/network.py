"""The network of a plan: a VPC of our own without a way out, subnets that exist, or SageMaker's."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.acknowledgements import INLINE_POLICY, acknowledge, in_packs
from infra.execution_role import account_service, write_logs
from infra.foundation import environment
from infra.log_group import log_group
from infra.tags import tag
from infra.vpc_access import VpcAccess
from rerank_toolkit.contracts.plan import ExistingNetwork, NewNetwork, Plan

NETWORK = "RerankNetwork"
FLOW_LOGS = "/rerank-toolkit/network"

_RANGE = "10.0.0.0/22"
_SUBNET_RANGES = ("10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24")
"""251 addresses each; SageMaker asks for two an instance."""


class NetworkStack(cdk.Stack):
    """A VPC whose only way out is a gateway to S3, for SageMaker's own loading of artifacts and storing of answers.

    No interface endpoint, which bills by the hour, is needed: with network isolation on, the container calls nobody;
    SageMaker pulls images, writes logs and metrics and delivers requests outside the VPC. It costs nothing but what
    its flow logs amount to. Deployed by itself when the first endpoint that needs it is.
    """

    def __init__(self, scope: Construct, plan: Plan, network: NewNetwork, key: kms.IKey) -> None:
        super().__init__(
            scope,
            NETWORK,
            env=environment(plan),
            description="Private subnets of rerank-toolkit endpoints, without a way to the internet; "
            "billed are its flow logs",
        )
        tag(self)  # not the plan: it serves the endpoints of all plans
        vpc = ec2.CfnVPC(
            self, "Vpc", cidr_block=_RANGE, enable_dns_support=True, enable_dns_hostnames=True, tags=_named(self)
        )
        acknowledge(
            vpc,
            in_packs(
                "VPCDefaultSecurityGroupClosed",
                "nothing is ever put into the VPC's default group; only a Lambda function of a stack could empty it",
            ),
        )
        routes = ec2.CfnRouteTable(self, "Routes", vpc_id=vpc.ref, tags=_named(self))  # none but within the VPC
        subnets = [self._add_subnet(vpc, routes, zone) for zone in range(network.zones)]
        self._add_gateway_to_s3(vpc, routes)
        self._add_flow_log(vpc, key, plan.operations.log_retention_days)
        group = ec2.CfnSecurityGroup(
            self,
            "Containers",
            group_description="Containers of rerank-toolkit: nothing in, HTTPS out, which ends at the gateway to S3",
            vpc_id=vpc.ref,
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="tcp", from_port=443, to_port=443, cidr_ip="0.0.0.0/0", description="S3"
                )
            ],
            tags=_named(self),
        )
        self.access = VpcAccess(
            subnets=[subnet.attr_subnet_id for subnet in subnets], security_groups=[group.attr_group_id]
        )

    def _add_subnet(self, vpc: ec2.CfnVPC, routes: ec2.CfnRouteTable, zone: int) -> ec2.CfnSubnet:
        subnet = ec2.CfnSubnet(
            self,
            f"Subnet{zone + 1}",
            vpc_id=vpc.ref,
            cidr_block=_SUBNET_RANGES[zone],
            availability_zone=cdk.Fn.select(zone, cdk.Fn.get_azs()),
            map_public_ip_on_launch=False,
            tags=_named(self),
        )
        ec2.CfnSubnetRouteTableAssociation(
            self, f"Subnet{zone + 1}Routes", route_table_id=routes.ref, subnet_id=subnet.ref
        )
        return subnet

    def _add_gateway_to_s3(self, vpc: ec2.CfnVPC, routes: ec2.CfnRouteTable) -> None:
        policy = iam.PolicyDocument(
            statements=[
                # Which archives a role reads is in the role; a Marketplace package isn't even read in our name.
                iam.PolicyStatement(
                    sid="Read",
                    principals=[iam.AnyPrincipal()],
                    actions=["s3:GetObject", "s3:ListBucket"],
                    resources=["*"],
                ),
                iam.PolicyStatement(
                    sid="WriteToThisAccountOnly",
                    principals=[iam.AnyPrincipal()],
                    actions=["s3:AbortMultipartUpload", "s3:PutObject"],
                    resources=["*"],
                    conditions={
                        "StringEquals": {
                            "aws:PrincipalAccount": self.account,
                            "aws:ResourceAccount": self.account,
                        }
                    },
                ),
            ]
        )
        ec2.CfnVPCEndpoint(
            self,
            "S3",
            vpc_id=vpc.ref,
            service_name=f"com.amazonaws.{self.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[routes.ref],
            policy_document=policy,
        )

    def _add_flow_log(self, vpc: ec2.CfnVPC, key: kms.IKey, retention_days: int) -> None:
        group = log_group(self, "FlowLogs", name=FLOW_LOGS, retention_days=retention_days, key=key)
        role = iam.Role(
            self,
            "FlowLogRole",
            description="VPC flow logs are written in it",
            assumed_by=account_service(self, "vpc-flow-logs"),
            inline_policies={"logs": iam.PolicyDocument(statements=[write_logs([group.attr_arn])])},
        )
        acknowledge(role, INLINE_POLICY)
        ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=vpc.ref,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=group.ref,
            deliver_logs_permission_arn=role.role_arn,
            tags=_named(self),
        )


def vpc_access(scope: Construct, plan: Plan, key: kms.IKey) -> VpcAccess | None:
    """Where the plan puts its containers; None where it leaves that to SageMaker."""
    match plan.network:
        case NewNetwork() as network:
            return NetworkStack(scope, plan, network, key).access
        case ExistingNetwork(subnets=subnets, security_groups=groups):
            return VpcAccess(subnets=subnets, security_groups=groups, shared=True)
        case None:
            return None


def _named(stack: cdk.Stack) -> list[cdk.CfnTag]:
    """What EC2's console shows in place of an id."""
    return [cdk.CfnTag(key="Name", value=stack.stack_name)]
