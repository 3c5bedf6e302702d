"""Model data from the local S3, laid out as SageMaker lays it out for a container."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from botocore.exceptions import ClientError

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.sagemaker.s3_uri import S3Uri, parse_s3_uri


class ModelDataError(Exception):
    """The model data isn't there or isn't what SageMaker would accept."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a container's model data lies: a tar.gz, one file as it is, or everything below a prefix."""

    uri: str
    form: Literal["archive", "object", "prefix"]

    @property
    def place(self) -> S3Uri:
        """Raises ModelDataError if it is no S3 location."""
        try:
            return parse_s3_uri(self.uri)
        except ValueError as error:
            raise ModelDataError(f"model data: {error}") from None


def find_source(container: Mapping[str, Any]) -> Source | None:
    """The source that a container definition names; None without model data."""
    if url := container.get("ModelDataUrl"):
        return Source(url, "archive")
    if source := container.get("ModelDataSource", {}).get("S3DataSource"):
        if source.get("CompressionType") == "Gzip":
            return Source(source["S3Uri"], "archive")
        return Source(source["S3Uri"], "object" if source.get("S3DataType") == "S3Object" else "prefix")
    return None


def check_source(clients: Clients, container: Mapping[str, Any]) -> None:
    """Raises ModelDataError if the container's model data is named but not there."""
    source = find_source(container)
    if source is None:
        return
    place = source.place
    if source.form != "prefix":
        _head(clients, place)
        return
    if not place.key.endswith("/"):
        raise ModelDataError(f"model data at {source.uri}: a prefix ends with a slash (S3DataType is S3Prefix)")
    if not clients("s3").list_objects_v2(Bucket=place.bucket, Prefix=place.key, MaxKeys=1).get("Contents"):
        raise ModelDataError(f"Could not find model data at {source.uri}.")


def fetch(clients: Clients, container: Mapping[str, Any], folder: Path) -> None:
    """Puts the container's model data into `folder`, which is new; raises ModelDataError."""
    folder.mkdir(parents=True)
    source = find_source(container)
    if source is None:
        return
    place = source.place
    match source.form:
        case "archive":
            _head(clients, place)
            _unpack(clients, place, folder)
        case "object":
            _head(clients, place)
            _download(clients, place, folder, place.key.rpartition("/")[2])
        case "prefix":
            for page in clients("s3").get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.key):
                for entry in page.get("Contents", ()):
                    key = entry["Key"]
                    _download(clients, S3Uri(place.bucket, key), folder, key.removeprefix(place.key))


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Regular files and folders below `folder`; anything else in the archive raises ModelDataError."""
    for member in archive:
        if member.isdir():
            _inside(folder, member.name).mkdir(parents=True, exist_ok=True)
            continue
        if not member.isreg():
            raise ModelDataError(
                f"{member.name!r} in the archive is a link or a device; only files and folders are unpacked"
            )
        target = _inside(folder, member.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        content = archive.extractfile(member)
        if content is None:
            raise ModelDataError(f"{member.name!r} in the archive has no content")
        with content, target.open("xb") as file:
            shutil.copyfileobj(content, file, 1 << 20)


def _unpack(clients: Clients, place: S3Uri, folder: Path) -> None:
    body = clients("s3").get_object(Bucket=place.bucket, Key=place.key)["Body"]
    try:
        with tarfile.open(fileobj=body, mode="r|gz") as archive:
            extract(archive, folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ModelDataError(f"{place} is not a tar.gz that can be unpacked: {error}") from None


def _inside(folder: Path, name: str) -> Path:
    root = folder.resolve()
    target = (root / name).resolve()
    if target != root and root not in target.parents:
        raise ModelDataError(f"{name!r} in the archive would be written outside the model's folder")
    return target


def _download(clients: Clients, place: S3Uri, folder: Path, name: str) -> None:
    if not name or name.endswith("/"):
        raise ModelDataError(
            f"{place} is a folder as S3's console makes them, which SageMaker refuses among model data; delete it"
        )
    target = _inside(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    clients("s3").download_file(place.bucket, place.key, str(target))


def _head(clients: Clients, place: S3Uri) -> None:
    try:
        clients("s3").head_object(Bucket=place.bucket, Key=place.key)
    except ClientError:
        raise ModelDataError(f"Could not find model data at {place}.") from None
