"""Predictions held against a server whose every term is known: the container's policy in virtual time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cost_model.simulate.policy import BatchLaw, Policy, serve
from cost_model.simulate.traffic import Traffic
from rerank_toolkit.bench.cpu_time import CpuTimes
from rerank_toolkit.bench.replay_report import Answers, Replayed, ReplayReport, Round, Segment
from rerank_toolkit.bench.results import Conditions
from rerank_toolkit.bench.trace import Mix, draw_trace
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.profile import Hardware
from tools.validate import live
from tools.validate.live_prediction import LiveValidation, validate
from tools.validate.live_terms import TERMS, Server, fit_batches, measure_terms

ENGINE_SHARE = 0.92
"""Of its speed, what an engine of the known server has while others are there."""

REPLAY = Path(__file__).parents[2] / live.MEASURED

LAW = BatchLaw(
    per_pass=2e-3,
    per_sequence=1e-4,
    per_token=4e-5,
    per_squared_token=3e-8,
    crowding=(1.0, 1 / ENGINE_SHARE),
    padded=True,
)
POLICY = Policy(engines=2, token_budget=1024, time_limit_s=1e9)
AROUND_S = 0.004
IN_FLIGHT = 8

TRACE = draw_trace(Mix(), requests=300, seed=1)
LENGTHS = [np.array(arrival.tokens) for arrival in TRACE.arrivals]
TOKENS = [int(own.sum()) for own in LENGTHS]
EVERYTHING = range(len(LENGTHS))


def serve_at(due_s, *, slower=1.0, positions=EVERYTHING):
    """What the known server says and does of the requests that are due at these moments."""
    arrivals = np.asarray(due_s, dtype=float) + AROUND_S
    tokens = np.concatenate([LENGTHS[position] for position in positions])
    offsets = np.concatenate([[0], np.cumsum([len(LENGTHS[position]) for position in positions])])
    traffic = Traffic(arrivals=arrivals, offsets=offsets, tokens=tokens, work=tokens.astype(float))
    served = serve(traffic, LAW, POLICY, noise=np.array([slower]))
    inside = served.answered - arrivals
    answers = Answers(
        positions=list(positions),
        latency_ms=((AROUND_S + inside) * 1e3).tolist(),
        queue_ms=((inside - served.inference) * 1e3).tolist(),
        inference_ms=(served.inference * 1e3).tolist(),
    )
    cpu = CpuTimes(
        wall_s=float(served.answered.max()), generator_s=0.5, front_s=1.0, workers_s=2.0, others_s=0.1, stolen_s=0.0
    )
    segment = Segment(answers=answers, refused=0, late_p95_ms=0.0, outside_p50_ms=0.0, cpu=cpu)
    return segment, served.answered


def alone(count):
    segment, _ = serve_at(np.arange(count) * 1000.0, positions=range(count))
    return segment


def replayed(load, capacity, *, slower=1.0):
    due_s = TRACE.at_pace(load * capacity)
    segment, _ = serve_at(due_s, slower=slower)
    return Replayed(load=load, due_s=due_s, segment=segment)


def keep_under_way(count):
    """The trace's requests, each sent when one of those before is answered: known moment after moment, the earliest
    first, until nothing changes any more."""
    due_s = np.zeros(len(LENGTHS))
    while True:
        segment, answered = serve_at(due_s)
        follows = np.concatenate([np.zeros(count), np.sort(answered)[:-count]])
        if np.array_equal(follows, due_s):
            return segment, answered
        due_s = follows


def measured_round():
    saturated, answered = keep_under_way(IN_FLIGHT)
    capacity = sum(TOKENS) / float(answered.max() - AROUND_S)
    replays = [replayed(load, capacity) for load in (0.3, 0.6, 0.8)]
    return Round(alone=alone(60), saturated=saturated, capacity_tokens_per_second=capacity, replays=replays)


@pytest.fixture(scope="module")
def report():
    hardware = Hardware(
        cpu_model="known", instruction_set="avx2", architecture="x86_64", logical_cpus=2, physical_cores=2,
        memory_mib=1024,
    )  # fmt: skip
    return ReplayReport(
        conditions=Conditions(
            measured_at=datetime(2026, 11, 22, tzinfo=UTC),
            command="",
            toolkit_version="0",
            hardware=hardware,
            workload=TRACE.name,
        ),
        model="of no catalogue",
        engine="openvino",
        dtype="fp32",
        workers=POLICY.engines,
        threads=POLICY.engines,
        token_budget=POLICY.token_budget,
        logical_cpus=2,
        in_flight=IN_FLIGHT,
        trace=list(TRACE.arrivals),
        counted_tokens=TOKENS,
        rounds=[measured_round()] * 2,
    )


def test_requests_that_are_alone_tell_the_law_of_batches(report):
    law = fit_batches(Server.of(report), alone(60).answers).law

    assert law.error < 1e-6
    for term in TERMS:
        assert getattr(law, term) == pytest.approx(getattr(LAW, term), rel=1e-3)
    assert law.around_seconds(3000) == pytest.approx(AROUND_S, rel=0.01)


def test_noise_on_the_machine_leaves_the_law_about_right(report):
    exact, noise = alone(60).answers, np.random.default_rng(5).normal(1, 0.05, 60)
    noisy = msgspec.structs.replace(exact, inference_ms=(np.array(exact.inference_ms) * noise).tolist())

    fitted = fit_batches(Server.of(report), noisy).law

    assert 0.02 < fitted.error < 0.08
    batch = np.array([1, 6, 900, 6 * 150**2])
    found, known = (np.array([getattr(law, term) for term in TERMS]) @ batch for law in (fitted, LAW))
    assert found == pytest.approx(known, rel=0.05)


def test_the_terms_are_those_of_the_known_server(report):
    terms = measure_terms(Server.of(report), report.rounds[0], in_flight=report.in_flight)

    around = terms.around(np.array([3000.0, 100.0]), busy=np.array([False, True]))
    assert around == pytest.approx([AROUND_S, AROUND_S], rel=0.01)
    assert terms.wake_s == pytest.approx(0, abs=1e-6)
    assert terms.engine_share == pytest.approx(ENGINE_SHARE, rel=0.03)
    assert terms.batch_law.crowding == (1, 1 / terms.engine_share)


def test_a_known_server_is_predicted(report):
    found = validate(report)

    assert [(one.load, one.percentile) for one in found.compared] == [
        (load, percentile) for load in (0.3, 0.6, 0.8) for percentile in (50, 95)
    ]
    assert max(abs(one.error) for one in found.compared) < 0.02
    assert found.are_all_met
    # The generator took half a second of the time that two cores had.
    accounts = found.accounts
    assert accounts.capacity_without_generator > accounts.capacity_per_second
    assert accounts.generator_ms == pytest.approx(500 / len(LENGTHS), rel=0.01)


def test_a_wrong_prediction_is_called_one(report, tmp_path, capsys):
    """A server that is half as fast in its replays as it was before them."""
    taken = report.rounds[0]
    slow = replayed(0.3, taken.capacity_tokens_per_second, slower=2.0)
    path, out = tmp_path / "replay.json", tmp_path / "live.json"
    documents.write(path, msgspec.structs.replace(report, rounds=[msgspec.structs.replace(taken, replays=[slow])]))

    assert live.main(["--replay", str(path), "--out", str(out)]) == 1
    assert "| missed |" in capsys.readouterr().out
    assert not documents.read(out, LiveValidation).are_all_met


def test_what_is_no_replay(tmp_path, capsys):
    assert live.main(["--replay", str(tmp_path / "none.json")]) == 2
    assert "can't be read" in capsys.readouterr().err


def test_what_was_measured_live_was_foreseen_by_the_profile_that_ships():
    """Which was recorded at another time, of requests one at a time and of a saturated server alone."""
    found = validate(documents.read(REPLAY, ReplayReport))

    assert found.are_all_met
    for one in found.compared:
        assert one.foreseen_ms == pytest.approx(one.measured_ms, rel=0.2), (one.load, one.percentile)
    assert found.accounts.capacity_foreseen == pytest.approx(found.accounts.capacity_per_second, rel=0.1)
