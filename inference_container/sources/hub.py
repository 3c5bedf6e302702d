"""`hf:REPOSITORY@REVISION`: a repository of the Hugging Face hub, or of a mirror that HF_ENDPOINT names."""

from __future__ import annotations

import hashlib
import re
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx2  # comes with huggingface_hub, which lets its transport errors through
import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils.tqdm import disable_progress_bars

from inference_container.sources.checkpoint import Checkpoint, Progress
from inference_container.sources.folder import (
    CONFIG,
    PICKLE,
    SAFETENSORS,
    TEXTS,
    TOKENIZER,
    check_folder,
    find_weights,
    read_folder,
)
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Manifest

_COMMIT = re.compile("[0-9a-f]{40}")
_DIGEST = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_CONNECT_TIMEOUT_S = 5.0


class HubUnavailable(ToolkitError):
    """The hub, the repository or the revision can't be reached."""


@dataclass(frozen=True, slots=True)
class HubSource:
    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        repository, _, revision = text.partition("@")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise InvalidInput("source", [Fault("repository", f"is {repository!r}; expected OWNER/NAME")])
        return cls(repository, revision or None)

    def fetch(self, model: Model, progress: Progress) -> Checkpoint:
        folder = self._find_cached(progress) or self._download(progress)
        commit = folder.name
        if self.revision is None:
            progress(f"{self.repository} has no pinned revision; its head is {commit}")
        check_folder(folder, model, name=str(folder))
        return read_folder(folder, name=str(folder), source=f"hf:{self.repository}@{commit}", revision=commit)

    def made(self, manifest: Manifest) -> bool:
        repository, _, commit = manifest.source.removeprefix("hf:").partition("@")
        return repository == self.repository and self.revision in (None, commit)

    def _find_cached(self, progress: Progress) -> Path | None:
        """A snapshot of the pinned commit in the hub's own cache; a branch may have moved since, a commit can't."""
        if self.revision is None or not _COMMIT.fullmatch(self.revision):
            return None
        try:
            found = huggingface_hub.snapshot_download(self.repository, revision=self.revision, local_files_only=True)
        except LocalEntryNotFoundError:
            return None
        folder = Path(found)
        for file in _find_damaged(folder):
            progress(f"{file} is damaged and is fetched again")
            file.resolve().unlink()
        complete = find_weights(folder) and (folder / TOKENIZER).is_file() and (folder / CONFIG).is_file()
        return folder if complete else None

    def _download(self, progress: Progress) -> Path:
        _check_reachable(constants.ENDPOINT)
        if not sys.stderr.isatty():
            disable_progress_bars()
        progress(f"fetching {self.repository} from {constants.ENDPOINT}")
        folder = self._snapshot([CONFIG, TOKENIZER, SAFETENSORS, *TEXTS])
        if not find_weights(folder):
            folder = self._snapshot([PICKLE])
        damaged = [file.name for file in _find_damaged(folder)]
        if damaged:
            raise HubUnavailable(
                f"{constants.ENDPOINT} delivered {', '.join(damaged)} with another content than announced"
            )
        return folder

    def _snapshot(self, files: list[str]) -> Path:
        try:
            found = huggingface_hub.snapshot_download(self.repository, revision=self.revision, allow_patterns=files)
        except (httpx2.HTTPError, OSError) as error:  # the hub's own errors are both
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise HubUnavailable(
                f"{self.repository}@{self.revision or 'head'} can't be fetched from {constants.ENDPOINT}: {reason}"
            ) from None
        return Path(found)


def _find_damaged(snapshot: Path) -> list[Path]:
    """Files of a snapshot whose content is not that of the blob they link to.

    The hub's cache names a blob by the ETag it was announced with: the SHA-256 of a large file, git's SHA-1 of a
    small one (some mirrors: the plain SHA-1). Another kind of ETag says nothing, nor does a cache without links.
    """
    return [
        file
        for file in sorted(snapshot.iterdir())
        if file.is_symlink() and file.is_file() and not _holds(file, file.resolve().name)
    ]


def _holds(file: Path, announced: str) -> bool:
    if not _DIGEST.fullmatch(announced):
        return True
    if len(announced) == hashlib.sha256().digest_size * 2:
        digests = [hashlib.sha256()]
    else:
        git_header = b"blob %d\0" % file.stat().st_size
        digests = [hashlib.sha1(start, usedforsecurity=False) for start in (git_header, b"")]
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            for digest in digests:
                digest.update(block)
    return announced in [digest.hexdigest() for digest in digests]


def _check_reachable(endpoint: str) -> None:
    """Raises HubUnavailable at once where the hub's client would retry for half a minute."""
    address = urlsplit(endpoint)
    if address.scheme in getproxies():
        return
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise HubUnavailable(
            f"{endpoint} is not reachable from here ({error.strerror or error}); "
            "fetch the repository elsewhere and name the folder with --source dir:PATH, or set HF_ENDPOINT to a mirror"
        ) from None
