"""s3://BUCKET/KEY, taken apart."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit


class S3Uri(NamedTuple):
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def below(self, name: str) -> S3Uri:
        """The object `name` under this prefix, whether or not that ends with a slash."""
        prefix = self.key.rstrip("/")
        return S3Uri(self.bucket, f"{prefix}/{name}" if prefix else name)


def parse_s3_uri(uri: str) -> S3Uri:
    """Takes https://…/BUCKET/KEY as well, as SageMaker does. Raises ValueError for anything else."""
    parts = urlsplit(uri)
    if parts.scheme not in ("s3", "https"):
        raise ValueError(f"{uri!r} is no S3 location; expected s3://BUCKET/KEY")
    if parts.scheme == "s3":
        return S3Uri(parts.netloc, parts.path.lstrip("/"))
    bucket, _, key = parts.path.lstrip("/").partition("/")
    return S3Uri(bucket, key)
