"""From the chosen option to plan.json, and from one plan to the next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from cost_model.compare import Option
from cost_model.components import total
from cost_model.default_plan import REPOSITORY
from cost_model.delays import load_delays
from cost_model.memory import stored_dtype
from cost_model.modes import Mode
from cost_model.modes.autoscaled import METRIC, MOST_INSTANCES, target
from cost_model.prices.book import PriceBook
from rerank_toolkit import __version__
from rerank_toolkit.contracts import documents, plan
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import artifact_name
from rerank_toolkit.contracts.plan import Deployment, Expectation, Image, LocalArtifact, Plan, Scaling
from rerank_toolkit.contracts.settings import Settings

PLANNED: Mapping[Mode, plan.Mode] = {"realtime": "realtime", "autoscaled": "realtime"}
"""What infra deploys; other modes can be compared, and a plan for them would be refused."""


def make_plan(option: Option, prices: PriceBook) -> Plan:
    """One endpoint, as the option says. Raises ValueError for a mode that is not PLANNED."""
    return Plan(
        id=_tag(option.workload.name),
        region=option.region,
        price_date=prices.origin(option.region).as_of,
        workload=option.workload.describe(),
        deployments=[_deployment(option)],
    )


def _deployment(option: Option) -> Deployment:
    if option.mode not in PLANNED:
        raise ValueError(f"{option.mode} is not deployed by infra; planned are {', '.join(PLANNED)}")
    candidate = option.candidate
    instance = candidate.host.instance
    if instance is None:
        raise TypeError("a real-time option has no instance type. This is a bug.")
    stored = stored_dtype(candidate.engine, candidate.dtype)
    on_gpu = instance.kind == "gpu"
    settings = Settings() if candidate.workers_fit else Settings(workers=candidate.memory.workers)
    return Deployment(
        stack=f"{candidate.model.stack}{'Gpu' if on_gpu else 'Cpu'}",
        model=candidate.model.id,
        artifact=LocalArtifact(path=f"artifacts/{artifact_name(candidate.model.id, candidate.engine, stored)}"),
        image=Image(repository=REPOSITORY, tag=f"{_target(instance.kind, instance.architecture)}-{__version__}"),
        engine=candidate.engine,
        dtype=stored,
        mode=PLANNED[option.mode],
        instance=instance.instance,
        count=option.count,
        scaling=_scaling(option) if option.mode == "autoscaled" else None,
        environment=settings.to_environment(),
        expected=_expectation(option),
    )


def _target(kind: str, architecture: str) -> str:
    """Of the images that docs/deploy.md names; Arm's is another build of the CPU's."""
    if kind == "gpu":
        return "gpu"
    return "cpu" if architecture == "x86_64" else "cpu-arm64"


def _scaling(option: Option) -> Scaling:
    tracked = target(option.candidate, option.workload)
    cooldowns = load_delays().tracking
    return Scaling(
        min_instances=option.sizing.least,
        max_instances=MOST_INSTANCES * option.count,
        metric=METRIC,
        target=tracked.invocations,
        scale_in_cooldown_s=cooldowns.scale_in_cooldown_s,
        scale_out_cooldown_s=cooldowns.scale_out_cooldown_s,
        formula=tracked.formula,
    )


def _expectation(option: Option) -> Expectation:
    lines = [line for component in option.components if (line := component.as_cost_line()) is not None]
    bases = dict.fromkeys(line.basis for line in lines)
    unpriced = [line.name for line in option.components if line.cost is None]
    missing = f"; at least ${total(option.components):.2f}, unpriced: {', '.join(unpriced)}" if unpriced else ""
    computes = option.candidate.dtype
    stored = stored_dtype(option.candidate.engine, computes)
    runs = "" if computes == stored else f"computes in {computes} from weights in {stored}; "
    return Expectation(
        p95_ms=option.p95_ms,
        documents_per_second=option.documents_per_second,
        monthly_cost=Decimal(f"{option.monthly_cost:f}") if option.complete else None,
        cost_components=lines,
        basis=f"cost: {', '.join(bases)}{missing}; p95 in the busiest hour by {option.timed}; {runs}"
        f"speed: {option.candidate.basis}",
    )


def _tag(name: str) -> str:
    """The workload's name as a tag's value, which a plan's id becomes."""
    return re.sub(r"[^\w .:/=+@-]", "-", name, flags=re.ASCII)[:256] or "plan"


def write_plan(path: Path, made: Plan) -> None:
    """Raises InvalidInput if what stands there already is no plan: it is somebody's file, and stays as it is."""
    if path.is_dir():
        raise InvalidInput(str(path), [Fault("", "is a folder; name a file such as plan.json")])
    if path.exists():
        read_plan(path, "it would be written over: take another name, or remove it")
    documents.write(path, made)


def read_plan(path: Path, why: str) -> Plan:
    """The plan in a file; raises InvalidInput with its faults and what to do, NewerSchema for one of tomorrow."""
    try:
        return documents.read(path, Plan)
    except InvalidInput as error:
        raise InvalidInput(f"{error.what} is no plan; {why}", error.faults) from None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    stack: str
    field: str
    """Empty where the whole stack comes or goes."""
    before: str | None
    after: str | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    changes: list[Change]
    before: Decimal | None
    """Dollars a month of the old plan, as it says itself; None where a deployment in it has no cost."""
    after: Decimal | None

    @property
    def saves(self) -> Decimal | None:
        return None if self.before is None or self.after is None else self.before - self.after


def compare_plans(old: Plan, new: Plan) -> Difference:
    """What changes for each stack by name, and what that saves."""
    before = {deployment.stack: deployment for deployment in old.deployments}
    after = {deployment.stack: deployment for deployment in new.deployments}
    changes = [*_header_changes(old, new)]
    for stack in dict.fromkeys([*before, *after]):
        changes += _stack_changes(stack, before.get(stack), after.get(stack))
    return Difference(changes=changes, before=monthly_cost(old), after=monthly_cost(new))


def monthly_cost(of: Plan) -> Decimal | None:
    costs = [deployment.expected.monthly_cost for deployment in of.deployments]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None


FIELDS = (
    "model",
    "artifact",
    "image",
    "engine",
    "dtype",
    "mode",
    "instance",
    "memory_mb",
    "count",
    "concurrency",
    "environment",
)
SCALING_FIELDS = ("min_instances", "max_instances", "metric", "target", "scale_in_cooldown_s", "scale_out_cooldown_s")


def _header_changes(old: Plan, new: Plan) -> Iterator[Change]:
    for field in ("region", "price_date", "workload"):
        before, after = str(getattr(old, field)), str(getattr(new, field))
        if before != after:
            yield Change(stack="", field=field, before=before, after=after)


def _stack_changes(stack: str, before: Deployment | None, after: Deployment | None) -> Iterator[Change]:
    if before is None or after is None:
        yield Change(stack=stack, field="", before=_summary(before), after=_summary(after))
        return
    for field in FIELDS:
        was, is_ = (_shown(getattr(deployment, field)) for deployment in (before, after))
        if was != is_:
            yield Change(stack=stack, field=field, before=was, after=is_)
    for field in SCALING_FIELDS:
        was, is_ = (
            None if deployment.scaling is None else _shown(getattr(deployment.scaling, field))
            for deployment in (before, after)
        )
        if was != is_:
            yield Change(stack=stack, field=f"scaling.{field}", before=was, after=is_)


def _summary(deployment: Deployment | None) -> str | None:
    if deployment is None:
        return None
    place = deployment.instance or f"{deployment.memory_mb} MB"
    return f"{deployment.model} on {deployment.count} × {place}"


def _shown(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
