"""`rerank local up`, `status`, `down`: once each as it should go, and then the ways in which it may not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest

from rerank_toolkit.local_sagemaker import reaper
from rerank_toolkit.local_sagemaker.lifecycle import NoAnswer, down, find_running, read_status
from rerank_toolkit.local_sagemaker.processes import ENDPOINT_MARK, REAPER_MARK, SERVER_MARK, find_marked
from rerank_toolkit.local_sagemaker.state import ServerRecord, StateDirectory, StateUnusable

from .conftest import LocalAws, endpoint_template, plain_environment, rerank


def read_json(text: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(text)
    return document


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < deadline, "processes were left behind"
        time.sleep(0.05)


def sleeping(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process with nothing but these variables, once it has them."""
    process = subprocess.Popen(["/bin/sleep", "60"], env={"FOR": "tests", **environment})
    while psutil.Process(process.pid).environ() != {"FOR": "tests", **environment}:
        time.sleep(0.01)
    return process


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """Where a test's local AWS lives; ended even if the test fails before it comes to that."""
    state = tmp_path / "state"
    yield state
    if state.exists():
        rerank("local", "down", state=state)


def test_one_local_aws_from_up_to_down(tmp_path: Path, state: Path, small_bert: Path) -> None:
    """Up twice at once and again, a stack, a killed server, up once more, down, down again."""
    home = tmp_path / "home"
    home.mkdir()
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: rerank("local", "up", "--json", state=state, HOME=str(home)), range(2)))
    assert [answer.returncode for answer in both] == [0, 0], both
    first, second = (read_json(answer.stdout) for answer in both)
    assert first == second, "the second of two concurrent calls finds the server of the first"

    shell = rerank("local", "up", state=state)
    exported = dict(
        line.removeprefix("export ").split("=", 1) for line in shell.stdout.splitlines() if line.startswith("export")
    )
    assert exported == first["environment"]
    assert "was up already" in shell.stderr
    other = rerank("local", "up", "--region", "eu-west-1", "--port", "1", state=state)
    assert other.returncode == 2
    assert "--region" in other.stderr
    assert "--port" in other.stderr

    aws = LocalAws(state, first)
    aws.client("s3").create_bucket(Bucket="models")
    aws.client("s3").upload_file(f"{small_bert}.tar.gz", "models", "m.tar.gz")
    template = endpoint_template("s3://models/m.tar.gz", name="shortlived")
    template["Resources"]["Exotic"] = {"Type": "AWS::QuantumLedger::Dial"}
    assert aws.deploy("shortlived", template)["StackStatus"] == "CREATE_COMPLETE", aws.reasons("shortlived")

    table = rerank("local", "status", state=state).stdout
    for shown in ("shortlived", "InService", "ml.c7i.xlarge", "CREATE_COMPLETE", "AWS::QuantumLedger::Dial"):
        assert shown in table
    status = json.loads(rerank("local", "status", "--json", state=state).stdout)
    (container,) = status["endpoints"][0]["containers"]
    assert Path(container["log"]).is_file()

    server = psutil.Process(status["pid"])
    left = [status["pid"], container["pid"], *(child.pid for child in server.children(recursive=True))]
    assert [process.pid for process in find_marked(str(state), SERVER_MARK)] == [status["pid"]]
    workers = [child.pid for child in psutil.Process(container["pid"]).children()]
    assert sorted(process.pid for process in find_marked(str(state), ENDPOINT_MARK)) == [container["pid"], *workers]
    (reaping,) = find_marked(str(state), REAPER_MARK)
    assert {status["pid"], container["pid"], *workers, reaping.pid} == set(left)
    server.kill()
    wait_until_gone(left)
    assert rerank("local", "status", state=state).returncode == 1

    again = rerank("local", "up", "--json", state=state)
    assert again.returncode == 0, again.stderr
    assert json.loads(rerank("local", "status", "--json", state=state).stdout)["stacks"] == []
    (state / "server.json").write_text("cut sho")
    down = rerank("local", "down", state=state)
    assert "nothing is left" in down.stderr, "the server is found even when its record is lost"
    assert not state.exists()
    assert [find_marked(str(state), mark) for mark in (SERVER_MARK, ENDPOINT_MARK, REAPER_MARK)] == [[], [], []]
    assert list(home.iterdir()) == [], "the user's own AWS files are neither read nor written"
    assert "No local AWS was running" in rerank("local", "down", state=state).stderr


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP])
def test_the_foreground_ends_with_its_shell_and_leaves_nothing(tmp_path: Path, ending: signal.Signals) -> None:
    state = tmp_path / "state"
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("rerank")), "local", "up", "--foreground", "--json"],
        env={**plain_environment(), "RERANK_LOCAL_STATE": str(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    stderr = process.stderr
    assert stderr is not None
    for line in stderr:
        if "Ctrl-C stops it" in line:
            break
    try:
        pid = json.loads((state / "server.json").read_text())["pid"]
        os.killpg(process.pid, ending)
        os.killpg(process.pid, signal.SIGTERM)  # an impatient second one
        _, told = process.communicate(timeout=60)
        assert process.returncode == 130, told
        assert "nothing is left" in told
        wait_until_gone([pid])
        assert not state.exists()
    finally:
        down(StateDirectory(state))


def test_the_foreground_is_not_for_one_that_runs_already(local_aws: LocalAws) -> None:
    answer = rerank("local", "up", "--foreground", state=local_aws.state)
    assert answer.returncode == 2
    assert "rerank local down" in answer.stderr


def test_a_port_that_is_taken_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = rerank("local", "up", "--port", str(port), state=tmp_path / "state")
    assert answer.returncode == 1
    assert f"port {port} is taken" in answer.stderr
    assert not (tmp_path / "state").exists()


def test_a_state_directory_that_cannot_be_is_told() -> None:
    answer = rerank("local", "up", state=Path("/dev/null/state"))
    assert answer.returncode == 1
    assert "RERANK_LOCAL_STATE" in answer.stderr


@pytest.mark.parametrize("command", ["up", "down"])
def test_a_directory_of_someone_elses_is_refused_and_stays_as_it_was(tmp_path: Path, command: str) -> None:
    (tmp_path / "config").write_text("[profile mine]")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine.log").write_text("keep")
    answer = rerank("local", command, state=tmp_path)
    assert answer.returncode == 1
    assert f"{tmp_path} holds files of someone else's (config, logs)" in answer.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["config", "logs", "mine.log"]
    assert (tmp_path / "config").read_text() == "[profile mine]"


def test_down_leaves_what_someone_put_into_its_directory_and_takes_the_parents_that_it_made(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "made" / "by" / "lock")
    with state.lock():
        (state.root / ".server.json.4711.part").write_text("a write cut short")
        (state.root / "mine.txt").write_text("keep")
        state.remove()
    assert state.strangers() == ["mine.txt"]
    assert [path.name for path in state.root.iterdir()] == ["mine.txt"]

    (state.root / "mine.txt").unlink()
    state.root.rmdir()
    (tmp_path / "made" / "by").rmdir()
    assert down(state) is False
    assert state.strangers() == []
    assert [path.name for path in tmp_path.iterdir()] == ["made"], "which was there before"


def test_what_belongs_to_a_state_directory_is_ended_though_the_directory_is_gone(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    state = StateDirectory(tmp_path / "link" / ".." / "real" / "state")
    assert state.mark == str(tmp_path / "real" / "state")
    orphan = sleeping({ENDPOINT_MARK: state.mark})
    assert down(state) is True
    assert orphan.wait(10) != 0
    assert not state.root.exists()


def test_a_reaper_alone_is_ended_but_was_no_local_aws(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    alone = reaper.start(state.mark)
    assert alone.stdin is not None
    with alone.stdin:
        while not find_marked(state.mark, REAPER_MARK):
            time.sleep(0.01)
        assert find_marked(state.mark, SERVER_MARK) == []
        assert down(state) is False
        assert alone.wait(10) == -signal.SIGTERM


def test_a_server_is_known_by_its_mark_and_not_by_a_pid_that_another_process_has_now(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    other, server = sleeping({}), sleeping({SERVER_MARK: state.mark})
    try:
        with state.lock():
            state.write_record(ServerRecord(pid=other.pid, port=1, region="us-east-1", account="1"))
            assert find_running(state) is None
            mine = ServerRecord(pid=server.pid, port=1, region="us-east-1", account="1")
            state.write_record(mine)
        assert find_running(state) == mine
        replaced = ServerRecord(pid=1, port=2, region="us-east-1", account="1")
        assert down(state, only=replaced) is False
        assert server.poll() is None, "a foreground that lost its server leaves the next one alone"
        assert down(state, only=mine) is True
        assert server.wait(10) == -signal.SIGTERM
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_the_server_itself_is_not_started_without_the_mark_that_leads_to_it(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "rerank_toolkit.local_sagemaker"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "rerank local up" in answer.stderr


def test_a_server_that_answers_with_an_error_is_not_called_silent() -> None:
    class Failing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(500)

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    with HTTPServer(("127.0.0.1", 0), Failing) as server:
        Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(NoAnswer, match="answered 500"):
            read_status(ServerRecord(pid=1, port=server.server_port, region="us-east-1", account="1"))


def test_a_proxy_is_led_around(local_aws: LocalAws) -> None:
    answer = rerank(
        *("local", "up", "--json"),
        state=local_aws.state,
        HTTP_PROXY="http://127.0.0.1:9",
        NO_PROXY="intra.net",
        no_proxy="lower.net, intra.net",
    )
    around = "intra.net,lower.net,127.0.0.1,localhost"
    assert read_json(answer.stdout)["environment"] == {
        **local_aws.document["environment"],
        "NO_PROXY": around,
        "no_proxy": around,
    }


def test_variables_that_would_lead_elsewhere_are_named(local_aws: LocalAws) -> None:
    variables = {
        "AWS_ACCESS_KEY_ID": "of-the-user",
        "AWS_ENDPOINT_URL": "http://elsewhere",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    }
    answer = rerank("local", "up", state=local_aws.state, **variables)
    for name in variables:
        assert name in answer.stderr
    assert "of-the-user" not in answer.stderr + answer.stdout


def test_it_listens_on_loopback_alone(local_aws: LocalAws) -> None:
    listening = [
        c.laddr.ip
        for c in psutil.Process(local_aws.document["pid"]).net_connections()
        if c.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


@pytest.mark.parametrize(
    "words",
    [
        ("local", "up", "--port", "70000"),
        ("local", "up", "--port", "x"),
        ("local", "up", "--region", "mars-1"),
        ("local", "sideways"),
    ],
)
def test_a_malformed_command_ends_with_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    answer = rerank(*words, state=tmp_path / "state")
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr


def test_a_profile_that_is_no_more_stands_in_nobodys_way(tmp_path: Path) -> None:
    """A shell keeps what `rerank local up` had it export, beyond `rerank local down`."""
    answer = rerank("local", "up", "--region", "mars-1", state=tmp_path / "state", AWS_PROFILE="no-more")
    assert answer.returncode == 2
    assert "no region is called 'mars-1'" in answer.stderr


def test_settings_that_are_none_are_all_named(tmp_path: Path) -> None:
    settings = {"RERANK_LOCAL_LONGEST_WAIT_S": "soon", "RERANK_LOCAL_SERVERLESS_IDLE_S": "-1"}
    answer = rerank("local", "up", state=tmp_path / "state", **settings)
    assert answer.returncode == 2
    assert "RERANK_LOCAL_LONGEST_WAIT_S: is 'soon'; expected a number of seconds" in answer.stderr
    assert "RERANK_LOCAL_SERVERLESS_IDLE_S: is '-1'" in answer.stderr
    assert not (tmp_path / "state").exists()


def test_a_directory_that_can_never_be_made_ends_in_words_not_in_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANK_LOCAL_STATE", "/proc/nothing/can/be/made/here")

    with pytest.raises(StateUnusable, match="can't keep state in /proc/nothing"), StateDirectory.find().lock():
        raise AssertionError
