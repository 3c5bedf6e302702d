"""The same by the scheduler itself: slower by far, and what the compiled twin is held against."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import cast

import numpy as np

from cost_model.service_time.passes import load_of
from cost_model.simulate.outcomes import ANSWERED, LATE, PENDING, REASONS
from cost_model.simulate.policy import Array, BatchLaw, Fleet, Policy, Routing, Served, draw_routes
from cost_model.simulate.records import NOBODY, table
from cost_model.simulate.records import Batch as BatchRow
from cost_model.simulate.traffic import Traffic
from rerank_toolkit.scheduling import Batch, Scheduler


def serve_by_scheduler(
    traffic: Traffic,
    law: BatchLaw,
    policy: Policy,
    fleet: Fleet | int = 1,
    *,
    routing: Routing = "random",
    noise: Array | None = None,
    seed: int = 0,
) -> Served:
    """As `policy.serve`, to the bit, where sums of work are exact: with work in whole numbers below 2^53."""
    fleet = Fleet.always(fleet) if isinstance(fleet, int) else fleet
    endpoint = _Endpoint(traffic, law, policy, int(fleet.count.max()), np.ones(1) if noise is None else noise)
    era = 0
    for number, (arrival, draw) in enumerate(
        zip(traffic.arrivals.tolist(), draw_routes(seed, len(traffic.arrivals)).tolist(), strict=True)
    ):
        endpoint.compute(until=arrival)
        while era + 1 < len(fleet.since) and fleet.since[era + 1] <= arrival:
            era += 1
        endpoint.receive(number, endpoint.route(int(fleet.count[era]), draw, routing), arrival)
    endpoint.compute(until=np.inf)
    return endpoint.served()


class _Endpoint:
    """Its instances, each with a scheduler and engines."""

    def __init__(self, traffic: Traffic, law: BatchLaw, policy: Policy, instances: int, noise: Array) -> None:
        self._traffic, self._law, self._policy, self._noise = traffic, law, policy, noise
        self._schedulers = [
            Scheduler(
                token_budget=policy.token_budget,
                max_queued_tokens=policy.max_queued_tokens,
                time_limit_s=policy.time_limit_s,
                work_per_second=policy.work_per_second,
                margin=policy.margin,
                engines=policy.engines,
            )
            for _ in range(instances)
        ]
        self._outstanding = [0] * instances
        self._free = [list(range(policy.engines)) for _ in range(instances)]
        self._ends: list[tuple[float, int, int, int, float, Batch]] = []
        """(end, number, instance, engine, seconds, batch)"""
        self._batches = 0
        count = len(traffic.arrivals)
        self._missing = np.diff(traffic.offsets)
        self._computing = np.zeros(count, dtype=np.int64)
        self._begun, self._inference = np.zeros(count), np.zeros(count)
        self._answered = np.full(count, np.nan)
        self._outcome = np.full(count, PENDING)
        self._instance = np.zeros(count, dtype=np.int64)
        self._batch = np.full(len(traffic.tokens), NOBODY)
        self._busy = np.zeros((instances, policy.engines))

    def route(self, count: int, draw: int, routing: Routing) -> int:
        """The instance that gets a request: any, or of those with the fewest outstanding any."""
        if routing == "random":
            return draw % count
        fewest = min(self._outstanding[:count])
        equals = [at for at in range(count) if self._outstanding[at] == fewest]
        return equals[draw % len(equals)]

    def receive(self, number: int, at: int, now: float) -> None:
        self._expire(at, now)
        self._instance[number] = at
        documents = slice(self._traffic.offsets[number], self._traffic.offsets[number + 1])
        refusal = self._schedulers[at].submit(
            number,
            self._traffic.tokens[documents].tolist(),
            self._traffic.work[documents].tolist(),
            now=now,
            deadline=now + self._policy.time_limit_s,
        )
        if refusal:
            self._outcome[number] = REASONS[refusal.reason]
        else:
            self._outstanding[at] += 1
        self._start(at, now)

    def compute(self, *, until: float) -> None:
        while self._ends and self._ends[0][0] <= until:
            now, _, at, engine, seconds, batch = heapq.heappop(self._ends)
            heapq.heappush(self._free[at], engine)
            self._schedulers[at].finished(batch, seconds, now=now)
            for part in batch.slices:
                self._end(_number(part.request), len(part.documents), at, now)
            self._start(at, now)

    def served(self) -> Served:
        return Served(
            answered=self._answered,
            outcome=self._outcome,
            instance=self._instance,
            inference=self._inference,
            batch=self._batch,
            batches=self._batches,
            busy=self._busy,
            log=np.asarray(table(BatchRow, 0)),
        )

    def _start(self, at: int, now: float) -> None:
        while self._free[at]:
            self._expire(at, now)
            batch = self._schedulers[at].next_batch()
            if not batch:
                return
            engine = heapq.heappop(self._free[at])
            seconds = self._seconds(batch, at)
            heapq.heappush(self._ends, (now + seconds, self._batches, at, engine, seconds, batch))
            last_arrival = float(self._traffic.arrivals[-1])
            self._busy[at, engine] += max(0.0, min(now + seconds, last_arrival) - now)
            for part in batch.slices:
                request = _number(part.request)
                if not self._computing[request]:
                    self._begun[request] = now
                self._computing[request] += 1
                self._batch[self._traffic.offsets[request] + np.array(part.documents)] = self._batches
            self._batches += 1

    def _seconds(self, batch: Batch, at: int) -> float:
        tokens = [
            int(self._traffic.tokens[self._traffic.offsets[_number(part.request)] + document])
            for part in batch.slices
            for document in part.documents
        ]
        law = self._law
        seconds = law.load_seconds(load_of(sorted(tokens), padded=law.padded))
        crowding = law.crowding[min(self._outstanding[at], len(law.crowding)) - 1]
        return seconds * crowding * float(self._noise[self._batches % len(self._noise)])

    def _end(self, request: int, documents: int, at: int, now: float) -> None:
        self._computing[request] -= 1
        if not self._computing[request]:
            self._inference[request] += now - self._begun[request]
        self._missing[request] -= documents
        if not self._missing[request] and self._outcome[request] == PENDING:
            self._answered[request] = now
            deadline = self._traffic.arrivals[request] + self._policy.time_limit_s
            self._outcome[request] = ANSWERED if now <= deadline else LATE
            self._outstanding[at] -= 1

    def _expire(self, at: int, now: float) -> None:
        for request in self._schedulers[at].expire(now):
            self._outcome[_number(request)] = LATE
            self._outstanding[at] -= 1


def _number(request: Hashable) -> int:
    return cast(int, request)
