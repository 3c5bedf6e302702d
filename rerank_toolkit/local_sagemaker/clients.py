"""boto3 clients of the local AWS for the local AWS: what a stack makes is what any other caller then sees."""

from __future__ import annotations

from threading import Lock
from typing import Any

import boto3
from botocore.config import Config

ACCESS_KEY = "LOCALLOCALLOCALLOCAL"
SECRET_KEY = "not-a-secret"


class Clients:
    """Makes each service's client once. boto3 clients may be shared by threads, their making may not."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        self._endpoint_url = endpoint_url
        self._session = boto3.Session(
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=region
        )
        self._lock = Lock()
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(
                    service,
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        retries={"max_attempts": 1},
                        s3={"addressing_style": "path"},
                        proxies={},
                        max_pool_connections=32,
                    ),
                )
            return self._clients[service]
