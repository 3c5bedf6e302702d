"""RerankClient: ranks documents by an endpoint of SageMaker or a container over plain HTTP, in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.client.errors import InvalidRequest, UnexpectedAnswer
from rerank_toolkit.client.http import HttpTransport
from rerank_toolkit.client.results import RankedDocument, RerankResult
from rerank_toolkit.client.retries import Retries
from rerank_toolkit.client.sagemaker import SageMakerTransport
from rerank_toolkit.client.transports import Answer, Transport
from rerank_toolkit.contracts.faults import Fault, collect_faults
from rerank_toolkit.contracts.wire import RerankRequest, RerankResponse, decode_origin

TIMEOUT_S = 65.0
"""SageMaker gives an endpoint 60 s; a client that gives up earlier hides the reason it would have been told."""


class RerankClient:
    """Ranks documents by how well they answer a query.

    >>> with RerankClient("RerankTinyCpu", region="eu-west-1") as client:
    ...     best = client.rerank("how do I close a file?", documents, top_n=3).results[0]

    Safe to share between threads. `close`, or leaving the `with` block, gives the connections back.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        region: str | None = None,
        profile: str | None = None,
        boto3_client: Any = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
    ) -> None:
        """`endpoint` is the name of a SageMaker endpoint, or the http:// or https:// address of a container.

        region, profile, boto3_client (sagemaker-runtime): for SageMaker only; what is not given comes from the
        usual AWS configuration. timeout_s: for one attempt. retries: see `Retries`.
        """
        self._retries = retries or Retries()
        self._transport: Transport
        if endpoint.startswith(("http://", "https://")):
            self._transport = HttpTransport(endpoint, timeout_s=timeout_s)
        else:
            self._transport = SageMakerTransport(
                endpoint, timeout_s=timeout_s, region=region, profile=profile, client=boto3_client
            )

    @classmethod
    def over_http(
        cls,
        url: str,
        *,
        http_client: httpx.Client | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
    ) -> Self:
        """A client of the container at `url`; `http_client` brings its own headers, certificates and timeouts."""
        self = cls.__new__(cls)
        self._retries = retries or Retries()
        self._transport = HttpTransport(url, timeout_s=timeout_s, client=http_client)
        return self

    @property
    def endpoint(self) -> str:
        """The endpoint's name or address."""
        return self._transport.endpoint

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_n: int | None = None,
        return_documents: bool = False,
        max_document_tokens: int | None = None,
    ) -> RerankResult:
        """The documents best first, at most `top_n` of them.

        return_documents: bring the texts back too. max_document_tokens: read at most so many tokens of each
        document. Raises InvalidRequest, Overloaded and the other leaves of ClientError.
        """
        body = _encode(query, documents, top_n, return_documents, max_document_tokens)
        return self._decode(self._retries.call(lambda: self._transport.send(body)))

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decode(self, answer: Answer) -> RerankResult:
        try:
            response = msgspec.json.decode(answer.body, type=RerankResponse)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnexpectedAnswer(
                f"{self.endpoint} answered, but not as a reranker does: {error}; is another model deployed there?"
            ) from error
        return RerankResult(
            results=tuple(
                RankedDocument(item.index, item.relevance_score, item.document.text if item.document else None)
                for item in response.results
            ),
            usage=response.usage,
            model=response.model,
            origin=decode_origin(answer.custom_attributes),
        )


def _encode(
    query: str, documents: Sequence[str], top_n: int | None, return_documents: bool, max_document_tokens: int | None
) -> bytes:
    """The request's body; raises InvalidRequest with the faults that can be seen from here."""
    if isinstance(documents, str):  # a sequence of strings too, of its characters
        fault = Fault("documents", "is a string; expected a list of strings", "wrong_type")
        raise InvalidRequest("the request was not sent:", faults=[fault])
    fields = {
        "query": query,
        "documents": list(documents),
        "top_n": top_n,
        "return_documents": return_documents,
        "max_doc_length": max_document_tokens,
    }
    try:
        body = msgspec.json.encode(msgspec.convert(fields, RerankRequest))
    except msgspec.ValidationError:
        faults = collect_faults(fields, RerankRequest)
        raise InvalidRequest("the request was not sent:", faults=faults) from None
    except UnicodeEncodeError:
        raise InvalidRequest("the request was not sent:", faults=_lone_surrogates(query, documents)) from None
    limit = load_limits().realtime
    if len(body) > limit.payload_bytes:
        raise InvalidRequest(
            f"the request was not sent: its body has {len(body):,} bytes, an endpoint takes at most "
            f"{limit.payload_mb} MB ({limit.payload_bytes:,}); spread the {len(documents)} documents over several "
            "requests (their scores compare), or cut the texts before sending"
        )
    return body


def _lone_surrogates(query: str, documents: Sequence[str]) -> list[Fault]:
    """Faults of texts that were decoded with errors="surrogateescape" or cut inside a character."""
    texts = {"query": query, **{f"documents[{index}]": document for index, document in enumerate(documents)}}
    return [
        Fault(name, "holds half a character (a lone surrogate); decode it as UTF-8 first", "not_unicode")
        for name, text in texts.items()
        if any("\ud800" <= character <= "\udfff" for character in text)
    ]
