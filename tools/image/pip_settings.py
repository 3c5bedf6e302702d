"""This machine's pip configuration, for a build that must reach the same indexes.

It goes in as a build secret, and local folders and certificates as read-only mounts: no layer keeps any of it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_KEYS = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host"),
    *("cert", "client-cert", "proxy", "timeout", "default-timeout", "retries"),
)
_SECTIONS = ("global", "install", ":env:")  # later ones win
_INSIDE = "/mnt/pip"


@dataclass(frozen=True)
class PipSettings:
    values: Mapping[str, str] = field(default_factory=dict)
    """Settings of pip's [global] section, by name, with paths as they are inside the build."""
    mounts: Mapping[Path, str] = field(default_factory=dict)
    """Folders and files of this machine, and where the build finds each."""

    @classmethod
    def of_this_machine(cls) -> PipSettings:
        """What `pip config list` says of indexes, certificates and time limits."""
        command = [sys.executable, "-m", "pip", "config", "list"]
        return cls.parse(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    @classmethod
    def parse(cls, listing: str) -> PipSettings:
        """Settings from lines such as `global.timeout='180'`; local paths that don't exist are left out."""
        lines = [line.partition("=") for line in listing.splitlines() if "=" in line]
        found = {key: str(ast.literal_eval(value)) for key, _, value in lines}
        values: dict[str, str] = {}
        mounts: dict[Path, str] = {}
        for section in _SECTIONS:
            for key in _KEYS:
                if (value := found.get(f"{section}.{key}")) is not None:
                    values[key] = value
        for key, value in values.items():
            words = [_inside(word, mounts) for word in value.split()]
            values[key] = " ".join(word for word in words if word)
        return cls({key: value for key, value in values.items() if value}, mounts)

    def to_ini(self) -> str:
        """The text of a pip.conf."""
        return "\n".join(["[global]", *(f"{key} = {value}" for key, value in self.values.items()), ""])


def _inside(word: str, mounts: dict[Path, str]) -> str:
    """`word`, or if it names a path of this machine, the path's name in the build; empty if nothing is there."""
    if word.startswith("file://"):
        index = Path(word.removeprefix("file://"))
        # The files of an index lie beside its pages, which point to them by relative links.
        return f"file://{_mount(index.parent, mounts)}/{index.name}" if index.is_dir() else ""
    path = Path(word)
    if not path.is_absolute():
        return word
    return _mount(path, mounts) if path.exists() else ""


def _mount(path: Path, mounts: dict[Path, str]) -> str:
    return mounts.setdefault(path, f"{_INSIDE}/{len(mounts)}")
