"""What all endpoints share: the key that encrypts their storage."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra.encryption_key import encryption_key
from infra.tags import tag
from rerank_toolkit.contracts.plan import Plan

FOUNDATION = "RerankFoundation"


class FoundationStack(cdk.Stack):
    """Deployed by itself when the first endpoint that needs it is."""

    def __init__(self, scope: Construct, plan: Plan) -> None:
        super().__init__(
            scope,
            FOUNDATION,
            env=environment(plan),
            description="Shared by all rerank-toolkit endpoints: the key that encrypts their storage",
        )
        tag(self)  # not the plan: it serves the endpoints of all plans
        self.key = encryption_key(self)


def environment(plan: Plan) -> cdk.Environment:
    """The plan's region, where its prices hold; the account is whose credentials deploy, unknown until then."""
    return cdk.Environment(region=plan.region)
