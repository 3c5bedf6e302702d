"""The tar.gz that `rerank package` writes beside an artifact's folder.

`python -m infra.archive FOLDER MODEL ENGINE DTYPE` says what keeps it from being deployed. `cdk deploy` runs that in
place of an upload, for the CDK knows no other way to let a stack synthesise and its deploy stop with a reason.
"""

from __future__ import annotations

import hashlib
import shlex
import sys
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts import documents, manifest
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.manifest import Manifest


class UnusableArchive(ToolkitError):
    """There is no archive, or it doesn't hold what the plan deploys."""


@dataclass(frozen=True)
class Archive:
    """The tar.gz that `rerank package` wrote beside an artifact's folder."""

    path: Path
    manifest: Manifest
    digest: str
    """Names the content: the manifest vouches for each file with its hash, so hashing gigabytes on every `cdk ls`
    is not needed. The size tells a truncated archive from a whole one."""

    @classmethod
    def open(cls, folder: Path, model_name: str, engine: str, dtype: str) -> Archive:
        """The archive of the artifact `folder`; raises UnusableArchive, which says what to do."""
        path = folder.with_name(f"{folder.name}.tar.gz")
        model = find_model(model_name)
        command = shlex.join(
            ["rerank", "package", model.alias, "--engine", engine, "--dtype", dtype, "--out", str(folder)]
        )
        try:
            text = _manifest_text(path)
            held = documents.decode(text, Manifest, name=f"{manifest.FILE_NAME} in {path}")
        except FileNotFoundError:
            raise UnusableArchive(f"{model.id} is not packaged: there is no {path}. Run: {command}") from None
        except (OSError, EOFError, tarfile.TarError, zlib.error, ToolkitError) as error:
            raise UnusableArchive(f"{path} can't be used: {error}. Package it anew: {command}") from None
        expected = (model.id, engine, dtype)
        if (held.model_id, held.engine, held.dtype) != expected:
            raise UnusableArchive(
                f"{path} holds {held.model_id} for {held.engine} in {held.dtype}, but the plan deploys "
                f"{model.id} for {engine} in {dtype}. Run: {command}"
            )
        digest = hashlib.sha256(text + str(path.stat().st_size).encode()).hexdigest()
        return cls(path=path, manifest=held, digest=digest)


def _manifest_text(path: Path) -> bytes:
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:  # in order, for the manifest comes first and what follows need not be unpacked
            if member.name.removeprefix("./") == manifest.FILE_NAME and (file := archive.extractfile(member)):
                return file.read()
    raise tarfile.TarError(f"it has no {manifest.FILE_NAME}")


def main() -> None:
    """Always fails: the templates that ask for it were made without an archive."""
    folder, model, engine, dtype = sys.argv[1:]
    try:
        archive = Archive.open(Path(folder), model, engine, dtype)
    except UnusableArchive as error:
        sys.exit(str(error))
    sys.exit(f"{archive.path} came after the templates were made. Run cdk deploy again.")


if __name__ == "__main__":
    main()
