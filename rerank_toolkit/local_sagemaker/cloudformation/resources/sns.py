"""SNS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import (
    Made,
    Request,
    ResourceType,
    absent_is_fine,
    json_text,
    standing,
)

_GONE = "NotFound"

_ATTRIBUTES = {"DisplayName": "", "KmsMasterKeyId": "", "SignatureVersion": "1", "TracingConfig": "PassThrough"}
"""A topic's attributes that can be changed, and what they are when nobody gives them."""


def _create_topic(request: Request) -> Made:
    name = request.properties.get("TopicName") or request.name(256)
    attributes = {key: str(value) for key, value in request.pick(*_ATTRIBUTES).items()}
    parameters = {"Name": name, "Attributes": attributes, **request.pick("Tags")}
    arn = request.call("sns", "create_topic", parameters)["TopicArn"]
    with standing(Made(arn, {"TopicArn": arn, "TopicName": name})) as made:
        for subscription in request.properties.get("Subscription", ()):
            request.call("sns", "subscribe", {"TopicArn": arn, **subscription})
    return made


def _update_topic(request: Request) -> Mapping[str, Any]:
    arn = request.physical_id
    for key, default in _ATTRIBUTES.items():
        if request.previous.get(key) != request.properties.get(key):
            _set_attribute(request, arn, key, str(request.properties.get(key, default)))
    before, after = (_subscriptions(properties) for properties in (request.previous, request.properties))
    for protocol, endpoint in sorted(after - before):
        request.call("sns", "subscribe", {"TopicArn": arn, "Protocol": protocol, "Endpoint": endpoint})
    if dropped := before - after:
        for page in request.clients("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn):
            for subscription in page["Subscriptions"]:
                if (subscription["Protocol"], subscription["Endpoint"]) in dropped:
                    request.call("sns", "unsubscribe", {"SubscriptionArn": subscription["SubscriptionArn"]})
    request.retag("sns", {"ResourceArn": arn})
    return {}


def _subscriptions(properties: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(entry["Protocol"], entry["Endpoint"]) for entry in properties.get("Subscription", ())}


def _delete_topic(request: Request) -> None:
    request.call("sns", "delete_topic", {"TopicArn": request.physical_id})


def _set_attribute(request: Request, topic: str, name: str, value: str) -> None:
    parameters = {"TopicArn": topic, "AttributeName": name, "AttributeValue": value}
    request.call("sns", "set_topic_attributes", parameters)


_SUBSCRIPTION_ATTRIBUTES = (
    "FilterPolicyScope",  # before the policy, which is checked by it
    "FilterPolicy",
    "RawMessageDelivery",
    "RedrivePolicy",
    "DeliveryPolicy",
    "SubscriptionRoleArn",
)


def _create_subscription(request: Request) -> Made:
    parameters = {**request.pick("TopicArn", "Protocol", "Endpoint"), "ReturnSubscriptionArn": True}
    arn = request.call("sns", "subscribe", parameters)["SubscriptionArn"]
    with standing(Made(arn, {"Arn": arn})) as made:
        for name in _SUBSCRIPTION_ATTRIBUTES:
            if name in request.properties:
                _set_subscription_attribute(request, arn, name, request.properties[name])
    return made


def _update_subscription(request: Request) -> Mapping[str, Any]:
    for name in _SUBSCRIPTION_ATTRIBUTES:
        if request.previous.get(name) != request.properties.get(name):
            _set_subscription_attribute(request, request.physical_id, name, request.properties.get(name, ""))
    return {}


def _set_subscription_attribute(request: Request, arn: str, name: str, value: Any) -> None:
    text = str(value).lower() if isinstance(value, bool) else json_text(value)
    parameters = {"SubscriptionArn": arn, "AttributeName": name, "AttributeValue": text}
    request.call("sns", "set_subscription_attributes", parameters)


def _delete_subscription(request: Request) -> None:
    request.call("sns", "unsubscribe", {"SubscriptionArn": request.physical_id})


def _put_policy(request: Request) -> Made:
    for topic in request.properties["Topics"]:
        _set_attribute(request, topic, "Policy", json_text(request.properties["PolicyDocument"]))
    return Made(request.physical_id or request.name(128))


def _update_policy(request: Request) -> Mapping[str, Any]:
    _put_policy(request)
    _reset_policies(request, set(request.previous["Topics"]) - set(request.properties["Topics"]))
    return {}


def _delete_policy(request: Request) -> None:
    _reset_policies(request, set(request.properties["Topics"]))


def _reset_policies(request: Request, topics: set[str]) -> None:
    """A topic is never without a policy: it falls back to the one that it was born with, for its owner alone."""
    for topic in sorted(topics):
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [f"SNS:{verb}" for verb in ("GetTopicAttributes", "SetTopicAttributes", "Publish", "Subscribe")],
            "Resource": topic,
            "Condition": {"StringEquals": {"AWS:SourceOwner": request.account}},
        }
        document = {"Version": "2008-10-17", "Statement": [statement]}
        parameters = {"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": json.dumps(document)}
        request.call_if_there(_GONE, "sns", "set_topic_attributes", parameters)


TYPES = {
    "AWS::SNS::Topic": ResourceType(
        create=_create_topic,
        update=_update_topic,
        delete=absent_is_fine(_delete_topic, _GONE),
        immutable=frozenset({"TopicName", "FifoTopic"}),
    ),
    "AWS::SNS::Subscription": ResourceType(
        create=_create_subscription,
        update=_update_subscription,
        delete=absent_is_fine(_delete_subscription, _GONE),
        immutable=frozenset({"Endpoint", "Protocol", "Region", "TopicArn"}),
    ),
    "AWS::SNS::TopicPolicy": ResourceType(create=_put_policy, update=_update_policy, delete=_delete_policy),
}
