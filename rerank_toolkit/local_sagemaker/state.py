"""Where a local AWS keeps what outlives a command: who it is, its logs, and the AWS configuration that leads to it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.local_sagemaker.clients import ACCESS_KEY, SECRET_KEY

OVERRIDE = "RERANK_LOCAL_STATE"
PROFILE = "local"


class StateUnusable(ToolkitError):
    """The state directory can't be written."""


class ServerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A server that is up and ready."""

    pid: int
    created: float
    """Start of the process, seconds since the epoch: tells it from a later process of the same pid."""
    port: int
    region: str
    account: str

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class StateDirectory:
    """The files of one local AWS. Only what is named here is ever removed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.record_file = root / "server.json"
        self.log = root / "server.log"
        self.config = root / "config"
        self.credentials = root / "credentials"
        self._lock_file = root / "lock"

    @classmethod
    def find(cls) -> StateDirectory:
        """RERANK_LOCAL_STATE, else below XDG_STATE_HOME, else below ~/.local/state."""
        if override := os.environ.get(OVERRIDE):
            return cls(Path(override).absolute())
        home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        return cls(home / "rerank-toolkit" / "local")

    @property
    def mark(self) -> str:
        """Names this directory in the environment of the processes that belong to it."""
        return str(self.root)

    def read_record(self) -> ServerRecord | None:
        if not self.record_file.exists():
            return None
        return documents.read(self.record_file, ServerRecord)

    def write_record(self, record: ServerRecord) -> None:
        """The AWS configuration first: whoever finds the record finds that as well."""
        self.config.write_text(
            f"[profile {PROFILE}]\n"
            f"region = {record.region}\n"
            f"endpoint_url = {record.endpoint_url}\n"
            "output = json\n"
            "s3 =\n"
            "    addressing_style = path\n",
            encoding="utf-8",
        )
        self.credentials.write_text(
            f"[{PROFILE}]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n", encoding="utf-8"
        )
        documents.write(self.record_file, record)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One `up` or `down` at a time. `down` removes the lock file as well, so the file locked must still be the
        one that stands there. Raises StateUnusable."""
        while True:
            descriptor = self._open_lock()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if self._stands(descriptor):
                break
            os.close(descriptor)
        try:
            yield
        finally:
            os.close(descriptor)

    def clear(self) -> None:
        """Removes everything of ours but the lock."""
        for file in (self.record_file, self.log, self.config, self.credentials):
            file.unlink(missing_ok=True)
        for name in ("endpoints", "logs"):
            shutil.rmtree(self.root / name, ignore_errors=True)

    def remove(self) -> None:
        """Removes the directory; what someone else put there stays. Call it holding the lock."""
        self.clear()
        self._lock_file.unlink(missing_ok=True)
        if not any(self.root.iterdir()):
            self.root.rmdir()

    def _open_lock(self) -> int:
        while True:
            try:
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise self._unusable(error) from None
            try:
                return os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
            except FileNotFoundError:
                continue  # a `down` has removed the directory just now
            except OSError as error:
                raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> StateUnusable:
        return StateUnusable(
            f"can't keep state in {self.root}: {error.strerror}; name another directory: export {OVERRIDE}=…"
        )

    def _stands(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._lock_file.stat())
        except FileNotFoundError:
            return False
