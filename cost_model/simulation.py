"""An option's response times by simulation, where the closed forms have ranked it.

Always-on and serverless options are simulated in the workload's busiest hour, as the closed forms are for; what
follows the load, over its week. A batch job's times are its schedule's, and stay.
"""

from __future__ import annotations

import msgspec

from cost_model.compare import Option
from cost_model.hosts import Host
from cost_model.modes.async_ import backlog
from cost_model.modes.autoscaled import MOST_INSTANCES, target
from cost_model.simulate.asynchronous import Asynchronous
from cost_model.simulate.machine import Machine
from cost_model.simulate.option import ERROR, REQUESTS, AlwaysOn, Deployment, simulate_option
from cost_model.simulate.scaler import TargetTracking
from cost_model.simulate.serverless import Serverless
from cost_model.workload import Arrivals, Workload
from rerank_toolkit.catalog.limits import load_limits

SIMULATED = "simulation"

ROW_REQUESTS, ROW_ERROR = 700, 0.1
"""Of a row that is one of many in a table: a third of the requests of a choice, unless twice its error needs more."""


def simulated_row(option: Option) -> Option:
    """The same, sooner and rougher."""
    return simulated(option, requests=ROW_REQUESTS, error=ROW_ERROR)


def simulated(option: Option, *, requests: int = REQUESTS, error: float = ERROR) -> Option:
    """The option with simulated percentiles; itself where a simulation tells nothing new."""
    deployment = _deployment(option)
    if deployment is None or option.timed == SIMULATED:
        return option
    week = option.mode in ("autoscaled", "async")
    workload = option.workload if week else in_busiest_hour(option.workload)
    candidate = option.candidate
    found = simulate_option(
        Machine.of(candidate, workload, time_limit_s=_time_limit_s(candidate.host)),
        workload,
        deployment,
        routing=option.workload.routing,
        server_start_s=candidate.server_start_s or 0.0,
        percentile=option.workload.slo_percentile,
        requests=requests,
        error=error,
    )
    p50, p95, p99, limited = (
        found.percentile(percentile).value for percentile in (50.0, 95.0, 99.0, option.workload.slo_percentile)
    )
    sizing = msgspec.structs.replace(option.sizing, p50=p50, p95=p95, p99=p99, limited=limited)
    return msgspec.structs.replace(option, sizing=sizing, timed=SIMULATED)


def in_busiest_hour(workload: Workload) -> Workload:
    """The same requests, always as many as come in the busiest hour, as bursty as they are."""
    traffic = workload.traffic
    steady = Arrivals(dispersion=traffic.dispersion, dispersion_seconds=traffic.dispersion_seconds)
    return msgspec.structs.replace(workload, requests_per_second=workload.peak_rate, traffic=steady)


def _deployment(option: Option) -> Deployment | None:
    count = option.count
    match option.mode:
        case "realtime" | "fargate" | "azure-container-apps":
            return AlwaysOn(count=count)
        case "serverless" | "lambda" | "azure-functions" | "cloud-run":
            return Serverless(concurrency=count)
        case "provisioned":
            return Serverless(concurrency=load_limits().serverless.max_concurrency, provisioned=count)
        case "autoscaled":
            return TargetTracking(
                metric="InvocationsPerInstance",
                target=target(option.candidate, option.workload).invocations,
                minimum=option.sizing.least,
                maximum=MOST_INSTANCES * count,
            )
        case "async":
            return Asynchronous(
                tracking=TargetTracking(
                    metric="ApproximateBacklogSizePerInstance",
                    target=backlog(option.candidate, option.workload).requests,
                    minimum=0,
                    maximum=count,
                )
            )
        case _:
            return None


def _time_limit_s(host: Host) -> float:
    limits = load_limits()
    return float(limits.serverless.timeout_s if host.service == "serverless" else limits.realtime.timeout_s)
