"""How an update reaches a standing endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from infra.rollout import LONGEST_S, has_guardrails, smallest_fleet, waits_s
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment

SMALLEST_PERCENT = {"linear": 10, "rolling": 5}
"""Of the instances in one step; at most half of them in any kind (SageMaker's service model)."""


def check_rollout(deployment: Deployment, field: str) -> Iterator[Fault]:
    rollout, field = deployment.rollout, f"{field}.rollout"
    if rollout is None:
        return
    if not has_guardrails(deployment):
        what = deployment.mode if deployment.mode in ("serverless", "batch") else "a Marketplace package"
        yield Fault(field, f"is set; SageMaker has no rollouts for {what}, it changes over at once: leave it out")
        return
    kind = rollout.kind
    if deployment.mode == "inference-component" and kind != "rolling":
        yield Fault(f"{field}.kind", f"is {kind}; copies of an inference component are replaced by rolling alone")
    elif kind == "rolling" and deployment.variants:
        yield Fault(
            f"{field}.kind", "is rolling, which SageMaker doesn't do with several variants; expected another kind"
        )
    if kind != "all-at-once" and (least := smallest_fleet(deployment)) < 2:
        yield Fault(
            f"{field}.kind",
            f"is {kind}, of which a step is at most half of a fleet, and the smallest has {least} when the fewest "
            "stand; expected all-at-once, or at least 2",
        )
    if rollout.percent < (smallest := SMALLEST_PERCENT.get(kind, 1)):
        yield Fault(f"{field}.percent", f"is {rollout.percent}; of {kind} expected {smallest} to 50")
    if (waits := waits_s(rollout)) > LONGEST_S:
        yield Fault(
            f"{field}.wait_s",
            f"is {rollout.wait_s}; all waits together would be {waits:,} s, and SageMaker ends a rollout after "
            f"{LONGEST_S:,}",
        )
