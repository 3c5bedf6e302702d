"""What all deployments share: the key that encrypts what they store, the topic of their alarms, and the budget."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra.alerts_topic import AlertsTopic
from infra.budget import Budget
from infra.encryption_key import encryption_key
from infra.tags import tag
from rerank_toolkit.contracts.plan import Plan

FOUNDATION = "RerankFoundation"


class FoundationStack(cdk.Stack):
    """Deployed by itself when the first endpoint that needs it is.

    Another plan's deploy in the same region brings its own `operations` here: give all of them the same.
    """

    def __init__(self, scope: Construct, plan: Plan) -> None:
        super().__init__(
            scope,
            FOUNDATION,
            env=environment(plan),
            description="Shared by all rerank-toolkit deployments: encryption key, billed by the month, "
            "topic of the alarms, budget",
        )
        tag(self)  # not the plan: it serves the endpoints of all plans
        self.key = encryption_key(self)
        operations = plan.operations
        self.alerts = AlertsTopic(self, key=self.key, notify=operations.notify)
        if operations.monthly_budget is not None:
            Budget(self, monthly=operations.monthly_budget, notify=operations.notify)
        cdk.CfnOutput(
            self,
            "AlertsTopicArn",
            value=self.alerts.topic_arn,
            description="All alarms write here: subscribe whoever is on call",
        )


def environment(plan: Plan) -> cdk.Environment:
    """The plan's region, where its prices hold; the account is whose credentials deploy, unknown until then."""
    return cdk.Environment(region=plan.region)
