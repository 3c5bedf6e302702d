"""One line on what a stack runs, what it is expected to cost, and which plan says so."""

from __future__ import annotations

from decimal import Decimal

from infra.scalable import widest_bounds
from infra.served import Served, all_served, is_package, is_shadow
from rerank_toolkit.contracts.plan import Deployment, Plan

UNKNOWN = "unknown"


MOST_CHARACTERS = 512
"""That the CDK takes; CloudFormation takes twice as many bytes."""


def describe(plan: Plan, deployment: Deployment) -> str:
    """ASCII, for CloudFormation keeps no more of a description."""
    first, *others = _parts(deployment)
    why = f"{_price(plan, deployment)}, plan {plan.id}"
    line = ", ".join([first, *others, why])
    return line if len(line) <= MOST_CHARACTERS else f"{first}, {len(others)} variants beside it, {why}"


def monthly_cost(deployment: Deployment) -> str:
    """What the plan expects of all that the deployment serves, in dollars; a part that is unknown is no zero."""
    known = [cost for one in all_served(deployment) if (cost := one.expected.monthly_cost) is not None]
    if not known:
        return UNKNOWN
    least = "" if len(known) == len(all_served(deployment)) else "at least "
    return f"{least}${sum(known, Decimal()):,.2f}"


def price_date(plan: Plan) -> str:
    return f"{plan.price_date:%Y-%m-%d}" if plan.price_date else UNKNOWN


def _price(plan: Plan, deployment: Deployment) -> str:
    cost = monthly_cost(deployment)
    if cost == UNKNOWN:
        return "monthly cost unknown"
    return f"expected {cost} a month" + (f" at prices of {price_date(plan)}" if plan.price_date else "")


def _parts(deployment: Deployment) -> list[str]:
    weights = sum(one.weight for one in all_served(deployment) if not is_shadow(one))
    parts = []
    for one in all_served(deployment):
        part = f"{_model(one)} {_place(deployment, one)}"
        if is_shadow(one):
            part = f"in its shadow {part}"
        elif weights != one.weight:
            part += f" with {one.weight / weights:.1%} of the requests"
        parts.append(part)
    return parts


def _model(served: Served) -> str:
    how = "Marketplace package" if is_package(served) else f"{served.engine} {served.dtype}"
    return f"{served.model} ({how})"


def _place(deployment: Deployment, served: Served) -> str:
    match deployment.mode:
        case "realtime":
            return f"on {_range(served)} x {served.instance}"
        case "async":
            return f"with a queue before {_range(served)} x {served.instance}"
        case "inference-component":
            return f"as {_range(served)} copies on {served.instance}"
        case "batch":
            return f"in jobs on {served.count} x {served.instance}"
        case "serverless":
            warm = f", {deployment.provisioned_concurrency} kept warm" if deployment.provisioned_concurrency else ""
            return f"serverless with {deployment.memory_mb} MB, up to {deployment.concurrency} at once{warm}"


def _range(served: Served) -> str:
    if served.scaling is None:
        return str(served.count)
    fewest, most = widest_bounds(served.scaling)
    return f"{fewest} to {most}"
