"""Typed client of a deployed reranker, on SageMaker or over plain HTTP."""

from rerank_toolkit.client.client import RerankClient
from rerank_toolkit.client.errors import (
    ClientError,
    EndpointNotFound,
    InvalidRequest,
    NotAuthorized,
    Overloaded,
    ServerFailed,
    TimedOut,
    UnexpectedAnswer,
    Unreachable,
)
from rerank_toolkit.client.results import RankedDocument, RerankResult
from rerank_toolkit.client.retries import Retries

__all__ = [
    "ClientError",
    "EndpointNotFound",
    "InvalidRequest",
    "NotAuthorized",
    "Overloaded",
    "RankedDocument",
    "RerankClient",
    "RerankResult",
    "Retries",
    "ServerFailed",
    "TimedOut",
    "UnexpectedAnswer",
    "Unreachable",
]
