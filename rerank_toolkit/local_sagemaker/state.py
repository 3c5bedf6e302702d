"""Where a local AWS keeps what outlives a command: who it is, its logs, and the AWS configuration that leads to it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError
from rerank_toolkit.local_sagemaker.clients import ACCESS_KEY, SECRET_KEY

MOST_RACES = 100
"""Times that a directory may vanish under an `up`, removed by a `down`, before something else must be the matter."""
OVERRIDE = "RERANK_LOCAL_STATE"
PROFILE = "local"
STATUS_PATH = "/_rerank/status"
"""Where a server answers with its endpoints and stacks."""


class StateUnusable(ToolkitError):
    """The state directory can't be written or cleared, or is someone else's."""


class ServerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A server that is up and ready."""

    pid: int
    port: int
    region: str
    account: str

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class StateDirectory:
    """The files of one local AWS, in a directory that was missing or empty before. Its lock file marks it as ours:
    in one without it nothing is ever written or removed."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self.record_file = self.root / "server.json"
        self.log = self.root / "server.log"
        self.config = self.root / "config"
        self.credentials = self.root / "credentials"
        self._lock_file = self.root / ".rerank-local-aws"

    @classmethod
    def find(cls) -> StateDirectory:
        """RERANK_LOCAL_STATE, else below XDG_STATE_HOME, else below ~/.local/state."""
        if override := os.environ.get(OVERRIDE):
            return cls(Path(override))
        home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        return cls(home / "rerank-toolkit" / "local")

    @property
    def mark(self) -> str:
        """Names this directory in the environment of the processes that belong to it."""
        return str(self.root)

    def read_record(self) -> ServerRecord | None:
        """None also for one cut short by a full disk or a crash."""
        try:
            return documents.read(self.record_file, ServerRecord) if self.record_file.exists() else None
        except InvalidInput:
            return None

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
        one that stands there. Raises StateUnusable, also for a directory that is someone else's."""
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
        """Removes everything of ours but the lock. Raises StateUnusable naming what can't be removed."""
        failed = []
        for path in (
            self.record_file,
            *self.root.glob(f".{self.record_file.name}.*.part"),  # of a write that was cut short
            self.log,
            self.config,
            self.credentials,
            self.root / "endpoints",
            self.root / "logs",
        ):
            try:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            except OSError as error:
                failed.append(f"{error.filename}: {error.strerror}")
        if failed:
            raise StateUnusable(f"can't remove {'; '.join(failed)}")

    def remove(self) -> None:
        """Removes the directory and its parents as far as `lock` has made them. What someone else put there stays,
        see `strangers`. Call it holding the lock."""
        self.clear()
        made = [Path(line) for line in self._lock_file.read_text("utf-8").splitlines()]
        self._lock_file.unlink()
        for folder in made:
            with suppress(OSError):  # someone else's files are in it
                folder.rmdir()

    def strangers(self) -> list[str]:
        """What is in the directory although it is no local AWS's any more."""
        owned = not self.root.is_dir() or self._lock_file.exists()
        return [] if owned else sorted(path.name for path in self.root.iterdir())

    def _open_lock(self) -> int:
        for _ in range(MOST_RACES):
            try:
                missing = [folder for folder in (self.root, *self.root.parents) if not folder.exists()]
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
                found = [path.name for path in self.root.iterdir()]
                if found and self._lock_file.name not in found:
                    raise StateUnusable(
                        f"{self.root} holds files of someone else's ({', '.join(sorted(found)[:3])}); "
                        f"name a directory that is missing or empty: export {OVERRIDE}=…"
                    )
                descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
                os.write(descriptor, "".join(f"{folder}\n" for folder in missing).encode())
                return descriptor
            except FileNotFoundError:
                continue  # a `down` has removed the directory just now
            except OSError as error:
                raise StateUnusable(
                    f"can't keep state in {self.root}: {error.strerror}; name another directory: export {OVERRIDE}=…"
                ) from None
        raise StateUnusable(f"can't keep state in {self.root}; name another directory: export {OVERRIDE}=…")

    def _stands(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._lock_file.stat())
        except FileNotFoundError:
            return False
