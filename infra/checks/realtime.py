"""A real-time endpoint on instances, and who shares its requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from infra.served import MAIN, all_served, is_package, variant_name
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment


def check_realtime(deployment: Deployment, field: str) -> Iterator[Fault]:
    yield from _check_counts(deployment, field)
    yield from _check_names(deployment, field)
    shadows = [index for index, variant in enumerate(deployment.variants) if variant.shadow]
    if shadows:
        yield from _check_shadow(deployment, shadows, field)
    elif sum(served.weight for served in all_served(deployment)) <= 0:
        yield Fault(f"{field}.weight", "is 0, as are all others beside it; then nothing gets requests")


def _check_counts(deployment: Deployment, field: str) -> Iterator[Fault]:
    for at, served in zip(_fields(deployment, field), all_served(deployment), strict=True):
        if served.count < 1:
            yield Fault(f"{at}.count", f"is {served.count}; a realtime endpoint keeps at least 1 instance")


def _check_names(deployment: Deployment, field: str) -> Iterator[Fault]:
    most = load_limits().endpoint.variants
    if len(deployment.variants) + 1 > most:
        yield Fault(
            f"{field}.variants",
            f"has {len(deployment.variants)} beside the deployment's own; SageMaker takes {most} in all",
        )
    times = Counter(variant_name(served) for served in all_served(deployment))
    for index, variant in enumerate(deployment.variants):
        if variant.name == MAIN:
            yield Fault(f"{field}.variants[{index}].name", f"is {MAIN!r}, which the deployment's own is called")
        elif times[variant.name] > 1:
            yield Fault(
                f"{field}.variants[{index}].name",
                f"is {variant.name!r}, as of {times[variant.name]} variants; each needs its own",
            )


def _check_shadow(deployment: Deployment, shadows: list[int], field: str) -> Iterator[Fault]:
    most = load_limits().endpoint.shadow_variants
    if len(shadows) > most or len(shadows) < len(deployment.variants):
        yield Fault(
            f"{field}.variants",
            "has a shadow beside others; SageMaker takes one shadow beside one variant that answers",
        )
    # AWS developer guide, "Exclusions" of shadow tests.
    if any(is_package(served) for served in all_served(deployment)):
        yield Fault(f"{field}.variants", "has a shadow, which SageMaker runs beside no Marketplace package")
    for index in shadows:
        shadow = deployment.variants[index]
        if not 0 < shadow.weight <= deployment.weight:
            yield Fault(
                f"{field}.variants[{index}].weight",
                f"is {shadow.weight:g}; a shadow gets its weight divided by that of what it shadows, "
                f"{deployment.weight:g}, as its share of copies: expected more than 0 and no more than that",
            )


def _fields(deployment: Deployment, field: str) -> list[str]:
    return [field, *(f"{field}.variants[{index}]" for index in range(len(deployment.variants)))]
