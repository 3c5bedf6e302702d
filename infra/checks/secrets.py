"""No secret in a container's environment: it stands in the template, and whoever may describe the model reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rerank_toolkit.contracts.faults import Fault

_NAMES = re.compile(
    r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|(API|ACCESS|PRIVATE|SECRET)_?KEY(_ID)?)$",
    re.IGNORECASE,
)
_VALUES = {
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[A-Z2-7]{16}\b"),
    "a Hugging Face token": re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{30,}\b"),
    "a GitHub token": re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,})\b"),
    "an API key": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
    "a Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a signed token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+"),
    "an address with a password": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@", re.IGNORECASE),
}


def check_secrets(environment: Mapping[str, str], field: str) -> Iterator[Fault]:
    """A fault for each variable that looks like a secret; it doesn't repeat it."""
    for name, value in environment.items():
        found = next((kind for kind, pattern in _VALUES.items() if pattern.search(value)), None)
        if found is None and value and _NAMES.search(name):
            found = "a secret, by its name"
        if found:
            yield Fault(
                f"{field}.{name}",
                f"looks like {found}; it would stand in the template, for all who may read that. "
                "The container needs no secret: leave it out",
                "secret",
            )
