"""Model data from the local S3, laid out as SageMaker lays it out for a container."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from rerank_toolkit.local_sagemaker.clients import Clients


class ModelDataError(Exception):
    """The model data isn't there or isn't what SageMaker would accept."""


def find_source(container: Mapping[str, Any]) -> tuple[str, bool] | None:
    """The S3 URI in a container definition and whether it is a tar.gz; None without model data."""
    if url := container.get("ModelDataUrl"):
        return url, True
    if source := container.get("ModelDataSource", {}).get("S3DataSource"):
        return source["S3Uri"], source.get("CompressionType") == "Gzip"
    return None


def check_source(clients: Clients, container: Mapping[str, Any]) -> None:
    """Raises ModelDataError if the container's model data is named but not there."""
    source = find_source(container)
    if source is None:
        return
    uri, compressed = source
    bucket, key = _split(uri)
    if compressed:
        _head(clients, uri, bucket, key)
    elif not clients("s3").list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents"):
        raise ModelDataError(f"Could not find model data at {uri}.")


def fetch(clients: Clients, container: Mapping[str, Any], folder: Path) -> None:
    """Puts the container's model data into `folder`, which is new; raises ModelDataError."""
    folder.mkdir(parents=True)
    source = find_source(container)
    if source is None:
        return
    uri, compressed = source
    bucket, key = _split(uri)
    if compressed:
        _head(clients, uri, bucket, key)
        body = clients("s3").get_object(Bucket=bucket, Key=key)["Body"]
        try:
            with tarfile.open(fileobj=body, mode="r|gz") as archive:
                extract(archive, folder)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ModelDataError(f"{uri} is not a tar.gz that can be unpacked: {error}") from None
        return
    for page in clients("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
        for entry in page.get("Contents", ()):
            _download(clients, bucket, entry["Key"], folder, entry["Key"].removeprefix(key).lstrip("/"))


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


def _inside(folder: Path, name: str) -> Path:
    root = folder.resolve()
    target = (root / name).resolve()
    if target != root and root not in target.parents:
        raise ModelDataError(f"{name!r} in the archive would be written outside the model's folder")
    return target


def _download(clients: Clients, bucket: str, key: str, folder: Path, name: str) -> None:
    if not name or name.endswith("/"):
        return
    target = _inside(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    clients("s3").download_file(bucket, key, str(target))


def _head(clients: Clients, uri: str, bucket: str, key: str) -> None:
    try:
        clients("s3").head_object(Bucket=bucket, Key=key)
    except ClientError:
        raise ModelDataError(f"Could not find model data at {uri}.") from None


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    if parts.scheme not in ("s3", "https"):
        raise ModelDataError(f"model data is {uri!r}; expected s3://BUCKET/KEY")
    if parts.scheme == "s3":
        return parts.netloc, parts.path.lstrip("/")
    bucket, _, key = parts.path.lstrip("/").partition("/")
    return bucket, key
