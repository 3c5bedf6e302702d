"""The simulations beside queueing theory, and the closed forms that rank options beside the simulations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cost_model import queueing
from cost_model.simulate.autoscaled import mean_compute
from cost_model.simulate.fcfs import waiting_times
from cost_model.simulate.machine import Machine
from cost_model.simulate.policy import Array, BatchLaw, Policy, Routing, serve
from cost_model.simulate.realtime import simulate_always_on
from cost_model.simulate.reference import serve_by_scheduler
from cost_model.simulate.simulated import Estimate, Simulated, mean_of
from cost_model.simulate.traffic import Traffic
from cost_model.workload import Workload
from tools.reference import markdown

REQUESTS = 400_000
WARM_UP = REQUESTS // 10
CONFIDENCE = 0.999
SEED = 1

LAW = BatchLaw(per_pass=0.002, per_sequence=0.0002, per_token=0.00002, per_squared_token=0.00000001)
"""Of the size of our own profiles; only its proportions matter, for all loads are shares of what it can do."""

POLICY_REQUESTS = 40_000

TWIN_REQUESTS = 2_000
TIGHT_S = 3.0
NOISE = 0.1


class Compared(msgspec.Struct, frozen=True):
    queue: str
    figure: str
    theory: float
    simulated: Estimate

    @property
    def is_inside(self) -> bool:
        return self.theory in self.simulated


def compared() -> Iterator[Compared]:
    """Mean waits in mean services, and shares of requests that wait."""
    for servers, utilisation in ((1, 0.5), (1, 0.8), (2, 0.7), (5, 0.8), (20, 0.9)):
        yield from _erlang(f"M/M/{servers} at {utilisation:.0%}", servers, utilisation, waiting_times)
    for utilisation in (0.3, 0.6, 0.8):
        waits = waiting_times(np.ones(REQUESTS), _arrivals(utilisation))
        yield _mean(f"M/D/1 at {utilisation:.0%}", utilisation / (2 * (1 - utilisation)), waits)
    for cv in (0.5, 1.5):
        waits = waiting_times(_lognormal(cv), _arrivals(0.6))
        yield _mean(f"M/G/1 at 60%, lognormal of deviation {cv:g}", 0.6 * (1 + cv**2) / (2 * (1 - 0.6)), waits)
    for engines in (1, 4):
        yield from _erlang(f"the container's policy, {engines} × a document a batch", engines, 0.8, _policy_waits)


def section(_: Path) -> str:
    found = list(compared())
    inside = sum(one.is_inside for one in found)
    return markdown.join(
        f"{REQUESTS:,} requests each, the first tenth not counted, with fixed seeds. Waits are in mean services; M/M/c "
        "by Erlang's C, M/D/1 and M/G/1 by Pollaczek and Khinchine. The intervals are of 99.9 %, from batch means.",
        markdown.table(
            ["queue", "figure", "theory", "simulated", "interval", "inside"],
            [
                [
                    one.queue,
                    one.figure,
                    f"{one.theory:.4g}",
                    f"{one.simulated.value:.4g}",
                    f"{one.simulated.low:.4g} to {one.simulated.high:.4g}",
                    "yes" if one.is_inside else "no",
                ]
                for one in found
            ],
        ),
        f"{inside} of {len(found)} are inside.",
        "The compiled policy beside the scheduler that the container runs, on the same arrivals, two engines an "
        f"instance, each batch off its law by a deviation of {NOISE:.0%}, requests of 25 documents and a time limit of "
        f"{TIGHT_S:g} s:",
        markdown.table(
            ["instances", "load", "requests", "batches", "refused", "late", "every batch and answer"], _twins()
        ),
        "The closed forms that rank all options, beside the container's policy in virtual time: requests of 25 "
        "documents of 150 tokens (deviation 0.6), batches of 1,024 tokens, response times in mean services of a "
        f"request that is alone. {POLICY_REQUESTS:,} requests each; errors are closed over simulated, minus 1.",
        markdown.table(
            ["instances", "routing", "busy", *(f"{name}: simulated, closed, error" for name in ("p50", "p95", "p99"))],
            _closed_forms(),
        ),
    )


def _erlang(
    name: str, servers: int, utilisation: float, waits_of: Callable[[Array, Array, int], Array]
) -> Iterator[Compared]:
    rate = servers * utilisation
    waits = waits_of(_draws("service", rate).exponential(1.0, REQUESTS), _arrivals(rate), servers)
    waits_at_all = float(queueing.erlang_c(np.array(servers), np.array(rate)))
    yield _mean(name, waits_at_all / (servers - rate), waits)
    share = mean_of((waits[WARM_UP:] > 1e-6).astype(float), CONFIDENCE)
    yield Compared(name, "share that waits", waits_at_all, share)


def _mean(name: str, theory: float, waits: Array) -> Compared:
    return Compared(name, "mean wait", theory, mean_of(waits[WARM_UP:], CONFIDENCE))


def _policy_waits(service: Array, arrivals: Array, engines: int) -> Array:
    """Each request one document, each document a batch: what is left of the policy is a queue."""
    tokens = np.maximum(np.rint(service * 1e6), 1).astype(np.int64)
    traffic = Traffic(
        arrivals=arrivals, offsets=np.arange(len(arrivals) + 1), tokens=tokens, work=tokens.astype(np.float64)
    )
    endless = Policy(engines=engines, token_budget=1, max_queued_tokens=2**62, time_limit_s=math.inf)
    return serve(traffic, BatchLaw(per_token=1e-6), endless).answered - arrivals - tokens / 1e6


def _arrivals(rate: float) -> Array:
    return np.cumsum(_draws("arrivals", rate).exponential(1 / rate, REQUESTS))


def _lognormal(cv: float) -> Array:
    sigma = math.sqrt(math.log1p(cv * cv))
    return _draws("service", cv).lognormal(-(sigma**2) / 2, sigma, REQUESTS)


def _draws(of_what: str, figure: float) -> np.random.Generator:
    """Others for each queue, so that chance doesn't lean one way in all of them."""
    return np.random.default_rng([SEED, *of_what.encode(), round(figure * 1000)])


def _twins() -> Iterator[list[str]]:
    machine = Machine(law=LAW, policy=Policy(engines=2, time_limit_s=TIGHT_S), noise=NOISE)
    service = mean_compute(machine, _workload(1.0), SEED)
    for instances, load in ((1, 0.6), (3, 0.9), (2, 3.0)):
        rng = np.random.default_rng(SEED)
        arrivals = np.cumsum(rng.exponential(service / load / instances, TWIN_REQUESTS))
        traffic = machine.draw(_workload(1.0), rng, arrivals)
        served, by_scheduler = (
            way(
                traffic,
                LAW,
                machine.policy,
                instances,
                routing="least-outstanding-requests",
                noise=machine.draw_noise(SEED),
            )
            for way in (serve, serve_by_scheduler)
        )
        is_same = np.array_equal(served.batch, by_scheduler.batch) and np.array_equal(
            served.answered, by_scheduler.answered, equal_nan=True
        )
        yield [
            str(instances),
            f"{load:.0%}",
            f"{TWIN_REQUESTS:,}",
            f"{served.batches:,}",
            f"{served.refused:.1%}",
            f"{served.late:.1%}",
            "the same" if is_same else "different",
        ]


def _closed_forms() -> Iterator[list[str]]:
    machine = Machine(law=LAW, policy=Policy())
    alone = _alone(machine)
    service, deviation = float(alone.mean()), float(alone.std())
    cases: list[tuple[int, Routing]] = [(1, "random"), (4, "random"), (4, "least-outstanding-requests")]
    for instances, routing in cases:
        for busy in (0.3, 0.6, 0.8):
            found = simulate_always_on(
                machine,
                _workload(busy * instances / service),
                instances,
                requests=POLICY_REQUESTS,
                routing=routing,
                seed=SEED,
            )
            servers = 1 if routing == "random" else instances
            sharing = queueing.shared(
                np.array([float(servers)]), np.array([busy * servers]), np.array([service]), np.array([deviation])
            )
            yield [str(instances), routing, f"{busy:.0%}", *_percentiles(found, service, sharing)]


def _percentiles(found: Simulated, service: float, sharing: Any) -> Iterator[str]:
    for percentile in (50, 95, 99):
        closed = float(queueing.percentile(percentile / 100, np.array([service]), *sharing)[0])
        simulated = found.percentile(percentile).value
        yield f"{simulated / service:.2f}, {closed / service:.2f}, {closed / simulated - 1:+.0%}"


def _alone(machine: Machine) -> Array:
    workload = _workload(1.0)
    return machine.alone(machine.draw(workload, np.random.default_rng(SEED), np.zeros(10_000)))


def _workload(rate: float) -> Workload:
    return Workload(requests_per_second=rate, documents_per_request=25, tokens_per_document=150)
