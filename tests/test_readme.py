"""What the documents tell a reader to type, works; what they link to, exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rerank_toolkit.contracts.plan import Plan

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


READING = [command for command in commands() if command.startswith(("rerank models", "rerank cost"))]


def test_the_commands_are_found() -> None:
    assert len(READING) >= 4
    assert len(commands()) > len(READING)


@pytest.mark.parametrize("command", READING)
def test_commands_that_only_read_run_as_written(command: str) -> None:
    done = subprocess.run(
        [BIN / "rerank", *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", [command for command in commands() if "rerank " in command])
def test_other_commands_exist(command: str) -> None:
    words = shlex.split(re.sub(r'.*"\$\((.*)\)"', r"\1", command))[1:]
    room = [word for word in words if re.fullmatch("[a-z]+", word)][:2]
    known = {"package": 1, "models": 1, "serve": 1}
    done = subprocess.run(
        [BIN / "rerank", *room[: known.get(room[0], 2)], "--help"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_stacks_that_are_named_are_in_the_default_plan() -> None:
    plan = msgspec.json.decode((ROOT / "infra" / "default_plan.json").read_bytes(), type=Plan)
    stacks = {deployment.stack for deployment in plan.deployments} | {"RerankFoundation"}
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]

    named = {
        name for text in texts for name in re.findall(r"\bRerank[A-Z]\w*?(?:Cpu|Gpu)\b|\bRerankFoundation\b", text)
    }
    assert named
    assert named <= stacks


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text(encoding="utf-8"))

    assert [link for link in links if not (document.parent / link).exists()] == []
