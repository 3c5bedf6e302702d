"""Containers in a VPC: one without a way out, or subnets that exist."""

from __future__ import annotations

import json

import msgspec
import pytest

from infra.checks import check_plan
from infra.network import NETWORK
from rerank_toolkit.contracts.plan import ExistingNetwork, NewNetwork

SUBNETS = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
GROUPS = ["sg-0123456789abcdef0"]
EXISTING = ExistingNetwork(subnets=SUBNETS, security_groups=GROUPS)


def _resources(assembly, stack, kind):
    template = assembly.get_stack_by_name(stack).template
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]


@pytest.fixture
def ours(plan, deployment, synthesise):
    return synthesise(plan(deployment(), network=NewNetwork(zones=3)))


def test_a_network_of_our_own_has_no_way_to_the_internet(ours):
    template = json.dumps(ours.get_stack_by_name(NETWORK).template)
    for way in ("InternetGateway", "NatGateway", "TransitGateway", "EgressOnly", "VPNGateway", 'AWS::EC2::Route"'):
        assert way not in template
    assert [subnet["MapPublicIpOnLaunch"] for subnet in _resources(ours, NETWORK, "AWS::EC2::Subnet")] == [False] * 3
    zones = [subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in _resources(ours, NETWORK, "AWS::EC2::Subnet")]
    assert zones == [0, 1, 2]


def test_nothing_in_it_bills_by_the_hour(ours):
    (endpoint,) = _resources(ours, NETWORK, "AWS::EC2::VPCEndpoint")
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert endpoint["ServiceName"] == "com.amazonaws.us-east-1.s3"


def test_the_gateway_writes_to_this_account_only(ours):
    (endpoint,) = _resources(ours, NETWORK, "AWS::EC2::VPCEndpoint")
    statements = {statement["Sid"]: statement for statement in endpoint["PolicyDocument"]["Statement"]}
    writing = statements["WriteToThisAccountOnly"]
    assert writing["Condition"]["StringEquals"]["aws:ResourceAccount"] == {"Ref": "AWS::AccountId"}
    assert all("Put" not in action for action in statements["Read"]["Action"])


def test_nothing_reaches_the_containers_and_they_reach_https_alone(ours):
    (group,) = _resources(ours, NETWORK, "AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in group
    assert [(rule["FromPort"], rule["ToPort"]) for rule in group["SecurityGroupEgress"]] == [(443, 443)]


def test_all_its_traffic_is_logged_under_the_key(ours):
    (flow,) = _resources(ours, NETWORK, "AWS::EC2::FlowLog")
    assert flow["TrafficType"] == "ALL"
    (group,) = _resources(ours, NETWORK, "AWS::Logs::LogGroup")
    assert "StorageKey" in json.dumps(group["KmsKeyId"])
    assert group["RetentionInDays"] == 30


def test_a_model_has_its_interfaces_in_the_network_of_the_plan(plan, deployment, synthesise):
    assembly = synthesise(plan(deployment(), network=EXISTING))
    (model,) = _resources(assembly, "RerankTinyCpu", "AWS::SageMaker::Model")
    assert model["VpcConfig"] == {"SecurityGroupIds": GROUPS, "Subnets": SUBNETS}
    assert model["EnableNetworkIsolation"] is True
    assert NETWORK not in [stack.stack_name for stack in assembly.stacks]


def test_without_a_network_a_model_is_in_no_vpc(render, deployment):
    template = render(deployment())
    assert "VpcConfig" not in template.one("AWS::SageMaker::Model")
    assert "ec2:" not in json.dumps(template)


@pytest.mark.parametrize(
    ("field", "network"),
    [
        ("network.subnets[1]", ExistingNetwork(subnets=[SUBNETS[0], "subnet-1"], security_groups=GROUPS)),
        ("network.security_groups[0]", ExistingNetwork(subnets=SUBNETS, security_groups=["default"])),
        ("network.security_groups[1]", ExistingNetwork(subnets=SUBNETS, security_groups=GROUPS * 2)),
        ("network.subnets", ExistingNetwork(subnets=SUBNETS[:1], security_groups=GROUPS)),
    ],
)
def test_a_faulty_network_is_refused_by_field(plan, deployment, field, network):
    assert [fault.field for fault in check_plan(plan(deployment(), network=network))] == [field]


def test_serverless_is_refused_beside_a_network_for_it_runs_in_none(every_mode):
    faults = check_plan(msgspec.structs.replace(every_mode, network=EXISTING))
    position = [deployment.mode for deployment in every_mode.deployments].index("serverless")
    (fault,) = faults
    assert fault.field == f"deployments[{position}].mode"
    assert "runs in no VPC" in fault.message


def test_subnets_that_may_be_shared_are_named_by_id_alone(in_subnets_that_exist, synthesise):
    template = json.dumps(synthesise(in_subnets_that_exist).get_stack_by_name("RerankInside").template)
    assert f"arn:aws:ec2:us-east-1:*:subnet/{SUBNETS[0]}" in template
