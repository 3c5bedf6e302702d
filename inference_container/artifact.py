"""An artifact: a folder with weights, a tokenizer and the manifest that vouches for each file.

`open_artifact` is the container's gate: what it lets through is, byte for byte, what was packaged.
`write_artifact` makes the folder and, beside it, the tar.gz that SageMaker fetches. Both are written aside and
renamed into place, and depend on their inputs alone: the same weights give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec
from safetensors.numpy import save_file

from inference_container.checkpoints import Tensors
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import FILE_NAME, Dtype, Engine, FileDigest, Manifest, artifact_name

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
LICENSE = "LICENSE"
NOTICE = "NOTICE"

_REQUIRED = (WEIGHTS, TOKENIZER)

# fp32 weights barely compress; the lowest level still takes what little there is, in a third of the time.
_GZIP_LEVEL = 1


class ArtifactError(ToolkitError):
    """A folder that is no artifact, or not the one that its manifest describes; lists every fault."""

    def __init__(self, path: Path, faults: Sequence[Fault], remedy: str) -> None:
        self.path = path
        self.faults = tuple(faults)
        super().__init__("\n".join([f"artifact {path}:", *(f"  {fault}" for fault in self.faults), remedy]))


@dataclass(frozen=True, slots=True)
class Artifact:
    """A folder whose files were checked against its manifest."""

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        """Where the file `name` of the manifest is; raises ArtifactError if the manifest lists none of this name."""
        if name not in self.manifest.files:
            held = ", ".join(self.manifest.files)
            fault = Fault(name, f"is not in the manifest, which lists {held}", "missing")
            raise ArtifactError(self.path, [fault], _REPACKAGE)
        return self.path / name

    @property
    def archive(self) -> Path:
        """The tar.gz beside the folder; an artifact that was fetched from S3 has none."""
        return archive_path(self.path)


_REPACKAGE = "Nothing was loaded. Fetch the artifact again, or make it again: rerank package MODEL --out DIR --force"


def default_folder(model: Model, engine: Engine = "openvino", dtype: Dtype = "bf16") -> Path:
    """artifacts/<model id>, or artifacts/<model id>-<engine>-<dtype> for other than openvino and bf16."""
    return Path("artifacts") / artifact_name(model.id, engine, dtype)


def archive_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.tar.gz")


def open_artifact(path: Path) -> Artifact:
    """The artifact in the folder `path`, after reading every byte of it once to check its SHA-256.

    Raises ArtifactError with all that is missing, altered, truncated or not listed, InvalidInput for a malformed
    manifest, NewerSchema for one of a newer toolkit.
    """
    manifest = read_manifest(path)
    faults = [*_check_listed(path, manifest), *_find_unlisted(path, manifest)]
    if faults:
        raise ArtifactError(path, faults, _REPACKAGE)
    return Artifact(path, manifest)


def read_manifest(path: Path) -> Manifest:
    """What the artifact in the folder `path` says it is, unchecked. Raises as open_artifact."""
    if not path.is_dir():
        found = "is a file; unpack it into a folder first" if path.exists() else "does not exist"
        raise ArtifactError(path, [Fault("folder", found, "missing")], "Make one with: rerank package MODEL --out DIR")
    if not os.access(path, os.R_OK | os.X_OK):
        fault = Fault("folder", f"can't be read by user {os.getuid()}, who runs this", "unreadable")
        raise ArtifactError(path, [fault], "Nothing was loaded. Let that user read it, or run as its owner.")
    if not (path / FILE_NAME).is_file() or (path / FILE_NAME).is_symlink():
        fault = Fault(FILE_NAME, "is missing or a link, so nothing vouches for this folder", "missing")
        raise ArtifactError(path, [fault], _REPACKAGE)
    return documents.read(path / FILE_NAME, Manifest)


def _check_listed(path: Path, manifest: Manifest) -> Iterator[Fault]:
    for name in _REQUIRED:
        if name not in manifest.files:
            yield Fault(name, "is not in the manifest; every artifact needs it", "missing")
    for name, digest in manifest.files.items():
        fault = _check_name(name) or _check_file(path, name, digest)
        if fault:
            yield fault


def _check_name(name: str) -> Fault | None:
    parts = PurePosixPath(name).parts
    plain = parts and name == "/".join(parts) and not name.startswith("/") and ".." not in parts
    if plain and "\\" not in name and "\0" not in name and name != FILE_NAME:
        return None
    return Fault(repr(name), "is no name for a file of an artifact; expected a path inside the folder", "unsafe_name")


def _check_file(path: Path, name: str, expected: FileDigest) -> Fault | None:
    file = path / name
    if any(step.is_symlink() for step in (file, *file.parents) if step.is_relative_to(path) and step != path):
        return Fault(name, "is a symbolic link; expected a plain file", "symlink")
    if not file.is_file():
        return Fault(name, f"is missing; the manifest lists it with {expected.bytes:,} bytes", "missing")
    if not os.access(file, os.R_OK):
        return Fault(name, f"can't be read by user {os.getuid()}, who runs this", "unreadable")
    size = file.stat().st_size
    if size != expected.bytes:
        kind = "truncated" if size < expected.bytes else "altered"
        return Fault(name, f"has {size:,} bytes; the manifest says {expected.bytes:,}", kind)
    found = _sha256(file)
    if found != expected.sha256:
        return Fault(name, f"has SHA-256 {found}; the manifest says {expected.sha256}", "altered")
    return None


def _find_unlisted(path: Path, manifest: Manifest) -> Iterator[Fault]:
    for name in unlisted_files(path, [*manifest.files, FILE_NAME]):
        yield Fault(name, "is not in the manifest; expected no other files", "unlisted")


def unlisted_files(path: Path, listed: Sequence[str]) -> list[str]:
    """Files and links below `path` that `listed` doesn't name, sorted, with forward slashes."""
    entries = (entry for entry in path.rglob("*") if entry.is_symlink() or not entry.is_dir())
    return sorted({entry.relative_to(path).as_posix() for entry in entries} - set(listed))


Vouch = Callable[[Artifact], Manifest]
"""Looks at an artifact that is written but not in place yet and returns its final manifest; what it raises, ends it."""


def write_artifact(
    out: Path,
    manifest: Manifest,
    *,
    tensors: Tensors,
    tokenizer: str,
    texts: Mapping[str, str] | None = None,
    vouch: Vouch | None = None,
) -> Artifact:
    """Writes the folder `out` and the archive beside it, replacing an artifact that is there.

    What goes into the folder: see `write_folder`. `vouch` may measure the artifact before it is put in place.
    Raises ArtifactError if `out` holds files that are not an artifact's: they are not ours to delete.
    """
    refuse_foreign(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=".part", dir=out.parent) as aside:
        folder = Path(aside) / out.name
        written = write_folder(folder, manifest, tensors=tensors, tokenizer=tokenizer, texts=texts)
        if vouch:
            written = replace(written, manifest=vouch(written))
            documents.write(folder / FILE_NAME, written.manifest)
        _write_tar(folder, archive_path(folder))
        _put_in_place(folder, out, Path(aside) / "replaced")
        archive_path(folder).replace(archive_path(out))
    return replace(written, path=out)


def write_folder(
    folder: Path, manifest: Manifest, *, tensors: Tensors, tokenizer: str, texts: Mapping[str, str] | None = None
) -> Artifact:
    """Makes the new folder of an artifact, without an archive.

    `manifest` says what it is, its `files` are filled in here; `tensors` go under their names into
    model.safetensors, the JSON text `tokenizer` into tokenizer.json, `texts` (a licence) under their names.
    """
    folder.mkdir()
    save_file(dict(tensors), folder / WEIGHTS)
    for name, text in {TOKENIZER: tokenizer, **(texts or {})}.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, and the container may run as another user
    files = {file.name: FileDigest(_sha256(file), file.stat().st_size) for file in sorted(folder.iterdir())}
    artifact = Artifact(folder, msgspec.structs.replace(manifest, files=files))
    documents.write(folder / FILE_NAME, artifact.manifest)
    return artifact


def write_archive(artifact: Artifact) -> None:
    """Writes the archive beside the folder anew."""
    archive = artifact.archive
    with tempfile.TemporaryDirectory(prefix=f".{archive.name}.", suffix=".part", dir=archive.parent) as aside:
        part = Path(aside) / archive.name
        _write_tar(artifact.path, part)
        part.replace(archive)


def _write_tar(folder: Path, archive: Path) -> None:
    """The folder's files as a tar.gz, at its root, where SageMaker expects them; free of dates and owners, sorted."""
    with (
        archive.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.iterdir()):
            entry = tarfile.TarInfo(path.name)
            entry.size = path.stat().st_size
            entry.mode = 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)


def archive_holds(artifact: Artifact) -> bool:
    """Whether the archive beside the folder is there, whole, and holds this very artifact."""
    expected = {name: digest.sha256 for name, digest in artifact.manifest.files.items()}
    expected[FILE_NAME] = _sha256(artifact.path / FILE_NAME)
    found: dict[str, str] = {}
    try:
        with tarfile.open(artifact.archive, mode="r|gz") as tar:
            for entry in tar:
                found[entry.name] = _sha256_of(tar.extractfile(entry))
    except (OSError, EOFError, tarfile.TarError):
        return False
    return found == expected


def refuse_foreign(out: Path) -> None:
    """Raises ArtifactError if something stands at `out` that writing an artifact there would destroy."""
    if not out.name:
        fault = Fault("out", "is no folder that an archive could lie beside", "unsafe_name")
        raise ArtifactError(out, [fault], "Name a new or empty folder with --out.")
    if not out.exists() and not out.is_symlink():
        return
    if out.is_symlink() or not out.is_dir():
        fault = Fault("out", "is there and is no folder", "occupied")
        raise ArtifactError(out, [fault], "Nothing was replaced. Name another folder with --out.")
    ours = [FILE_NAME, WEIGHTS, TOKENIZER, LICENSE, NOTICE]
    foreign = unlisted_files(out, ours)
    if foreign:
        faults = [Fault(name, "is there already and is no file of an artifact", "occupied") for name in foreign[:5]]
        raise ArtifactError(out, faults, "Nothing was replaced. Name a new or empty folder with --out.")


def _put_in_place(folder: Path, out: Path, replaced: Path) -> None:
    if out.exists():
        out.rename(replaced)
    try:
        folder.rename(out)
    except OSError:
        if replaced.exists() and not out.exists():
            shutil.move(replaced, out)
        raise


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return _sha256_of(content)


def _sha256_of(content: IO[bytes] | None) -> str:
    digest = hashlib.sha256()
    while content and (block := content.read(1 << 20)):
        digest.update(block)
    return digest.hexdigest()
