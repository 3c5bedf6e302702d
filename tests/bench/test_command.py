from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec
import psutil
import pytest

from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.profile import Profile


def rerank(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "rerank_toolkit.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=120,
    )


def test_a_profile_is_written_and_summed_up(jinabert_url, tmp_path):
    done = rerank(
        "bench", "record", "--url", jinabert_url, "--budget-seconds", 2, "--out", tmp_path / "new", cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "new").iterdir()
    profile = documents.read(file, Profile)
    assert file.name.startswith("small-jinabert-torch-fp32-")
    assert "small-jinabert (seeded random weights: speed only)" in done.stdout
    assert f"{profile.documents_per_second:.3g} documents/s saturated" in done.stdout
    assert f"wrote {file}" in done.stderr
    assert "compute ms" in done.stdout


def test_json_is_the_profile_and_nothing_is_written_unasked(small_jinabert, tmp_path):
    done = rerank(
        "--quiet", "bench", "record", "--start", small_jinabert, "--budget-seconds", 1, "--json", cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout, type=Profile).model_id == "small-jinabert"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "exactly one of --endpoint, --url, --start"),
        (["--url", "http://127.0.0.1:1", "--endpoint", "x"], 2, "--url"),
        (["--url", "http://127.0.0.1:1", "--quick", "--budget-seconds", 3], 2, "--quick"),
        (["--url", "http://127.0.0.1:1", "--budget-seconds", 0], 2, "--budget-seconds"),
        (["--url", "http://127.0.0.1:1", "--instance", "ml.c7i.huge"], 2, "ml.c7i.xlarge"),
        (["--url", "http://127.0.0.1:1"], 1, "can't connect"),
        (["--start", "nowhere"], 1, "nowhere"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path, arguments, code, says):
    done = rerank("bench", "record", *arguments, cwd=tmp_path)

    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("interrupt", "phase", "seconds"),
    [((signal.SIGINT, 130), "saturating", "12"), ((signal.SIGTERM, 143), "seeded random weights", "60")],
)
def test_an_interrupt_leaves_nothing_behind(small_jinabert, tmp_path, interrupt, phase, seconds):
    number, code = interrupt
    arguments = ["bench", "record", "--start", str(small_jinabert), "--budget-seconds", seconds]
    with subprocess.Popen(
        [sys.executable, "-m", "rerank_toolkit.cli", *arguments],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr:
            if phase in line:
                break
        (server,) = psutil.Process(process.pid).children()
        process.send_signal(number)
        assert process.wait(60) == code
        assert process.stderr.read() == ""

    assert not server.is_running()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("rerank-") or path.suffix == ".json"]
