"""Predictions held against a server whose every term is known: the container's policy in virtual time."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import msgspec
import numpy as np
import pytest

from rerank_toolkit.bench.cpu_time import CpuTimes
from rerank_toolkit.bench.replay_report import Answers, Replayed, ReplayReport, Round, Segment
from rerank_toolkit.bench.results import Conditions
from rerank_toolkit.bench.trace import Mix, draw_trace
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.profile import Hardware
from tools.validate import live
from tools.validate.live_terms import Server, fit_batches, measure_terms
from tools.validate.virtual_time import serve

A, B, C, D = 2e-3, 1e-4, 4e-5, 3e-8
"""Of the known server: seconds per batch, sequence, token, squared token."""
ENGINES, BUDGET = 2, 1024
AROUND_S = 0.004
ENGINE_SHARE = 0.92
"""Of the cores while the known server is saturated."""

TRACE = draw_trace(Mix(), requests=300, seed=1)
LENGTHS = [arrival.tokens for arrival in TRACE.arrivals]


def law(lengths, *, speed=1.0):
    return (A + B * len(lengths) + C * sum(lengths) + D * sum(length**2 for length in lengths)) / speed


def answer(positions, due_s, *, speed):
    """What the known server says, with engines at `speed`."""
    arrivals = [due + AROUND_S for due in due_s]
    lengths = [LENGTHS[position] for position in positions]
    served = serve(arrivals, lengths, float, lambda own: law(own, speed=speed), engines=ENGINES, token_budget=BUDGET)
    alone = [makespan(own, speed=speed) for own in lengths]
    inside = [answered - arrival for answered, arrival in zip(served.answered, arrivals, strict=True)]
    cpu = CpuTimes(wall_s=max(served.answered), generator_s=0.5, front_s=1.0, workers_s=2.0, others_s=0.1, stolen_s=0.0)
    return Segment(
        answers=Answers(
            positions=list(positions),
            latency_ms=[(AROUND_S + seconds) * 1e3 for seconds in inside],
            late_ms=[0.0] * len(inside),
            queue_ms=[max(0.0, seconds - own) * 1e3 for seconds, own in zip(inside, alone, strict=True)],
            inference_ms=[min(seconds, own) * 1e3 for seconds, own in zip(inside, alone, strict=True)],
            total_ms=[(AROUND_S + seconds) * 1e3 for seconds in inside],
            tokens=[sum(own) for own in lengths],
        ),
        refused=0,
        cpu=cpu,
    )


def makespan(lengths, *, speed=1.0):
    own = serve([0.0], [lengths], float, lambda own: law(own, speed=speed), engines=ENGINES, token_budget=BUDGET)
    return own.answered[0]


def measured_round():
    everything = range(len(LENGTHS))
    alone = answer(range(60), [1000.0 * position for position in range(60)], speed=1.0)
    saturated = answer(everything, [0.0] * len(LENGTHS), speed=ENGINE_SHARE)
    busy = serve(
        [0.0] * len(LENGTHS), LENGTHS, float, lambda own: law(own, speed=ENGINE_SHARE),
        engines=ENGINES, token_budget=BUDGET,
    )  # fmt: skip
    capacity = sum(map(sum, LENGTHS)) / max(busy.answered)
    replays = []
    for load in (0.3, 0.6, 0.8):
        due_s = TRACE.at_pace(load * capacity)
        segment = answer(everything, due_s, speed=1 - load * (1 - ENGINE_SHARE))
        replays.append(Replayed(load=load, due_s=due_s, segment=segment))
    return Round(alone=alone, saturated=saturated, capacity_tokens_per_second=capacity, replays=replays)


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
        workers=ENGINES,
        threads=ENGINES,
        token_budget=BUDGET,
        logical_cpus=2,
        in_flight=8,
        trace=list(TRACE.arrivals),
        rounds=[measured_round()] * 2,
    )


def test_requests_that_are_alone_tell_the_law_of_batches(report):
    server = Server.of(report)
    positions = list(range(60))
    exact = np.array([makespan(LENGTHS[position]) for position in positions])

    fitted = fit_batches(server, positions, exact)

    assert fitted.error < 1e-6
    assert fitted.coefficients == pytest.approx([A, B, C, D], rel=1e-3)


def test_noise_on_the_machine_leaves_the_law_about_right(report):
    noise = Random(5)
    exact = np.array([makespan(LENGTHS[position]) * noise.gauss(1, 0.05) for position in range(60)])

    fitted = fit_batches(Server.of(report), range(60), exact)

    assert 0.02 < fitted.error < 0.08
    lengths = [150] * 6
    assert fitted.seconds(lengths) == pytest.approx(law(lengths), rel=0.05)


def test_the_terms_are_those_of_the_known_server(report):
    terms = measure_terms(Server.of(report), report.rounds[0])

    assert terms.around(3000, busy=False) == pytest.approx(AROUND_S, rel=0.01)
    assert terms.stretch == pytest.approx(1, rel=0.01)
    assert terms.wake_s == pytest.approx(0, abs=1e-6)
    assert terms.engine_share == pytest.approx(ENGINE_SHARE, rel=0.01)
    assert terms.engine_speed(0.5) == pytest.approx(1 - 0.5 * (1 - ENGINE_SHARE), rel=0.01)


def test_a_known_server_is_predicted(report):
    found = live.validate(report)

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
    slow = [
        Replayed(load=one.load, due_s=one.due_s, segment=answer(range(len(LENGTHS)), one.due_s, speed=0.5))
        for one in report.rounds[0].replays[:1]
    ]
    taken = report.rounds[0]
    wrong = Round(
        alone=taken.alone,
        saturated=taken.saturated,
        capacity_tokens_per_second=taken.capacity_tokens_per_second,
        replays=slow,
    )
    path, out = tmp_path / "replay.json", tmp_path / "live.json"
    documents.write(path, msgspec.structs.replace(report, rounds=[wrong]))

    assert live.main(["--replay", str(path), "--out", str(out)]) == 1
    assert "| missed |" in capsys.readouterr().out
    assert not documents.read(out, live.LiveValidation).are_all_met


def test_what_is_no_replay(tmp_path, capsys):
    assert live.main(["--replay", str(tmp_path / "none.json")]) == 2
    assert "can't be read" in capsys.readouterr().err


def test_virtual_time_keeps_all_engines_busy_and_serves_everybody():
    served = serve([5.0, 0.0], [[100] * 30, [50]], float, sum, engines=3, token_budget=1024)

    assert served.answered[1] == 50
    assert served.answered[0] == pytest.approx(5 + 1000, abs=300)
    assert {run.engine for run in served.runs if run.start >= 5} == {0, 1, 2}
    assert sum(length for run in served.runs for length in run.lengths) == 3050
