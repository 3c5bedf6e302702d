"""`python -m tools.image`: builds and tries the images; exits with 1 if any check fails, 3 if a program is missing."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rerank_toolkit import __version__
from tools.image.base import DEBIAN, provide_base
from tools.image.errors import ImageError
from tools.image.pip_settings import PipSettings
from tools.image.podman import Podman
from tools.image.trial import Trial

MODEL = "ms-marco-MiniLM-L-12-v2"  # genuine weights from a package, so that a ranking can be right or wrong
INTERRUPTED = 130


@dataclass(frozen=True)
class Target:
    """A target of the Dockerfile, with what may be expected of it."""

    name: str
    engine: str
    most_mb: float
    memory: str = ""
    """Limit for its container, such as 1024m."""


TARGETS = (
    Target("cpu", "openvino", most_mb=600, memory="1024m"),  # the smallest serverless endpoint's memory
    Target("gpu", "torch", most_mb=10_000),  # with CUDA; SageMaker's limit for serverless, a mark elsewhere
)


def main() -> int:
    """Builds and tries the targets that the command line names; the exit code."""
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rerank-image-")))
            podman = Podman(None if options.keep else work / "store")
            stack.callback(podman.close)
            return _build_and_try(podman, work, options)
    except ImageError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.image", description="Build the container images and send them real requests."
    )
    parser.add_argument(
        "--target", action="append", choices=[target.name for target in TARGETS], help="only this one; repeatable"
    )
    parser.add_argument(
        "--base", help=f"base image, or {DEBIAN} to make one here (default: the Dockerfile's, else {DEBIAN})"
    )
    parser.add_argument(
        "--torch-index", default="", help="package index of torch for the gpu target, such as the one of its CPU builds"
    )
    parser.add_argument(
        "--keep", action="store_true", help="build into your own image store, and leave the images there"
    )
    return parser.parse_args()


def _build_and_try(podman: Podman, work: Path, options: argparse.Namespace) -> int:
    start = time.monotonic()
    base, words = provide_base(podman, options.base)
    print(f"base: {words}, {podman.size(base) / 1e6:,.0f} MB, in {time.monotonic() - start:.0f} s", flush=True)
    pip = PipSettings.of_this_machine()
    secret = work / "pip.conf"
    secret.write_text(pip.to_ini(), encoding="utf-8")
    faults = 0
    for target in TARGETS:
        if options.target and target.name not in options.target:
            continue
        image = f"localhost/rerank-toolkit:{target.name}-{__version__}"
        start = time.monotonic()
        arguments = {"BASE_IMAGE": base}
        if options.torch_index:
            arguments["TORCH_INDEX"] = options.torch_index
        podman.build(target.name, image, arguments=arguments, secret=secret, mounts=pip.mounts)
        size_mb = podman.size(image) / 1e6
        print(f"{target.name}: {size_mb:,.0f} MB, built in {time.monotonic() - start:.0f} s", flush=True)
        faults += _try(podman, image, target, size_mb, _package(work / target.name, target.engine))
    print("Every check passed." if not faults else f"{faults} checks failed.")
    return ImageError.exit_code if faults else 0


def _package(folder: Path, engine: str) -> Path:
    command = [sys.executable, "-m", "rerank_toolkit.cli", "package", MODEL, "--engine", engine, "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"rerank package {MODEL} --engine {engine} failed:\n{done.stderr.strip()}")
    return folder


def _try(podman: Podman, image: str, target: Target, size_mb: float, model: Path) -> int:
    """The number of checks that failed."""
    trial = Trial(podman, image, model, target.engine, target.memory, passed=_print_passed)
    trial.run()
    if size_mb > target.most_mb:
        trial.faults.append(f"the image has {size_mb:,.0f} MB; expected at most {target.most_mb:,.0f}")
    for fault in trial.faults:
        print(f"  ✗ {fault}")
    if trial.faults:
        print("  its log ends:", *trial.log[-20:], sep="\n    ", flush=True)
    return len(trial.faults)


def _print_passed(check: str) -> None:
    print(f"  ✓ {check}", flush=True)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
