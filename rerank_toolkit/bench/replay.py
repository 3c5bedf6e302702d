"""One trace, replayed at several shares of what the server can do, which is measured in the same minutes.

A round is: requests one at a time, then saturation, then the trace at each load. What a prediction needs and what it
is held against are thus measured side by side, and a machine that is slow for some minutes is slow for both.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from rerank_toolkit.bench.conditions import conditions
from rerank_toolkit.bench.cpu_time import CpuTimes, CpuWatch
from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.generator import Generator, Sent, body_of
from rerank_toolkit.bench.load import GRACE_S
from rerank_toolkit.bench.replay_report import Answers, Replayed, ReplayReport, Round, Segment
from rerank_toolkit.bench.rounds import percentile
from rerank_toolkit.bench.target import Target
from rerank_toolkit.bench.texts import TextRuler
from rerank_toolkit.bench.trace import Trace
from rerank_toolkit.client import RerankClient, Retries
from rerank_toolkit.contracts.wire import Origin

IN_FLIGHT = 8
"""Under saturation: engines share what is queued, and none waits for the generator."""

PAUSE_S = 0.1
"""Between an answer and the next request, one at a time: as at a low load, caches have gone cold meanwhile."""

PROBE_REQUESTS = 64
PROBE_SHARE = 0.15
"""Of the time to saturate: beforehand, to warm up and to learn how much of the trace will be needed."""

SETTLE_S = 0.5
"""Between two ways of sending, so that none pays for the one before."""

ROOM = 1.3
"""More of the trace than the warm-up's speed asks for: a cold machine is slower than a warm one."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds for each way of sending, in each of `rounds` rounds."""

    alone_s: float
    saturated_s: float
    replay_s: float
    rounds: int


def measure_replay(
    url: str,
    pid: int | None,
    *,
    trace: Trace,
    query_tokens: int,
    loads: Sequence[float],
    timing: Timing,
    time_limit_s: float,
    progress: Callable[[str], None],
) -> ReplayReport:
    """Sends `trace` to the server at `url` at each of `loads`, shares of its capacity, over and over.

    As much of the trace is sent as the first look at the server's speed says fits `timing.replay_s` at that load:
    the same requests in every round, at the pace that the round's own capacity gives. `pid` is the server's process,
    where it is of this machine. Raises NotMeasurable, and what the client raises if nothing is answered to begin with.
    """
    with RerankClient(url, retries=Retries(attempts=1)) as client:
        target = Target(client)
        ruler = TextRuler.calibrate(lambda query, texts: target.ask(query, texts).origin.tokens)
    measure = _Measurement(
        url=url,
        pid=pid,
        trace=trace,
        ruler=ruler,
        query_tokens=query_tokens,
        timeout_s=time_limit_s + GRACE_S,
        progress=progress,
    )
    counts = asyncio.run(measure.look_ahead(loads, timing))
    rounds = []
    for number in range(1, timing.rounds + 1):
        rounds.append(asyncio.run(measure.round(counts, timing)))
        progress(f"round {number} of {timing.rounds}: {_summary(rounds[-1])}")
    return measure.report(target.first, rounds)


@dataclass(slots=True, kw_only=True)
class _Measurement:
    url: str
    pid: int | None
    trace: Trace
    ruler: TextRuler
    query_tokens: int
    timeout_s: float
    progress: Callable[[str], None]
    bodies: list[bytes] = field(default_factory=list)
    """Of the trace's first requests."""
    counted: dict[int, int] = field(default_factory=dict)
    """Tokens of the trace's requests by their position, as the server tells."""

    async def look_ahead(self, loads: Sequence[float], timing: Timing) -> dict[float, int]:
        """How many of the trace's requests each load takes; makes their bodies, so that no round has to."""
        self._make_bodies(PROBE_REQUESTS)
        async with self._generator() as generator:
            taken = await generator.keep_under_way(IN_FLIGHT, seconds=PROBE_SHARE * timing.saturated_s)
        speed = _tokens_per_second(taken)
        # The highest first: nothing depends as much on the capacity that was measured just before.
        loads = sorted(loads, reverse=True)
        counts = {load: self.trace.fitting(timing.replay_s, tokens_per_second=load * speed) for load in loads}
        alone = self.trace.fitting(timing.alone_s, tokens_per_second=speed)
        saturated = self.trace.fitting(timing.saturated_s * ROOM, tokens_per_second=speed)
        self._make_bodies(max(*counts.values(), alone, saturated))
        seconds = timing.rounds * (timing.alone_s + timing.saturated_s + len(loads) * timing.replay_s)
        self.progress(f"about {speed:,.0f} tokens/s; measuring for about {seconds / 60:.1f} minutes")
        return counts

    async def round(self, counts: dict[float, int], timing: Timing) -> Round:
        async with self._generator() as generator:
            alone, _ = await self._measure(generator.one_by_one(seconds=timing.alone_s, pause_s=PAUSE_S))
            saturated, taken = await self._measure(generator.keep_under_way(IN_FLIGHT, seconds=timing.saturated_s))
            capacity = _tokens_per_second(taken)
            replays = []
            for load, count in counts.items():
                due_s = self.trace.first(count).at_pace(load * capacity)
                segment, _ = await self._measure(generator.when_due(due_s))
                replays.append(Replayed(load=load, due_s=[round(due, 6) for due in due_s], segment=segment))
        return Round(alone=alone, saturated=saturated, capacity_tokens_per_second=round(capacity, 2), replays=replays)

    def report(self, origin: Origin, rounds: list[Round]) -> ReplayReport:
        sent = self.trace.first(len(self.bodies)).arrivals
        return ReplayReport(
            conditions=conditions(origin, self.trace.name),
            model=origin.model,
            engine=origin.engine,
            dtype=origin.dtype,
            workers=origin.workers,
            threads=origin.threads,
            token_budget=origin.token_budget,
            logical_cpus=origin.logical_cpus,
            in_flight=IN_FLIGHT,
            trace=list(sent),
            counted_tokens=[self.counted.get(at, arrival.total_tokens) for at, arrival in enumerate(sent)],
            rounds=rounds,
        )

    async def _measure(self, sending: Awaitable[list[Sent]]) -> tuple[Segment, list[Sent]]:
        await asyncio.sleep(SETTLE_S)
        watch = CpuWatch(self.pid)
        sent = await sending
        cpu = watch.so_far()
        answered = [one for one in sent if one.answered]
        if not answered:
            raise NotMeasurable(f"the server refused all {len(sent)} requests of the trace; send smaller ones")
        self.counted |= {one.position: one.origin().tokens for one in answered}
        return _segment(sent, cpu), answered

    def _generator(self) -> Generator:
        return Generator(self.url, self.bodies, timeout_s=self.timeout_s)

    def _make_bodies(self, count: int) -> None:
        for position in range(len(self.bodies), min(count, len(self.trace.arrivals))):
            arrival = self.trace.arrivals[position]
            self.bodies.append(body_of(arrival, self.ruler, query_tokens=self.query_tokens, seed=position))


def _segment(sent: Sequence[Sent], cpu: CpuTimes) -> Segment:
    answered = [one for one in sent if one.answered]
    origins = [one.origin() for one in answered]
    latency_ms = [one.seconds * 1e3 for one in answered]
    outside = [
        latency - origin.total_ms
        for latency, origin in zip(latency_ms, origins, strict=True)
        if origin.total_ms is not None
    ]
    return Segment(
        answers=Answers(
            positions=[one.position for one in answered],
            latency_ms=[round(latency, 2) for latency in latency_ms],
            queue_ms=[origin.queue_ms for origin in origins],
            inference_ms=[origin.inference_ms for origin in origins],
        ),
        refused=len(sent) - len(answered),
        late_p95_ms=round(percentile([one.late_s * 1e3 for one in sent], 0.95), 2),
        outside_p50_ms=round(statistics.median(outside), 2) if outside else None,
        cpu=cpu,
    )


def _tokens_per_second(sent: Sequence[Sent]) -> float:
    """Of answers in the order of their ends, from the first to the last that came while requests were still sent.

    Before the first there was a ramp, and afterwards fewer and fewer were under way.
    """
    last_due = max(one.due_s for one in sent)
    answered = [one for one in sent if one.answered]
    ends = [one.due_s + one.seconds for one in answered]
    steady = [(end, one.origin().tokens) for end, one in zip(ends, answered, strict=True) if end <= last_due]
    if len(steady) < 2:
        raise NotMeasurable(
            f"only {len(steady)} requests were answered while the server was saturated; give it more time "
            "(--saturate-seconds), or send smaller requests"
        )
    return sum(tokens for _, tokens in steady[1:]) / (steady[-1][0] - steady[0][0])


def _summary(taken: Round) -> str:
    paces = ", ".join(
        f"p95 {percentile(replayed.segment.answers.latency_ms, 0.95):,.0f} ms at {replayed.load:.0%}"
        for replayed in taken.replays
    )
    return f"{taken.capacity_tokens_per_second:,.0f} tokens/s saturated; {paces}"
