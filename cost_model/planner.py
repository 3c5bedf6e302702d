"""From the chosen option to plan.json."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from cost_model.compare import Option
from cost_model.components import total
from cost_model.delays import load_delays
from cost_model.hosts import Host
from cost_model.memory import stored_dtype
from cost_model.modes import Mode, autoscaled, load_mode
from cost_model.modes import async_ as asynchronous
from cost_model.plan_parts import (
    artifact_of,
    expected_memory_mib,
    expected_start_s,
    image_of,
    settings_of,
    start_basis,
    startup_timeout_s,
)
from cost_model.prices.book import PriceBook
from cost_model.sizing import Demand
from rerank_toolkit.catalog.limits import MEGABYTE, load_limits
from rerank_toolkit.contracts import documents, plan
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment, Expectation, Plan, Scaling

PLANNED: Mapping[Mode, plan.Mode] = {
    "realtime": "realtime",
    "autoscaled": "realtime",
    "serverless": "serverless",
    "provisioned": "serverless",
    "async": "async",
    "batch": "batch",
}
"""What infra deploys; the others can be compared."""

SUFFIXES: Mapping[plan.Mode, str] = {"realtime": "", "serverless": "Serverless", "async": "Async", "batch": "Batch"}
"""Of a stack's name. Each mode has a stack of its own: SageMaker makes no serverless endpoint of one on instances, and
a queue or a job is asked otherwise than what answers at once."""


def make_plan(option: Option, prices: PriceBook) -> Plan:
    """One deployment, as the option says. Raises ValueError for a mode that is not PLANNED."""
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
    mode = PLANNED[option.mode]
    candidate, host = option.candidate, option.candidate.host
    largest_mb = _largest_request_mb(option)
    return Deployment(
        stack=f"{candidate.model.stack}{_kind(host)}{SUFFIXES[mode]}",
        model=candidate.model.id,
        artifact=artifact_of(candidate),
        image=image_of(host),
        engine=candidate.engine,
        dtype=stored_dtype(candidate.engine, candidate.dtype),
        mode=mode,
        instance=host.instance.instance if host.instance else None,
        memory_mb=host.memory_mb if mode == "serverless" else None,
        count=option.count if mode in ("realtime", "batch") else 1,
        concurrency=_concurrency(option, largest_mb),
        provisioned_concurrency=option.count if option.mode == "provisioned" else None,
        scaling=_scaling(option),
        largest_request_mb=largest_mb,
        startup_timeout_s=startup_timeout_s(candidate, mode),
        environment=settings_of(candidate, mode).to_environment(),
        expected=_expectation(option),
    )


def _kind(host: Host) -> str:
    """Of a stack's name."""
    return "" if host.instance is None else "Gpu" if host.kind == "gpu" else "Cpu"


def _largest_request_mb(option: Option) -> float:
    """Rounded up to a hundredth."""
    return math.ceil(option.workload.largest_request_bytes / MEGABYTE * 100) / 100


def _concurrency(option: Option, largest_mb: float) -> int | None:
    """Of serverless, containers; of async and batch one request for each engine, and one on its way to them."""
    match option.mode:
        case "serverless":
            return option.count
        case "provisioned":
            return max(option.count, _on_demand(option))
        case "async":
            return option.candidate.memory.workers + 1
        case "batch":  # payload × concurrency is limited too
            together = load_limits().batch.payload_mb // math.ceil(largest_mb)
            return max(1, min(option.candidate.memory.workers + 1, together))
        case _:
            return None


def _on_demand(option: Option) -> int:
    """Containers that would take all requests without provisioned units."""
    sizes = load_mode("serverless").size(Demand.of([option.candidate]), option.workload)
    count = float(sizes.count[0])
    return int(count) if math.isfinite(count) else load_limits().serverless.max_concurrency


def _scaling(option: Option) -> Scaling | None:
    cooldowns = load_delays().tracking
    if option.mode == "autoscaled":
        tracked = autoscaled.target(option.candidate, option.workload)
        least, most = option.sizing.least, autoscaled.MOST_INSTANCES * option.count
        metric, target, formula = autoscaled.METRIC, tracked.invocations, tracked.formula
    elif option.mode == "async":
        waiting = asynchronous.backlog(option.candidate, option.workload)
        least, most = 0, option.count
        metric, target, formula = asynchronous.METRIC, waiting.requests, waiting.formula
    else:
        return None
    return Scaling(
        min_instances=least,
        max_instances=most,
        metric=metric,
        target=target,
        scale_in_cooldown_s=cooldowns.scale_in_cooldown_s,
        scale_out_cooldown_s=cooldowns.scale_out_cooldown_s,
        formula=formula,
    )


def _expectation(option: Option) -> Expectation:
    candidate = option.candidate
    lines = [line for component in option.components if (line := component.as_cost_line()) is not None]
    bases = dict.fromkeys(line.basis for line in lines)
    unpriced = [line.name for line in option.components if line.cost is None]
    missing = f", at least ${total(option.components):.2f}, unpriced: {', '.join(unpriced)}" if unpriced else ""
    stored = stored_dtype(candidate.engine, candidate.dtype)
    told = [
        f"cost: {', '.join(bases)}{missing}",
        f"p95 {_of(option)} by {option.timed}",
        *([] if candidate.dtype == stored else [f"computes in {candidate.dtype} from weights in {stored}"]),
        f"speed: {candidate.basis}",
        start_basis(candidate),
    ]
    return Expectation(
        p95_ms=option.p95_ms,
        documents_per_second=option.documents_per_second,
        memory_mib=expected_memory_mib(candidate),
        start_s=expected_start_s(candidate),
        monthly_cost=Decimal(f"{option.monthly_cost:f}") if option.complete else None,
        cost_components=lines,
        basis="; ".join(told),
    )


def _of(option: Option) -> str:
    """The time that the response times are of."""
    return "over the week" if option.mode in ("autoscaled", "async") else "in the busiest hour"


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
