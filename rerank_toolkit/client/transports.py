"""What carries a request to an endpoint and its answer back, whichever way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer as it came."""

    body: bytes
    custom_attributes: str
    """The X-Amzn-SageMaker-Custom-Attributes header; empty where there was none."""


class Transport(Protocol):
    """A way to one endpoint. Safe to use from several threads."""

    @property
    def endpoint(self) -> str:
        """The endpoint as a person would name it."""

    def send(self, body: bytes) -> Answer:
        """Posts a JSON body; raises a ClientError for anything but a success."""

    def close(self) -> None: ...
