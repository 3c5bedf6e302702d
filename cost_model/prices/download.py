"""A file over HTTP onto the disk: streamed, bounded, tried again, and only from where it was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import httpx

from cost_model.prices.errors import RefreshFailed
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

TIMEOUT_S = 60.0
"""Of connecting, and of each wait for more; a file may take longer as a whole."""

ATTEMPTS = 3
FIRST_WAIT_S = 0.5
TRANSIENT = frozenset({429, 500, 502, 503, 504})

MOST_BYTES = 4 << 30
"""Of one file; AWS's of all regions is hundreds of megabytes."""


def check_base_url(text: str) -> str:
    """The address without a final slash; raises InvalidInput unless it is https, or http to this machine."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidInput("options", [Fault("--base-url", f"is {text!r}; {error}", "not_a_url")]) from None
    if not url.host or url.scheme not in ("http", "https") or (url.scheme == "http" and not _is_loopback(url.host)):
        expected = "an https address, or http to this machine"
        raise InvalidInput("options", [Fault("--base-url", f"is {text!r}; expected {expected}", "not_a_url")])
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Downloader:
    """Files of one address, one after the other. Close it, or use it in a `with`."""

    def __init__(
        self,
        base_url: str,
        *,
        first_wait_s: float = FIRST_WAIT_S,
        most_bytes: int = MOST_BYTES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises InvalidInput as `check_base_url`."""
        self.base_url = check_base_url(base_url)
        self._first_wait_s = first_wait_s
        self._most_bytes = most_bytes
        self._sleep = sleep
        # A proxy would look for loopback on its own machine. A redirect could lead off the address that was asked.
        self._client = httpx.Client(
            timeout=TIMEOUT_S, follow_redirects=False, trust_env=not _is_loopback(httpx.URL(self.base_url).host)
        )

    def __enter__(self) -> Downloader:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def fetch(self, path: str, out: Path) -> Path:
        """Writes the file at `path`, which starts with a slash, to `out`; raises RefreshFailed."""
        if not path.startswith("/") or path.startswith("//"):
            raise RefreshFailed([Fault(path, "is no path on the server that was asked", "not_a_path")])
        url = self.base_url + path
        for attempt in range(ATTEMPTS):
            try:
                return self._try(url, out)
            except (httpx.TransportError, httpx.DecodingError, _Busy) as error:
                reason = str(error) or type(error).__name__
                if attempt + 1 < ATTEMPTS:
                    self._sleep(self._first_wait_s * 2**attempt)
        raise RefreshFailed([Fault(url, f"can't be fetched, tried {ATTEMPTS} times: {reason}", "unreachable")])

    def _try(self, url: str, out: Path) -> Path:
        with self._client.stream("GET", url) as response:
            if response.status_code in TRANSIENT:
                raise _Busy(f"it answers {response.status_code}")
            if response.status_code != httpx.codes.OK:
                raise RefreshFailed([Fault(url, f"answers {response.status_code}; expected 200", "refused")])
            size = 0
            with out.open("wb") as file:
                for chunk in response.iter_bytes():
                    size += len(chunk)
                    if size > self._most_bytes:
                        limit = f"{self._most_bytes / 2**20:,.0f} MiB"
                        raise RefreshFailed([Fault(url, f"is larger than {limit}", "too_large")])
                    file.write(chunk)
        return out


class _Busy(Exception):
    """An answer that another try may better."""
