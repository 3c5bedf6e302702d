"""S3: bucket policies without what they say of circumstances."""

from __future__ import annotations

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket


def get_permission(self: FakeBucket, action: str, resource: str) -> PermissionResult:
    """moto takes a statement for one without its condition: a policy that denies what comes without TLS would deny
    everything. Statements with a condition are left out instead."""
    if self.policy is None:
        return PermissionResult.NEUTRAL
    document = json.loads(self.policy)
    statements: Any = document["Statement"]
    unconditional = [
        statement
        for statement in (statements if isinstance(statements, list) else [statements])
        if not statement.get("Condition")
    ]
    return IAMPolicy(json.dumps({**document, "Statement": unconditional})).is_action_permitted(action, resource)


def install() -> None:
    setattr(FakeBucket, get_permission.__name__, get_permission)
