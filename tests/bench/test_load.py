from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import httpx
import msgspec
import pytest

from rerank_toolkit.bench.cli_load import OWN_PART_S
from rerank_toolkit.bench.drain import measure_drain
from rerank_toolkit.bench.load import count, latencies, memory_growth, offer
from rerank_toolkit.bench.process_tree import MemoryPoint
from rerank_toolkit.bench.results import LoadReport
from rerank_toolkit.bench.workload import Workload
from rerank_toolkit.client import RerankClient, Retries

REQUESTS = [("which one?", ["this one", "that one"])]


def quiet(line):
    """Progress that nobody reads."""


def endpoint(answer):
    """A client of an endpoint that answers as told."""
    client = httpx.Client(transport=httpx.MockTransport(answer))
    return RerankClient.over_http("http://endpoint", http_client=client, retries=Retries(attempts=1))


def refuse_to_answer(request):
    raise httpx.ReadTimeout("too late", request=request)


def break_off(request):
    raise httpx.RemoteProtocolError("gone", request=request)


def turn_away(request):
    raise httpx.ConnectError("nobody there", request=request)


@pytest.mark.parametrize(
    ("answer", "kind", "what"),
    [
        (lambda request: httpx.Response(503, json={"detail": "full"}), "refused", "503"),
        (lambda request: httpx.Response(429, json={"detail": "full"}), "refused", "429"),
        (lambda request: httpx.Response(413, json={"detail": "too much"}), "refused", "413"),
        (lambda request: httpx.Response(500, json={"detail": "oh"}), "failed", "500"),
        (lambda request: httpx.Response(422, json={"detail": "what?"}), "failed", "422"),
        (lambda request: httpx.Response(200, json={"hello": 1}), "failed", "UnexpectedAnswer"),
        (refuse_to_answer, "hung", "no answer"),
        (break_off, "failed", "connection broke"),
        (turn_away, "failed", "no connection"),
    ],
)
def test_every_end_is_told_apart(answer, kind, what):
    (outcome,) = offer(endpoint(answer), REQUESTS, per_second=1, seconds=0.01, progress=quiet)

    assert (outcome.kind, outcome.what) == (kind, what)
    assert latencies([outcome], "answered") is None


def test_arrivals_keep_the_rate_whatever_the_server_does(jinabert):
    outcomes = offer(jinabert, REQUESTS, per_second=100, seconds=1.5, progress=quiet)

    assert 110 < len(outcomes) < 190
    assert count(outcomes, "answered") == {"200": len(outcomes)}
    times = latencies(outcomes, "answered")
    assert 0 < times.p50_ms <= times.p95_ms <= times.p99_ms <= times.longest_ms
    due = sorted(outcome.due_s for outcome in outcomes)
    gaps = [later - sooner for sooner, later in pairwise(due)]
    assert max(gaps) > 3 * sum(gaps) / len(gaps)


def test_growth_is_of_the_working_size_not_of_the_way_there():
    points = [MemoryPoint(float(second), 100.0 if second < 3 else 500.0 + second) for second in range(20)]

    assert memory_growth(points, 20) == 10
    assert memory_growth(points[:12], 20) is None


def rerank(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "rerank_toolkit.cli", "bench", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=120,
    )


def test_workers_killed_under_load_cost_no_request_its_end(small_jinabert, tmp_path):
    done = rerank(
        *("load", "--start", small_jinabert, "--rate", 20, "--seconds", 4, "--documents", 4),
        *("--kill-worker-every", 1.5, "--out", tmp_path / "load.json"),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr + done.stdout
    report = msgspec.json.decode((tmp_path / "load.json").read_bytes(), type=LoadReport)
    assert report.workers_killed >= 1
    assert report.hung == 0
    assert report.failed == {}
    assert report.sent == report.answered + sum(report.refused.values())
    assert report.memory_growth_mib is not None
    assert "| workers killed |" in done.stdout


def test_more_than_it_can_do(small_jinabert, tmp_path):
    done = rerank(
        *("load", "--start", small_jinabert, "--rate", 400, "--seconds", 2, "--documents", 25),
        *("--time-limit-seconds", 1, "--out", tmp_path / "load.json"),
        cwd=tmp_path,
    )

    report = msgspec.json.decode((tmp_path / "load.json").read_bytes(), type=LoadReport)
    assert report.refused.keys() == {"503"}
    assert report.failed == {}
    assert report.hung == 0
    assert report.sent == report.answered + report.refused["503"]
    assert "× 503" in done.stdout
    # On a machine that is busy with other things the accepted may come late, and then it says so.
    assert report.accepted is not None
    late = report.accepted.p95_ms > (report.time_limit_s + OWN_PART_S) * 1e3
    assert done.returncode == (1 if late else 0), done.stderr + done.stdout


def test_no_request_is_lost_at_the_end_of_a_server(small_jinabert):
    report = measure_drain(small_jinabert, tries=2, workload=Workload(documents=40), progress=quiet)

    assert [(one.lost, one.exit_code) for one in report.tries] == [(0, 0), (0, 0)]
    assert all(one.in_flight for one in report.tries)
    assert all(one.answered for one in report.tries)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["load"], "--url, --start: name exactly one"),
        (["load", "--url", "localhost", "--kill-worker-every", 1], "--kill-worker-every: needs --start"),
        (["load", "--url", "localhost", "--kill-worker-every", 1], "expected http://HOST:PORT"),
        (["compare", "--dtypes", "bf17,fp99"], "names 'fp99'"),
        (["compare", "--models", "gigantic"], "gigantic"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, arguments, says):
    done = rerank(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
