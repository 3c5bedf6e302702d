"""What is asked of a deployment: how often, how much, and how good and fast it must be."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

DEFAULT = Path(__file__).with_name("default_workload.toml")

Positive = Annotated[float, msgspec.Meta(gt=0)]


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema_version: int = 1
    name: str = "unnamed"
    requests_per_second: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
    """Mean over the month; arrivals are Poisson."""
    documents_per_request: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    tokens_per_document: Annotated[float, msgspec.Meta(ge=1, le=1_000_000)]
    """Mean tokens of a pair as the model reads it: query, document and special tokens."""
    tokens_cv: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.6
    """Standard deviation over mean of that; lengths are lognormal."""
    max_p95_ms: Positive | None = None
    """Limit of the response time's 95th percentile."""
    min_quality: float | None = None
    """Least published BEIR nDCG@10."""
    max_utilisation: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.7
    """Share of the time that an instance may be busy."""
    routing: Literal["random", "least-outstanding-requests"] = "random"
    """How the endpoint spreads requests over instances; random is SageMaker's default."""
    bytes_per_token: Positive = 4.5
    """Assumed, for the data that is billed: English text in JSON."""
    bytes_per_result: Positive = 60
    """Assumed: an index and a score; more if the documents are returned."""
    storage_gb_per_instance: Annotated[float, msgspec.Meta(ge=0)] = 0
    """Volume asked for in the endpoint configuration."""

    def __post_init__(self) -> None:
        endless = [
            f"{name} is {value}"
            for name in self.__struct_fields__
            if isinstance(value := getattr(self, name), float) and not math.isfinite(value)
        ]
        if endless:
            raise ValueError(f"{', '.join(endless)}; expected a finite number")

    @property
    def tokens_per_request(self) -> float:
        return self.documents_per_request * self.tokens_per_document

    @property
    def request_bytes(self) -> float:
        return self.tokens_per_request * self.bytes_per_token

    @property
    def response_bytes(self) -> float:
        return self.documents_per_request * self.bytes_per_result

    def describe(self) -> str:
        """One line for people."""
        parts = [
            f"{self.requests_per_second:g} request/s",
            f"{self.documents_per_request} documents of {self.tokens_per_document:g} tokens (pair, mean)",
            f"busy at most {self.max_utilisation:.0%}",
        ]
        if self.max_p95_ms is not None:
            parts.append(f"p95 ≤ {self.max_p95_ms:g} ms")
        if self.min_quality is not None:
            parts.append(f"BEIR nDCG@10 ≥ {self.min_quality:g}")
        return f"{self.name}: {', '.join(parts)}"


def read_workload(path: Path = DEFAULT) -> Workload:
    """The workload in a .toml or .json file; raises InvalidInput with every fault."""
    if path.suffix != ".toml":
        return documents.read(path, Workload)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(str(path), [Fault("", f"can't be read: {error.strerror}", "unreadable")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(str(path), [Fault("", f"is not TOML: {error}", "not_toml")]) from None
    return documents.convert(document, Workload, name=str(path))
