from __future__ import annotations

import subprocess
import sys
import time

import msgspec
import pytest

from rerank_toolkit.bench.cpu_time import CpuWatch
from rerank_toolkit.bench.replay_report import ReplayReport
from rerank_toolkit.bench.trace import Arrival, Mix, Trace, draw_trace, read_trace
from rerank_toolkit.contracts.errors import InvalidInput


def test_a_drawn_trace_is_of_its_mix_and_the_same_again():
    mix = Mix(median_documents=9, most_documents=30, least_tokens=20, most_tokens=300)
    trace = draw_trace(mix, requests=400, seed=3)

    assert trace == draw_trace(mix, requests=400, seed=3)
    assert trace != draw_trace(mix, requests=400, seed=4)
    documents = sorted(len(arrival.tokens) for arrival in trace.arrivals)
    assert documents[200] in (8, 9, 10)
    assert documents[-1] <= 30
    lengths = [tokens for arrival in trace.arrivals for tokens in arrival.tokens]
    assert (min(lengths), max(lengths)) == (20, 300)
    assert trace.arrivals[-1].at_s == pytest.approx(400, rel=0.2)


def test_a_pace_is_so_many_tokens_a_second():
    trace = Trace(tuple(Arrival(at, [100]) for at in (5.0, 6.0, 8.0, 11.0)), "")

    assert trace.at_pace(50) == pytest.approx([0, 1, 3, 6])
    assert trace.at_pace(100) == pytest.approx([0, 0.5, 1.5, 3])
    assert trace.fitting(6.5, tokens_per_second=50) == 3
    assert trace.fitting(0.1, tokens_per_second=50) == 2
    assert trace.first(2).at_pace(50) == pytest.approx([0, 2])


def test_a_trace_is_read_line_by_line(tmp_path):
    path = tmp_path / "day.jsonl"
    path.write_text('{"at_s": 0, "tokens": [12, 30]}\n\n{"at_s": 0.5, "tokens": [7]}\n')

    assert read_trace(path) == Trace((Arrival(0, [12, 30]), Arrival(0.5, [7])), "day.jsonl")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"at_s": -1, "tokens": []}\n{"at_s": 0}\n', ["line 1: at_s: is -1", "line 1: tokens: has 0", "line 2: tok"]),
        ('{"at_s": 0, "tokens": [1]}\nnonsense\n', ["line 2: is not JSON"]),
        ('{"at_s": 3, "tokens": [1]}\n{"at_s": 2, "tokens": [1]}\n', ["request 2: at_s: is 2, before request 1's 3"]),
        ('{"at_s": 3, "tokens": [1]}\n', ["holds 1 requests; expected at least two"]),
        ("", ["holds 0 requests"]),
    ],
)
def test_all_of_a_traces_faults_are_told(tmp_path, text, says):
    path = tmp_path / "trace.jsonl"
    path.write_text(text)

    with pytest.raises(InvalidInput) as caught:
        read_trace(path)

    assert [one for one in says if one not in str(caught.value)] == []


def test_a_missing_trace(tmp_path):
    with pytest.raises(InvalidInput, match="can't be read"):
        read_trace(tmp_path / "none.jsonl")


def test_cpu_time_is_told_apart():
    spins = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\ninput()"
    with subprocess.Popen([sys.executable, "-c", spins], stdin=subprocess.PIPE) as server:
        watch = CpuWatch(server.pid)
        deadline = time.monotonic() + 60
        while (times := watch.so_far()).front_s < 0.3 and time.monotonic() < deadline:
            time.sleep(0.02)
        alone = CpuWatch(None).so_far()
        server.communicate(b"\n")

    assert times.front_s >= 0.3
    assert times.generator_s < times.wall_s
    assert times.workers_s == 0
    assert times.others_s >= 0
    assert (alone.front_s, alone.workers_s, alone.others_s) == (None, None, None)
    assert times.share(times.wall_s, 2) == 0.5
    assert times.share(None, 2) is None


def rerank(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "rerank_toolkit.cli", "bench", "replay", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=120,
    )


def test_one_trace_at_two_loads_in_two_rounds(small_jinabert, tmp_path):
    done = rerank(
        *("--start", small_jinabert, "--loads", "0.3,0.6", "--rounds", 2, "--replay-seconds", 2),
        *("--saturate-seconds", 1.5, "--alone-seconds", 1, "--out", tmp_path / "replay.json"),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert "60% of capacity" in done.stdout
    assert "round 2 of 2" in done.stderr
    report = msgspec.json.decode((tmp_path / "replay.json").read_bytes(), type=ReplayReport)
    assert report.model == "small-jinabert"
    assert len(report.rounds) == 2
    for taken in report.rounds:
        assert [replay.load for replay in taken.replays] == [0.6, 0.3]
        assert taken.saturated.cpu.workers_s > 0
        for replay in taken.replays:
            answers = replay.segment.answers
            assert answers.positions == list(range(len(replay.due_s)))
            assert len(replay.due_s) == len(report.rounds[0].replays[taken.replays.index(replay)].due_s)
            offered = sum(report.trace[position].total_tokens for position in answers.positions)
            span = replay.due_s[-1] * len(replay.due_s) / (len(replay.due_s) - 1)
            wanted = replay.load * taken.capacity_tokens_per_second
            assert offered / span == pytest.approx(wanted, rel=1e-3)
            parts = zip(answers.latency_ms, answers.queue_ms, answers.inference_ms, strict=True)
            assert all(latency > queue + inference for latency, queue, inference in parts)
            assert replay.segment.outside_p50_ms > 0


def test_a_trace_of_ones_own_on_a_server_that_runs(jinabert_url, tmp_path):
    trace = tmp_path / "mine.jsonl"
    trace.write_text("".join(f'{{"at_s": {at}, "tokens": [40, 60, 80]}}\n' for at in range(20)))

    done = rerank(
        *("--url", jinabert_url, "--trace", trace, "--loads", "0.5", "--rounds", 1, "--replay-seconds", 0.5),
        *("--saturate-seconds", 1, "--alone-seconds", 0.3, "--json"),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(done.stdout, type=ReplayReport)
    assert report.conditions.workload == "mine.jsonl"
    assert {len(arrival.tokens) for arrival in report.trace} == {3}
    assert report.rounds[0].saturated.cpu.workers_s is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["--url, --start: name exactly one"]),
        (["--url", "localhost", "--loads", "0.5,2,x,0.5"], ["http://HOST:PORT", "'2'", "'x'", "0.5 twice"]),
        (["--url", "http://127.0.0.1:1", "--trace", "none.jsonl"], ["none.jsonl", "can't be read"]),
        (["--url", "http://127.0.0.1:1", "--rounds", 0], ["--rounds"]),
        (["--url", "http://127.0.0.1:1", "--out", "."], ["--out: . can't be written"]),
        (["--url", "http://127.0.0.1:1", "--out", "/dev/null/x.json"], ["--out: /dev/null/x.json can't be written"]),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, arguments, says):
    done = rerank(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert [one for one in says if one not in done.stderr] == []
    assert "Traceback" not in done.stderr
