"""SNS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.local_sagemaker.cloudformation.resources.base import Made, Request, ResourceType, absent_is_fine

_ATTRIBUTES = ("DisplayName", "KmsMasterKeyId")


def _create_topic(request: Request) -> Made:
    name = request.properties.get("TopicName") or request.name(256)
    attributes = {key: str(value) for key, value in request.pick(*_ATTRIBUTES).items()}
    parameters = {"Name": name, "Attributes": attributes, **request.pick("Tags")}
    arn = request.call("sns", "create_topic", parameters)["TopicArn"]
    for subscription in request.properties.get("Subscription", ()):
        request.call("sns", "subscribe", {"TopicArn": arn, **subscription})
    return Made(arn, {"TopicArn": arn, "TopicName": name})


def _update_topic(request: Request) -> Mapping[str, Any]:
    for key in _ATTRIBUTES:
        value = str(request.properties.get(key, ""))
        parameters = {"TopicArn": request.physical_id, "AttributeName": key, "AttributeValue": value}
        request.call("sns", "set_topic_attributes", parameters)
    request.retag("sns", {"ResourceArn": request.physical_id})
    return {}


def _delete_topic(request: Request) -> None:
    request.call("sns", "delete_topic", {"TopicArn": request.physical_id})


def _create_subscription(request: Request) -> Made:
    arn = request.call(
        "sns", "subscribe", {**request.pick("TopicArn", "Protocol", "Endpoint"), "ReturnSubscriptionArn": True}
    )
    return Made(arn["SubscriptionArn"], {"Arn": arn["SubscriptionArn"]})


def _delete_subscription(request: Request) -> None:
    request.call("sns", "unsubscribe", {"SubscriptionArn": request.physical_id})


TYPES = {
    "AWS::SNS::Topic": ResourceType(
        create=_create_topic,
        update=_update_topic,
        delete=absent_is_fine(_delete_topic, "NotFound"),
        immutable=frozenset({"TopicName", "FifoTopic", "Subscription"}),
    ),
    "AWS::SNS::Subscription": ResourceType(
        create=_create_subscription, delete=absent_is_fine(_delete_subscription, "NotFound")
    ),
}
