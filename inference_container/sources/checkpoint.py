"""What a source delivers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Progress = Callable[[str], None]
"""Takes one line of text for the user: what is going on and may take long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Weights and tokenizer as they were published, and what names them for good."""

    source: str
    """The source in full, without paths of this machine."""
    revision: str
    tensors: Mapping[str, NDArray[Any]]
    tokenizer: str
    """The JSON text of tokenizer.json."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """LICENSE and NOTICE, where the source has them."""
    note: str = ""
    """What a user should know about these weights, as a sentence."""
    seeded: bool = False
