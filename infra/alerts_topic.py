"""Where alarms are told: one topic for all endpoints, and the mail addresses that hear of it."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.alarm import alarm_arn


class AlertsTopic(sns.Topic):
    """Encrypted under `key`, whose policy must let CloudWatch use it; written to by this account's alarms alone.

    Whoever wants chat or a pager subscribes it here. An address has to be confirmed once, by the link in its first
    mail, and again if it is left out of the plan for a while.
    """

    def __init__(self, scope: Construct, *, key: kms.IKey, notify: Sequence[str]) -> None:
        super().__init__(scope, "Alerts", display_name="rerank-toolkit", master_key=key, enforce_ssl=True)
        stack = cdk.Stack.of(self)
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": alarm_arn(stack, "*")},
                },
            )
        )
        for address in notify:  # called by it: another address must not have to be confirmed anew when one goes
            mail = sns.CfnSubscription(self, address, topic_arn=self.topic_arn, protocol="email", endpoint=address)
            acknowledge(mail, {"Serverless-SNSRedrivePolicy": "what no mail tells stands in the alarm's own history"})
