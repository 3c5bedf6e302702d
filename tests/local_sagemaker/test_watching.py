"""What watches an endpoint: alarms, dashboards, topics, budgets and logs, made and changed through CloudFormation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rerank_toolkit.local_sagemaker.additions.cloudwatch import Rule

from .conftest import LocalAws
from .resources import topic

ACCOUNT = "123456789012"


def alarm(metric: str, **properties: Any) -> dict[str, Any]:
    properties = {
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": [{"Name": "EndpointName", "Value": "any"}, {"Name": "VariantName", "Value": "AllTraffic"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        **properties,
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def test_a_composite_alarm_rings_when_its_rule_says_so(local_aws: LocalAws) -> None:
    template = {
        "Resources": {
            "Errors": alarm("Invocation5XXErrors", AlarmName="errors"),
            "Latency": alarm("ModelLatency", AlarmName="latency"),
            "Either": {
                "Type": "AWS::CloudWatch::CompositeAlarm",
                "Properties": {
                    "AlarmName": "either",
                    "AlarmRule": {"Fn::Sub": 'ALARM("${Errors.Arn}") OR ALARM(${Latency})'},
                },
            },
        },
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Either", "Arn"]}}},
    }
    stack = local_aws.deploy("composite", template)
    assert stack["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons("composite")
    assert stack["Outputs"][0]["OutputValue"] == f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:either"

    cloudwatch = local_aws.client("cloudwatch")

    def state() -> str:
        (found,) = cloudwatch.describe_alarms(AlarmNames=["either"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        return str(found["StateValue"])

    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="quiet")
    cloudwatch.set_alarm_state(AlarmName="latency", StateValue="OK", StateReason="quick")
    assert state() == "OK"
    cloudwatch.set_alarm_state(AlarmName="latency", StateValue="ALARM", StateReason="slow")
    assert state() == "ALARM"

    template["Resources"]["Either"]["Properties"]["AlarmRule"] = {"Fn::Sub": "ALARM(${Errors}) AND ALARM(${Latency})"}
    assert local_aws.deploy("composite", template, update=True)["StackStatus"] == "UPDATE_COMPLETE"
    assert state() == "OK"
    local_aws.delete("composite")
    assert cloudwatch.describe_alarms(AlarmNames=["either", "errors"])["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ('ALARM("rings")', True),
        ("ALARM(quiet) OR ALARM(rings)", True),
        ("ALARM(rings) AND ALARM(quiet)", False),
        ("NOT ALARM(quiet) AND ALARM(rings)", True),
        ("ALARM(rings) OR ALARM(rings) AND ALARM(quiet)", True),
        ("(ALARM(rings) OR ALARM(rings)) AND ALARM(quiet)", False),
        ("OK(quiet) AND (TRUE OR FALSE)", True),
        ("INSUFFICIENT_DATA(quiet)", False),
        ("ALARM(gone)", False),
    ],
)
def test_rules_bind_not_before_and_before_or(rule: str, holds: bool) -> None:
    class Known:
        def __init__(self, state: str) -> None:
            self.state_value = state

    assert Rule(rule).holds({"rings": Known("ALARM"), "quiet": Known("OK")}) is holds  # type: ignore[dict-item]


@pytest.mark.parametrize("rule", ["", "ALARM", "ALARM(a) ALARM(b)", "ALARM(a) AND", "(ALARM(a)", "LOUD(a)", "NOT"])
def test_a_rule_that_cannot_be_read_is_refused(local_aws: LocalAws, rule: str) -> None:
    for name in "ab":
        properties = alarm("Invocations")["Properties"]
        local_aws.client("cloudwatch").put_metric_alarm(AlarmName=name, **properties)
    with pytest.raises(ClientError, match=r"AlarmRule|Invalid length"):
        local_aws.client("cloudwatch").put_composite_alarm(AlarmName="unread", AlarmRule=rule or " ")
    local_aws.client("cloudwatch").delete_alarms(AlarmNames=["a", "b"])


def test_a_composite_alarm_of_alarms_that_are_not_there_is_refused(local_aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="missing-one"):
        local_aws.client("cloudwatch").put_composite_alarm(AlarmName="lost", AlarmRule="ALARM(missing-one)")


def test_a_dashboard_is_put_renamed_and_deleted(local_aws: LocalAws) -> None:
    def template(name: str, title: str) -> dict[str, Any]:
        body = {"widgets": [{"type": "text", "properties": {"markdown": title}}]}
        properties = {"DashboardName": name, "DashboardBody": json.dumps(body)}
        return {"Resources": {"Board": {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}}}

    cloudwatch = local_aws.client("cloudwatch")
    local_aws.deploy("boards", template("boards-first", "one"))
    local_aws.deploy("boards", template("boards-first", "two"), update=True)
    assert "two" in cloudwatch.get_dashboard(DashboardName="boards-first")["DashboardBody"]
    local_aws.deploy("boards", template("boards-second", "two"), update=True)
    entries = cloudwatch.list_dashboards(DashboardNamePrefix="boards-")["DashboardEntries"]
    assert [entry["DashboardName"] for entry in entries] == ["boards-second"]
    local_aws.delete("boards")
    assert cloudwatch.list_dashboards(DashboardNamePrefix="boards-")["DashboardEntries"] == []


def test_a_topic_its_subscribers_and_its_policy_change_in_place(local_aws: LocalAws) -> None:
    def template(action: str, *mails: str, **filters: Any) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [{**statement, "Action": action}]}
        subscribed = {"Protocol": "https", "Endpoint": "https://example.com/hook", "TopicArn": {"Ref": "Topic"}}
        return {
            "Resources": {
                "Topic": topic(
                    KmsMasterKeyId="alias/aws/sns",
                    Subscription=[{"Protocol": "email", "Endpoint": mail} for mail in mails],
                ),
                "Policy": {
                    "Type": "AWS::SNS::TopicPolicy",
                    "Properties": {"PolicyDocument": document, "Topics": [{"Ref": "Topic"}]},
                },
                "Hook": {"Type": "AWS::SNS::Subscription", "Properties": {**subscribed, **filters}},
            }
        }

    sns = local_aws.client("sns")

    def subscribers(arn: str) -> list[str]:
        found = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
        return sorted(entry["Endpoint"] for entry in found)

    local_aws.deploy("alerts", template("sns:Publish", "old@example.com", "kept@example.com"))
    first = local_aws.physical_ids("alerts")
    changed = template("sns:Subscribe", "new@example.com", "kept@example.com", FilterPolicy={"kind": ["idle"]})
    stack = local_aws.deploy("alerts", changed, update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("alerts")
    assert local_aws.physical_ids("alerts") == first
    assert subscribers(first["Topic"]) == ["https://example.com/hook", "kept@example.com", "new@example.com"]
    attributes = sns.get_topic_attributes(TopicArn=first["Topic"])["Attributes"]
    assert json.loads(attributes["Policy"])["Statement"][0]["Action"] == "sns:Subscribe"
    hook = sns.get_subscription_attributes(SubscriptionArn=first["Hook"])["Attributes"]
    assert json.loads(hook["FilterPolicy"]) == {"kind": ["idle"]}

    without = {"Resources": {"Topic": changed["Resources"]["Topic"]}}
    local_aws.deploy("alerts", without, update=True)
    attributes = sns.get_topic_attributes(TopicArn=first["Topic"])["Attributes"]
    assert "AWS:SourceOwner" in attributes["Policy"], "a topic falls back to its owner's policy"
    local_aws.delete("alerts")


def test_a_budget_changes_its_limit_in_place_and_is_replaced_for_other_subscribers(local_aws: LocalAws) -> None:
    def template(amount: int, mail: str) -> dict[str, Any]:
        notification = {
            "NotificationType": "ACTUAL",
            "ComparisonOperator": "GREATER_THAN",
            "Threshold": 100,
            "ThresholdType": "PERCENTAGE",
        }
        budget = {
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": amount, "Unit": "USD"},
            "CostFilters": {"TagKeyValue": ["user:project$rerank-toolkit"]},
        }
        subscribers = [{"SubscriptionType": "EMAIL", "Address": mail}]
        properties = {
            "Budget": budget,
            "NotificationsWithSubscribers": [{"Notification": notification, "Subscribers": subscribers}],
        }
        return {"Resources": {"Budget": {"Type": "AWS::Budgets::Budget", "Properties": properties}}}

    budgets = local_aws.client("budgets")
    local_aws.deploy("spending", template(100, "a@example.com"))
    first = local_aws.physical_ids("spending")["Budget"]
    stack = local_aws.deploy("spending", template(200, "a@example.com"), update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("spending")
    found = budgets.describe_budget(AccountId=ACCOUNT, BudgetName=first)["Budget"]
    assert found["BudgetLimit"]["Amount"] == "200"
    assert budgets.describe_notifications_for_budget(AccountId=ACCOUNT, BudgetName=first)["Notifications"]

    local_aws.deploy("spending", template(200, "b@example.com"), update=True)
    (left,) = budgets.describe_budgets(AccountId=ACCOUNT)["Budgets"]
    assert left["BudgetName"] == local_aws.physical_ids("spending")["Budget"] != first
    local_aws.delete("spending")
    assert budgets.describe_budgets(AccountId=ACCOUNT).get("Budgets", []) == []


def test_a_log_group_gets_another_key_and_loses_it(local_aws: LocalAws) -> None:
    def template(*keys: str) -> dict[str, Any]:
        resources: dict[str, Any] = {name: {"Type": "AWS::KMS::Key", "Properties": {}} for name in ("One", "Two")}
        key = {"KmsKeyId": {"Fn::GetAtt": [keys[0], "Arn"]}} if keys else {}
        resources["Group"] = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/keyed", **key}}
        return {"Resources": resources}

    def key_of_group() -> str | None:
        (group,) = local_aws.client("logs").describe_log_groups(logGroupNamePrefix="/keyed")["logGroups"]
        found: str | None = group.get("kmsKeyId")
        return found

    local_aws.deploy("keyed", template("One"))
    ids = local_aws.physical_ids("keyed")
    assert str(key_of_group()).endswith(ids["One"])
    local_aws.deploy("keyed", template("Two"), update=True)
    assert str(key_of_group()).endswith(ids["Two"])
    local_aws.deploy("keyed", template(), update=True)
    assert key_of_group() is None
    assert local_aws.physical_ids("keyed") == ids
    local_aws.delete("keyed")


def test_a_rule_of_events_changes_its_pattern_and_its_targets_in_place(local_aws: LocalAws) -> None:
    def template(status: str, *targets: str) -> dict[str, Any]:
        pattern = {"source": ["aws.sagemaker"], "detail": {"TransformJobStatus": [status]}}
        properties = {
            "Name": "jobs-ended",
            "EventPattern": pattern,
            "Targets": [{"Id": name, "Arn": {"Ref": name}} for name in targets],
            "Tags": [{"Key": "of", "Value": status}],
        }
        rule = {"Type": "AWS::Events::Rule", "Properties": properties}
        return {"Resources": {"Rule": rule, "One": topic(), "Two": topic()}}

    events = local_aws.client("events")
    assert local_aws.deploy("ended", template("Completed", "One"))["StackStatus"] == "CREATE_COMPLETE"
    stack = local_aws.deploy("ended", template("Failed", "Two"), update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("ended")
    rule = events.describe_rule(Name="jobs-ended")
    assert json.loads(rule["EventPattern"])["detail"] == {"TransformJobStatus": ["Failed"]}
    targets = events.list_targets_by_rule(Rule="jobs-ended")["Targets"]
    assert [target["Arn"] for target in targets] == [local_aws.physical_ids("ended")["Two"]]
    assert events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"] == [{"Key": "of", "Value": "Failed"}]
    local_aws.delete("ended")
    assert events.list_rules(NamePrefix="jobs-ended")["Rules"] == []
