"""The alarms that a rollout watches."""

from __future__ import annotations

from collections.abc import Collection

from rerank_toolkit.local_sagemaker.clients import Clients

_KINDS = ["MetricAlarm", "CompositeAlarm"]


def find_ringing(clients: Clients, names: Collection[str]) -> str | None:
    """Which of the alarms ring, with what CloudWatch says of them; None if none does."""
    ringing = [alarm for alarm in _describe(clients, names) if alarm["StateValue"] == "ALARM"]
    if not ringing:
        return None
    told = "; ".join(f"{alarm['AlarmName']}: {alarm['StateReason']}" for alarm in ringing)
    return f"Rolled back, for alarms rang: {told}"


def find_missing(clients: Clients, names: Collection[str]) -> list[str]:
    """Those that nobody has made."""
    found = {alarm["AlarmName"] for alarm in _describe(clients, names)}
    return [name for name in names if name not in found]


def _describe(clients: Clients, names: Collection[str]) -> list[dict[str, str]]:
    if not names:
        return []
    answer = clients("cloudwatch").describe_alarms(AlarmNames=list(names), AlarmTypes=_KINDS)
    return [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
