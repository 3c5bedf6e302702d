"""EC2's networks: described as they are on AWS, but no packet goes through them; containers are on loopback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceFailed,
    ResourceType,
    absent_is_fine,
    json_text,
    standing,
    tags_of,
)


def _tagged(request: Request, kind: str) -> dict[str, Any]:
    """The tags of a resource that is made with them."""
    tags = [{"Key": key, "Value": value} for key, value in tags_of(request.properties).items()]
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}


def _retag(request: Request) -> Mapping[str, Any]:
    old, new = tags_of(request.previous), tags_of(request.properties)
    resource = {"Resources": [request.physical_id]}
    if dropped := sorted(set(old) - set(new)):
        request.call("ec2", "delete_tags", {**resource, "Tags": [{"Key": key} for key in dropped]})
    if new and new != old:
        tags = [{"Key": key, "Value": value} for key, value in new.items()]
        request.call("ec2", "create_tags", {**resource, "Tags": tags})
    return {}


# Networks

_DNS = ("EnableDnsSupport", "EnableDnsHostnames")


def _create_vpc(request: Request) -> Made:
    parameters = {**request.without(*_DNS, "Tags"), **_tagged(request, "vpc")}
    vpc = request.call("ec2", "create_vpc", parameters)["Vpc"]["VpcId"]
    with standing(Made(vpc, {"VpcId": vpc})):
        _set_dns(request, vpc)
        owned = [{"Name": "vpc-id", "Values": [vpc]}]
        groups = request.call("ec2", "describe_security_groups", {"Filters": owned})["SecurityGroups"]
        lists = request.call("ec2", "describe_network_acls", {"Filters": owned})["NetworkAcls"]
    return Made(
        vpc,
        {
            "VpcId": vpc,
            "CidrBlock": request.properties["CidrBlock"],
            "DefaultSecurityGroup": groups[0]["GroupId"],
            "DefaultNetworkAcl": lists[0]["NetworkAclId"],
        },
    )


def _update_vpc(request: Request) -> Mapping[str, Any]:
    _set_dns(request, request.physical_id)
    return _retag(request)


def _set_dns(request: Request, vpc: str) -> None:
    for name in _DNS:
        if name in request.properties:  # one call sets one attribute
            value = {"Value": request.properties[name]}
            request.call("ec2", "modify_vpc_attribute", {"VpcId": vpc, name: value})


def _create_subnet(request: Request) -> Made:
    parameters = {**request.without("MapPublicIpOnLaunch", "Tags"), **_tagged(request, "subnet")}
    subnet = request.call("ec2", "create_subnet", parameters)["Subnet"]
    made = Made(
        subnet["SubnetId"], {name: subnet[name] for name in ("SubnetId", "VpcId", "AvailabilityZone", "CidrBlock")}
    )
    with standing(made):
        _set_public_addresses(request, subnet["SubnetId"])
    return made


def _update_subnet(request: Request) -> Mapping[str, Any]:
    _set_public_addresses(request, request.physical_id)
    return _retag(request)


def _set_public_addresses(request: Request, subnet: str) -> None:
    if "MapPublicIpOnLaunch" in request.properties:
        value = {"Value": request.properties["MapPublicIpOnLaunch"]}
        request.call("ec2", "modify_subnet_attribute", {"SubnetId": subnet, "MapPublicIpOnLaunch": value})


def _create_route_table(request: Request) -> Made:
    parameters = {**request.pick("VpcId"), **_tagged(request, "route-table")}
    table = request.call("ec2", "create_route_table", parameters)["RouteTable"]["RouteTableId"]
    return Made(table, {"RouteTableId": table})


def _associate(request: Request) -> Made:
    parameters = request.pick("RouteTableId", "SubnetId")
    association = request.call("ec2", "associate_route_table", parameters)["AssociationId"]
    return Made(association, {"Id": association})


# Security groups

_RULES = (
    ("SecurityGroupIngress", "ingress", "Source"),
    ("SecurityGroupEgress", "egress", "Destination"),
)


def _create_group(request: Request) -> Made:
    name = request.properties.get("GroupName") or request.name(255)
    parameters = {
        "GroupName": name,
        "Description": request.properties["GroupDescription"],
        **request.pick("VpcId"),
        **_tagged(request, "security-group"),
    }
    group = request.call("ec2", "create_security_group", parameters)["GroupId"]
    with standing(Made(group, {"GroupId": group, "Id": group, **request.pick("VpcId")})) as made:
        if "SecurityGroupEgress" in request.properties:  # which takes the place of the rule that allows everything
            everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
            parameters = {"GroupId": group, "IpPermissions": [everything]}
            request.call("ec2", "revoke_security_group_egress", parameters)
        for prop, direction, peer in _RULES:
            _authorize(request, group, direction, _permissions(request.properties.get(prop, ()), peer))
    return made


def _update_group(request: Request) -> Mapping[str, Any]:
    for prop, direction, peer in _RULES:
        old, new = (_permissions(rules.get(prop, ()), peer) for rules in (request.previous, request.properties))
        _revoke(request, request.physical_id, direction, [rule for rule in old if rule not in new])
        _authorize(request, request.physical_id, direction, [rule for rule in new if rule not in old])
    return _retag(request)


def _authorize(request: Request, group: str, direction: str, permissions: list[dict[str, Any]]) -> None:
    if permissions:
        parameters = {"GroupId": group, "IpPermissions": permissions}
        request.call("ec2", f"authorize_security_group_{direction}", parameters)


def _revoke(request: Request, group: str, direction: str, permissions: list[dict[str, Any]]) -> None:
    for permission in permissions:
        parameters = {"GroupId": group, "IpPermissions": [permission]}
        request.call_if_there("InvalidPermission.NotFound", "ec2", f"revoke_security_group_{direction}", parameters)


def _permissions(rules: Any, peer: str) -> list[dict[str, Any]]:
    """Rules as the API writes them: who is on the other end stands in lists."""
    return [_permission(rule, peer) for rule in rules]


def _permission(rule: Mapping[str, Any], peer: str) -> dict[str, Any]:
    permission = {name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in rule}
    described = {"Description": rule["Description"]} if "Description" in rule else {}
    for prop, collection, name in (
        ("CidrIp", "IpRanges", "CidrIp"),
        ("CidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        (f"{peer}SecurityGroupId", "UserIdGroupPairs", "GroupId"),
        (f"{peer}PrefixListId", "PrefixListIds", "PrefixListId"),
    ):
        if prop in rule:
            permission[collection] = [{name: rule[prop], **described}]
    return permission


def _rule_type(direction: str, peer: str) -> ResourceType:
    """A rule of its own, beside its group: groups that name each other need it."""

    def create(request: Request) -> Made:
        group = request.properties["GroupId"]
        _authorize(request, group, direction, [_permission(request.properties, peer)])
        rule = request.name(64)
        return Made(rule, {"Id": rule})

    def delete(request: Request) -> None:
        _revoke(request, request.properties["GroupId"], direction, [_permission(request.properties, peer)])

    return ResourceType(create=create, delete=absent_is_fine(delete, "InvalidGroup.NotFound"))


# Endpoints of AWS services, and logs

_MEMBERS = ("RouteTableIds", "SecurityGroupIds", "SubnetIds")


def _create_endpoint(request: Request) -> Made:
    parameters = {
        "VpcEndpointType": "Gateway",
        **request.without("PolicyDocument", "Tags"),
        **_policy(request),
        **_tagged(request, "vpc-endpoint"),
    }
    endpoint = request.call("ec2", "create_vpc_endpoint", parameters)["VpcEndpoint"]
    identifier = endpoint["VpcEndpointId"]
    entries = [f"{entry['HostedZoneId']}:{entry['DnsName']}" for entry in endpoint.get("DnsEntries", ())]
    interfaces = endpoint.get("NetworkInterfaceIds", [])
    return Made(identifier, {"Id": identifier, "DnsEntries": entries, "NetworkInterfaceIds": interfaces})


def _update_endpoint(request: Request) -> Mapping[str, Any]:
    parameters = _policy(request)
    for name in _MEMBERS:
        old, new = (properties.get(name, []) for properties in (request.previous, request.properties))
        if added := [member for member in new if member not in old]:
            parameters[f"Add{name}"] = added
        if removed := [member for member in old if member not in new]:
            parameters[f"Remove{name}"] = removed
    request.call("ec2", "modify_vpc_endpoint", {"VpcEndpointId": request.physical_id, **parameters})
    return _retag(request)


def _policy(request: Request) -> dict[str, Any]:
    document = request.properties.get("PolicyDocument")
    return {"PolicyDocument": json_text(document)} if document else {}


def _delete_endpoint(request: Request) -> None:
    request.call("ec2", "delete_vpc_endpoints", {"VpcEndpointIds": [request.physical_id]})


def _create_flow_log(request: Request) -> Made:
    parameters = {**request.without("ResourceId", "Tags"), "ResourceIds": [request.properties["ResourceId"]]}
    answer = request.call("ec2", "create_flow_logs", {**parameters, **_tagged(request, "vpc-flow-log")})
    if refused := answer.get("Unsuccessful"):
        raise ResourceFailed(refused[0]["Error"]["Message"])
    (log,) = answer["FlowLogIds"]
    return Made(log, {"Id": log})


def _delete_flow_log(request: Request) -> None:
    request.call("ec2", "delete_flow_logs", {"FlowLogIds": [request.physical_id]})


def _deleting(operation: str, parameter: str) -> Callable[[Request], None]:
    return lambda request: request.call("ec2", operation, {parameter: request.physical_id})


TYPES = {
    "AWS::EC2::VPC": ResourceType(
        create=_create_vpc,
        update=_update_vpc,
        delete=absent_is_fine(_deleting("delete_vpc", "VpcId"), "InvalidVpcID.NotFound"),
        immutable=frozenset(
            {"CidrBlock", "InstanceTenancy", "Ipv4IpamPoolId", "Ipv4NetmaskLength", "VpcEncryptionControl"}
        ),
    ),
    "AWS::EC2::Subnet": ResourceType(
        create=_create_subnet,
        update=_update_subnet,
        delete=absent_is_fine(_deleting("delete_subnet", "SubnetId"), "InvalidSubnetID.NotFound"),
        immutable=frozenset(
            {
                "AvailabilityZone",
                "AvailabilityZoneId",
                "CidrBlock",
                "Ipv4IpamPoolId",
                "Ipv4NetmaskLength",
                "Ipv6CidrBlock",
                "Ipv6IpamPoolId",
                "Ipv6Native",
                "Ipv6NetmaskLength",
                "OutpostArn",
                "VpcId",
            }
        ),
    ),
    "AWS::EC2::RouteTable": ResourceType(
        create=_create_route_table,
        update=_retag,
        delete=absent_is_fine(_deleting("delete_route_table", "RouteTableId"), "InvalidRouteTableID.NotFound"),
        immutable=frozenset({"VpcId"}),
    ),
    "AWS::EC2::SubnetRouteTableAssociation": ResourceType(
        create=_associate,
        delete=absent_is_fine(_deleting("disassociate_route_table", "AssociationId"), "InvalidAssociationID.NotFound"),
    ),
    "AWS::EC2::SecurityGroup": ResourceType(
        create=_create_group,
        update=_update_group,
        delete=absent_is_fine(_deleting("delete_security_group", "GroupId"), "InvalidGroup.NotFound"),
        immutable=frozenset({"GroupDescription", "GroupName", "VpcId"}),
    ),
    "AWS::EC2::SecurityGroupIngress": _rule_type("ingress", "Source"),
    "AWS::EC2::SecurityGroupEgress": _rule_type("egress", "Destination"),
    "AWS::EC2::VPCEndpoint": ResourceType(
        create=_create_endpoint,
        update=_update_endpoint,
        delete=absent_is_fine(_delete_endpoint, "InvalidVpcEndpointId.NotFound"),
        immutable=frozenset(
            {
                "DnsOptions/PrivateDnsPreference",
                "DnsOptions/PrivateDnsSpecifiedDomains",
                "ResourceConfigurationArn",
                "ServiceName",
                "ServiceNetworkArn",
                "ServiceRegion",
                "VpcEndpointType",
                "VpcId",
            }
        ),
    ),
    "AWS::EC2::FlowLog": ResourceType(
        create=_create_flow_log,
        update=_retag,
        delete=absent_is_fine(_delete_flow_log, "InvalidFlowLogId.NotFound"),
        immutable=frozenset(
            {
                "DeliverCrossAccountRole",
                "DeliverLogsPermissionArn",
                "DestinationOptions",
                "LogDestination",
                "LogDestinationType",
                "LogFormat",
                "LogGroupName",
                "MaxAggregationInterval",
                "ResourceId",
                "ResourceType",
                "TagFieldSpecifications",
                "TrafficType",
            }
        ),
    ),
}
