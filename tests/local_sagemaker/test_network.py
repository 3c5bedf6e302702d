"""A network of its own for endpoints: made, changed and deleted through CloudFormation."""

from __future__ import annotations

from typing import Any

from .conftest import LocalAws
from .resources import role


def network(*, port: int = 443, tag: str = "one", second_subnet: bool = True) -> dict[str, Any]:
    """Two private subnets, endpoints of AWS services in them, and a log of what flows."""
    subnets = ["A", "B"] if second_subnet else ["A"]
    resources: dict[str, Any] = {
        "Vpc": _ec2("VPC", CidrBlock="10.7.0.0/16", EnableDnsSupport=True, EnableDnsHostnames=True, Tags=_tags(tag)),
        "Table": _ec2("RouteTable", VpcId={"Ref": "Vpc"}),
        "Group": _ec2(
            "SecurityGroup",
            GroupDescription="of the endpoints",
            VpcId={"Ref": "Vpc"},
            SecurityGroupEgress=[{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "10.7.0.0/16"}],
            SecurityGroupIngress=[{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "10.7.0.0/16"}],
        ),
        "FromItself": _ec2(
            "SecurityGroupIngress",
            GroupId={"Ref": "Group"},
            IpProtocol="tcp",
            FromPort=8080,
            ToPort=8080,
            SourceSecurityGroupId={"Fn::GetAtt": ["Group", "GroupId"]},
        ),
        "Registry": _ec2(
            "VPCEndpoint",
            ServiceName={"Fn::Sub": "com.amazonaws.${AWS::Region}.ecr.api"},
            VpcEndpointType="Interface",
            VpcId={"Ref": "Vpc"},
            SubnetIds=[{"Ref": name} for name in subnets],
            SecurityGroupIds=[{"Ref": "Group"}],
            PrivateDnsEnabled=True,
        ),
        "Storage": _ec2(
            "VPCEndpoint",
            ServiceName={"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
            VpcId={"Ref": "Vpc"},
            RouteTableIds=[{"Ref": "Table"}],
        ),
        "Flows": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/flows"}},
        "Writer": role(),
        "Log": _ec2(
            "FlowLog",
            ResourceId={"Ref": "Vpc"},
            ResourceType="VPC",
            TrafficType="ALL",
            LogGroupName={"Ref": "Flows"},
            DeliverLogsPermissionArn={"Fn::GetAtt": ["Writer", "Arn"]},
        ),
    }
    for index, name in enumerate(subnets):
        resources[name] = _ec2(
            "Subnet",
            VpcId={"Ref": "Vpc"},
            AvailabilityZone={"Fn::Select": [index, {"Fn::GetAZs": ""}]},
            CidrBlock={"Fn::Select": [index, {"Fn::Cidr": [{"Fn::GetAtt": ["Vpc", "CidrBlock"]}, 4, 8]}]},
            MapPublicIpOnLaunch=False,
        )
        resources[f"Route{name}"] = _ec2(
            "SubnetRouteTableAssociation", SubnetId={"Ref": name}, RouteTableId={"Ref": "Table"}
        )
    outputs = {"Default": {"Value": {"Fn::GetAtt": ["Vpc", "DefaultSecurityGroup"]}}}
    return {"Resources": resources, "Outputs": outputs}


def _ec2(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::EC2::{kind}", "Properties": properties}


def _tags(value: str) -> list[dict[str, str]]:
    return [{"Key": "Name", "Value": value}]


def test_a_network_is_made_changed_where_it_is_and_leaves_nothing(local_aws: LocalAws) -> None:
    ec2 = local_aws.client("ec2")
    before = len(ec2.describe_vpcs()["Vpcs"])
    stack = local_aws.deploy("network", network(second_subnet=False))
    assert stack["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons("network")
    first = local_aws.physical_ids("network")
    assert stack["Outputs"][0]["OutputValue"].startswith("sg-")

    stack = local_aws.deploy("network", network(port=8443, tag="two"), update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("network")
    ids = local_aws.physical_ids("network")
    assert {name: ids[name] for name in first} == first, "nothing was replaced"

    (vpc,) = ec2.describe_vpcs(VpcIds=[ids["Vpc"]])["Vpcs"]
    assert vpc["Tags"] == _tags("two")
    hostnames = ec2.describe_vpc_attribute(VpcId=ids["Vpc"], Attribute="enableDnsHostnames")
    assert hostnames["EnableDnsHostnames"]["Value"]
    subnets = ec2.describe_subnets(SubnetIds=[ids["A"], ids["B"]])["Subnets"]
    assert {subnet["CidrBlock"] for subnet in subnets} == {"10.7.0.0/24", "10.7.1.0/24"}
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2

    (group,) = ec2.describe_security_groups(GroupIds=[ids["Group"]])["SecurityGroups"]
    assert [rule["FromPort"] for rule in group["IpPermissionsEgress"]] == [8443], "no way out but this"
    assert sorted(rule["FromPort"] for rule in group["IpPermissions"]) == [8080, 8443]
    endpoints = ec2.describe_vpc_endpoints(VpcEndpointIds=[ids["Registry"]])["VpcEndpoints"]
    assert sorted(endpoints[0]["SubnetIds"]) == sorted([ids["A"], ids["B"]])
    (log,) = ec2.describe_flow_logs(FlowLogIds=[ids["Log"]])["FlowLogs"]
    assert log["DeliverLogsStatus"] == "SUCCESS"

    local_aws.delete("network")
    assert len(ec2.describe_vpcs()["Vpcs"]) == before
    assert ec2.describe_flow_logs()["FlowLogs"] == []


def test_zones_of_another_region_are_not_known(local_aws: LocalAws) -> None:
    subnet = _ec2(
        "Subnet",
        VpcId="vpc-1",
        CidrBlock="10.0.0.0/24",
        AvailabilityZone={"Fn::Select": [0, {"Fn::GetAZs": "eu-west-1"}]},
    )
    stack = local_aws.deploy("far-zones", {"Resources": {"Subnet": subnet}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "runs us-east-1, not eu-west-1" in local_aws.reasons("far-zones")
    local_aws.delete("far-zones")
