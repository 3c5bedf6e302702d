"""Batch transform: a job a day takes the requests of that day.

The job has the machine to itself, so its compute is what the documents take; a request waits for the next job and,
on average, for half of it.
"""

from __future__ import annotations

import numpy as np

from cost_model.components import MONTH_HOURS
from cost_model.delays import load_delays
from cost_model.hosts import Service
from cost_model.modes.items import hours
from cost_model.modes.limits import too_much
from cost_model.options import Candidate
from cost_model.prices.book import Unknown
from cost_model.queueing import Array
from cost_model.sizing import Demand, Sizes, Sizing
from cost_model.workload import Workload
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.contracts import usage

SERVICE: Service = "instance"


def offered(candidate: Candidate, workload: Workload) -> Unknown | None:
    if candidate.host.instance is not None and not candidate.host.instance.transform:
        return Unknown("no batch transform job accepts it")
    if candidate.host.kind == "gpu":
        return Unknown(
            "jobs have NVIDIA's driver 535 at most (TransformAmiVersion in SageMaker's service model), with which the "
            "image's torch, made for CUDA 13, finds no GPU",
            "a job's driver is too old for the image's torch",
        )
    return too_much(candidate, workload, load_limits().batch, "batch")


def size(demand: Demand, workload: Workload) -> Sizes:
    delays = load_delays()
    period = delays.batch.period_s
    start = delays.instance.start_s
    work = workload.mean_rate * period * demand.work  # seconds of a job on one instance
    count = np.maximum(np.ceil(work / (workload.max_utilisation * period - start) - 1e-9), 1.0)
    seconds = start + work / count  # of a job, on each instance
    nothing = np.zeros_like(work)
    jobs = MONTH_HOURS * 3600 / period

    def respond(share: float) -> Array:
        return np.asarray(share * period + seconds)

    return Sizes(
        count=count,
        least=nothing,
        hours=jobs * count * np.maximum(seconds, 60) / 3600,
        utilisation=work / (count * seconds),
        headroom=lambda: count * (period - start) / work - 1,
        cold=np.ones_like(work),
        billed=nothing,
        spilled=nothing,
        respond=respond,
    )


def use(candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
    return [
        usage.Batch(
            instance=candidate.host.label,
            hours=hours(sizing),
            software_usd_per_hour=workload.software_usd_per_hour,
        )
    ]
