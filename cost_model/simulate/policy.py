"""Instances that run the container's policy, behind SageMaker's router, in virtual time.

    arrivals ─► router ─► admission, queue ─► batches ─► engines ─► answers
                            └─► refused          └─► late: the deadline passed

The policy is rerank_toolkit.scheduling.Scheduler; here its compiled twin runs, and in `reference` itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.service_time import passes
from cost_model.service_time.law import Law
from cost_model.service_time.passes import Load
from cost_model.simulate.outcomes import ANSWERED, LATE, REFUSED
from cost_model.simulate.records import (
    NOBODY,
    Batch,
    Document,
    Engine,
    Instance,
    Request,
    Settings,
    column,
    table,
)
from cost_model.simulate.traffic import Traffic
from rerank_toolkit import scheduling
from rerank_toolkit.catalog.worker_memory import TOKENS_AT_ONCE
from rerank_toolkit.contracts import settings

Array = NDArray[np.float64]

Routing = Literal["random", "least-outstanding-requests"]

CONTAINER = settings.Settings()

MOST_DRAWN = 2**62


class BatchLaw(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that one engine computes a batch: the terms of `cost_model.service_time.Law`."""

    per_pass: float = 0.0
    per_sequence: float = 0.0
    per_token: float = 0.0
    per_squared_token: float = 0.0
    crowding: tuple[float, ...] = (1.0,)
    """By what factor a batch takes longer when 1, 2, … requests are on its instance at its start, its own among them;
    the last holds for more."""
    padded: bool = False
    """Whether the documents of a pass are padded to the longest of them."""

    @classmethod
    def of(cls, law: Law, share: float = 1.0) -> BatchLaw:
        """The law of lone requests; with several on the instance, engines have a `share` of that speed."""
        return cls(
            per_pass=law.per_pass,
            per_sequence=law.per_sequence,
            per_token=law.per_token,
            per_squared_token=law.per_squared_token,
            crowding=(1.0, 1 / share),
            padded=law.padded,
        )

    def load_seconds(self, load: Load) -> float:
        """Of one engine, where a request is alone."""
        return (
            self.per_pass * load.passes
            + self.per_sequence * load.sequences
            + self.per_token * load.tokens
            + self.per_squared_token * load.squared_tokens
        )

    def seconds(self, traffic: Traffic) -> Array:
        """(n,): of each request as one pass by itself, without padding."""
        tokens = traffic.tokens.astype(float)
        each = self.per_sequence + tokens * (self.per_token + tokens * self.per_squared_token)
        return self.per_pass + np.add.reduceat(each, traffic.offsets[:-1]) * self.crowding[0]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How a container admits and batches; the defaults are its own, on a CPU."""

    engines: int = 1
    token_budget: int = 1024
    max_queued_tokens: int = CONTAINER.max_queued_tokens
    time_limit_s: float = CONTAINER.time_limit_s
    """What a request may take, from its admission."""
    margin: float = scheduling.MARGIN
    work_per_second: float | None = None
    """Of an engine, where it is known before anything was measured."""


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """How many instances take requests, from when on; those that no longer do still answer what they have."""

    since: Array
    """(eras,), seconds, the first -inf."""
    count: NDArray[np.int64]
    """(eras,), at least 1."""

    @classmethod
    def always(cls, count: int) -> Fleet:
        return cls(since=np.array([-math.inf]), count=np.array([count], dtype=np.int64))


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each request."""

    answered: Array
    """(n,), seconds; NaN without an answer."""
    outcome: NDArray[np.int64]
    """(n,), of `outcomes`."""
    instance: NDArray[np.int64]
    """(n,): where it was sent."""
    inference: Array
    """(n,), seconds in which a batch with documents of it was computed."""
    batch: NDArray[np.int64]
    """(documents,): the number of each document's batch, in the order of their starts; -1 without one."""
    batches: int
    busy: Array
    """(instances, engines), seconds computed until the last arrival."""
    log: NDArray[np.void]
    """(batches or 0,), rows of records.Batch."""

    @property
    def refused(self) -> float:
        """Share of requests that were refused at once."""
        return float(np.mean(self.outcome >= REFUSED))

    @property
    def late(self) -> float:
        """Share that was taken and not answered in time."""
        return float(np.mean(self.outcome == LATE))

    def latency(self, traffic: Traffic) -> Array:
        """(n,), seconds from arrival to answer; infinite where none came in time."""
        return np.where(self.outcome == ANSWERED, self.answered - traffic.arrivals, np.inf)


def serve(
    traffic: Traffic,
    law: BatchLaw,
    policy: Policy,
    fleet: Fleet | int = 1,
    *,
    routing: Routing = "random",
    noise: Array | None = None,
    seed: int = 0,
    keep_batches: bool = False,
) -> Served:
    """Serves `traffic`, from the first arrival until all is answered.

    noise: (m,), factors of the batches' seconds, taken in turn; exact without. seed: of the router's choices.
    keep_batches: fill `Served.log`.
    """
    from cost_model.simulate import kernel  # noqa: PLC0415  # what doesn't simulate needs no compiler

    fleet = Fleet.always(fleet) if isinstance(fleet, int) else fleet
    instances = int(fleet.count.max())
    rows = _request_rows(traffic, policy)
    documents = _document_rows(traffic)
    engines = table(Engine, instances * policy.engines)
    log = table(Batch, len(documents) if keep_batches else 0)
    batches = kernel.run(
        rows,
        documents,
        _instance_rows(instances),
        engines,
        log,
        _settings_row(policy, routing, padded=law.padded),
        np.array([law.per_pass, law.per_sequence, law.per_token, law.per_squared_token]),
        np.array(law.crowding),
        np.ones(1) if noise is None else noise,
        draw_routes(seed, len(rows)),
        fleet.since,
        fleet.count,
    )
    batch = np.empty(len(documents), dtype=np.int64)
    batch[traffic.longest_first] = column(documents, "batch")
    return Served(
        answered=column(rows, "answered"),
        outcome=column(rows, "outcome"),
        instance=column(rows, "instance"),
        inference=column(rows, "inference"),
        batch=batch,
        batches=batches,
        busy=column(engines, "total").reshape(instances, policy.engines),
        log=np.asarray(log[:batches]),
    )


def draw_routes(seed: int, count: int) -> NDArray[np.int64]:
    """(count,): the router's choices, of which it takes the remainder."""
    return np.random.default_rng(seed).integers(0, MOST_DRAWN, count)


def _request_rows(traffic: Traffic, policy: Policy) -> Sequence[Request]:
    rows = table(Request, len(traffic.arrivals))
    column(rows, "arrival")[:] = traffic.arrivals
    column(rows, "deadline")[:] = traffic.arrivals + policy.time_limit_s
    column(rows, "first")[:] = traffic.offsets[:-1]
    column(rows, "count")[:] = np.diff(traffic.offsets)
    column(rows, "answered")[:] = np.nan
    return rows


def _document_rows(traffic: Traffic) -> Sequence[Document]:
    rows = table(Document, len(traffic.tokens))
    column(rows, "tokens")[:] = traffic.tokens[traffic.longest_first]
    column(rows, "work")[:] = traffic.work[traffic.longest_first]
    column(rows, "request")[:] = traffic.request_of_document
    column(rows, "batch")[:] = NOBODY
    return rows


def _instance_rows(count: int) -> Sequence[Instance]:
    rows = table(Instance, count)
    for name in ("turn_root", "first_waiting", "last_waiting"):
        column(rows, name)[:] = NOBODY
    column(rows, "measured_at")[:] = np.nan
    column(rows, "earliest")[:] = np.inf
    return rows


def _settings_row(policy: Policy, routing: Routing, *, padded: bool) -> Sequence[Settings]:
    """The constants of scheduler and passes are given, not compiled in, so that the kernel follows when they change."""
    rows = table(Settings, 1)
    values = {
        "engines": policy.engines,
        "token_budget": policy.token_budget,
        "max_queued_tokens": policy.max_queued_tokens,
        "time_limit": policy.time_limit_s,
        "margin": policy.margin,
        "initial_pace": 1 / policy.work_per_second if policy.work_per_second else 0.0,
        "is_random": routing == "random",
        "rate_memory": scheduling.RATE_MEMORY_S,
        "outlier": scheduling.OUTLIER,
        "doubt_at_start": scheduling.DOUBT_AT_START,
        "doubt_after": scheduling.DOUBT_AFTER_S,
        "bulk_tokens": scheduling.BULK_TOKENS,
        "bulk_weight": scheduling.BULK_WEIGHT,
        "smallest_share": scheduling.SMALLEST_SHARE,
        "is_padded": padded,
        "step": passes.STEP,
        "pass_cost": passes.PASS_COST,
        "tokens_at_once": TOKENS_AT_ONCE,
    }
    for name, value in values.items():
        column(rows, name)[0] = value
    return rows
