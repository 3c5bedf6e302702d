"""A template that is named by its URL, read from the local S3."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.protocol import ApiError


def fetch_template(clients: Clients, url: str) -> str:
    """The template's text; raises ApiError."""
    bucket, key = _split_s3_url(url)
    try:
        body: bytes = clients("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise ApiError("ValidationError", f"S3 error: {error}; the template's URL is {url}") from None
    return body.decode("utf-8")


def _split_s3_url(url: str) -> tuple[str, str]:
    """Bucket and key, whichever way the URL names them: s3://, path style, or the bucket in the host's name."""
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    host = parts.hostname or ""
    if parts.scheme == "s3":
        return host, path
    virtual = re.fullmatch(r"(?P<bucket>.+)\.s3[.-][a-z0-9.-]*amazonaws\.com(\.cn)?", host)
    if virtual:
        return virtual["bucket"], path
    bucket, _, key = path.partition("/")
    if not bucket or not key:
        raise ApiError("ValidationError", f"S3 error: {url} names no bucket and key")
    return bucket, key
