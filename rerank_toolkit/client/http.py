"""The way to a container over plain HTTP: on a laptop, in a test, in one's own cluster."""

from __future__ import annotations

from ipaddress import ip_address

import httpx

from rerank_toolkit.client.errors import InvalidRequest, TimedOut, Unreachable, error_from_answer
from rerank_toolkit.client.transports import Answer
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES

CONNECT_TIMEOUT_S = 5.0


class HttpTransport:
    """Posts to `url`, or to its /invocations where it names no path."""

    def __init__(self, url: str, *, timeout_s: float, client: httpx.Client | None = None) -> None:
        """`client` brings headers, certificates or a proxy of the caller's, and stays the caller's to close."""
        self._url = _invocations(url)
        self._owned = client is None
        self._client = client or httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=not _is_loopback(self._url.host),  # a proxy would look for loopback on its own machine
        )

    @property
    def endpoint(self) -> str:
        return str(self._url)

    def send(self, body: bytes) -> Answer:
        try:
            response = self._client.post(self._url, content=body, headers={"Content-Type": "application/json"})
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(
                f"can't connect to {self._url}: {error or type(error).__name__}; is the server running? "
                "`rerank serve MODEL` starts one and prints its address"
            ) from error
        except httpx.TimeoutException as error:
            raise TimedOut(
                f"{self._url} gave no answer in time ({type(error).__name__}); send fewer documents a request, "
                "cut them with max_document_tokens, or raise the client's timeout_s"
            ) from error
        except httpx.TransportError as error:
            raise Unreachable(f"the connection to {self._url} broke: {error or type(error).__name__}") from error
        if response.is_success:
            return Answer(response.content, response.headers.get(CUSTOM_ATTRIBUTES, ""))
        raise error_from_answer(
            response.status_code,
            response.content,
            endpoint=self.endpoint,
            not_found_hint="give the address of a reranker, such as http://127.0.0.1:8080",
            retry_after=response.headers.get("Retry-After"),
        )

    def close(self) -> None:
        if self._owned:
            self._client.close()


def _invocations(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidRequest(f"the address {url!r} can't be read: {error}; expected http://HOST:PORT") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidRequest(f"the address {url!r} is none of HTTP; expected http://HOST:PORT")
    return parsed if parsed.path.strip("/") else parsed.copy_with(path="/invocations")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
