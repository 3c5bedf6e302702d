"""`rerank local up`, `status`, `down`: once each as it should go, and then the ways in which it may not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from rerank_toolkit.local_sagemaker.processes import find_marked

from .conftest import LocalAws, endpoint_template, plain_environment, rerank


def read_json(text: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(text)
    return document


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < deadline, "processes were left behind"
        time.sleep(0.05)


def test_one_local_aws_from_up_to_down(tmp_path: Path, small_bert: Path) -> None:
    """Up twice at once and again, a stack, a killed server, up once more, down, down again."""
    state, home = tmp_path / "state", tmp_path / "home"
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
    server.kill()
    wait_until_gone(left)
    assert rerank("local", "status", state=state).returncode == 1

    again = rerank("local", "up", "--json", state=state)
    assert again.returncode == 0, again.stderr
    assert json.loads(rerank("local", "status", "--json", state=state).stdout)["stacks"] == []
    (state / "server.json").write_text("cut sho")
    down = rerank("local", "down", state=state)
    assert "nothing is left" in down.stderr, "the server is found even when its record is lost"
    wait_until_gone([int(str(read_json(again.stdout)["pid"]))])
    assert not state.exists()
    assert find_marked(str(state)) == []
    assert list(home.iterdir()) == [], "the user's own AWS files are neither read nor written"
    assert "No local AWS was running" in rerank("local", "down", state=state).stderr


def test_ctrl_c_in_the_foreground_leaves_nothing(tmp_path: Path) -> None:
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
    pid = json.loads((state / "server.json").read_text())["pid"]
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "nothing is left" in told
    wait_until_gone([pid])
    assert not state.exists()


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


def test_down_removes_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    assert rerank("local", "down", state=tmp_path).returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_proxy_is_led_around(local_aws: LocalAws) -> None:
    answer = rerank(
        "local", "up", "--json", state=local_aws.state, HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="intra.net"
    )
    assert read_json(answer.stdout)["environment"] == {
        **local_aws.document["environment"],
        "NO_PROXY": "intra.net,127.0.0.1,localhost",
    }


def test_variables_that_would_lead_elsewhere_are_named(local_aws: LocalAws) -> None:
    answer = rerank(
        "local", "up", state=local_aws.state, AWS_ACCESS_KEY_ID="of-the-user", AWS_ENDPOINT_URL="http://elsewhere"
    )
    assert "AWS_ACCESS_KEY_ID" in answer.stderr
    assert "AWS_ENDPOINT_URL" in answer.stderr
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
