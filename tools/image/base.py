"""The image that ours stand on: one of a registry, or Debian made here from its packages."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.image.errors import ImageError, MissingTool
from tools.image.podman import DOCKERFILE, Podman

DEBIAN = "debian"
_MADE_HERE = "localhost/rerank-base:bookworm"
_PACKAGES = "python3,python3-venv,ca-certificates"
_APT = ('--aptopt=Acquire::Retries "3"', '--aptopt=Acquire::Languages "none"')
_UNREAD = ("doc", "info", "locale", "man")  # as slim images leave out


def published_base() -> str:
    """The base that the Dockerfile names."""
    match = re.search(r"^ARG BASE_IMAGE=(\S+)$", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if match is None:
        raise ImageError(f"{DOCKERFILE} names no default for BASE_IMAGE")
    return match[1]


def provide_base(podman: Podman, wanted: str | None) -> tuple[str, str]:
    """A base image in podman's store, and words for it; `wanted` is a reference, DEBIAN, or None for what can be had.

    Raises ImageError if it can't be pulled or made.
    """
    if wanted == DEBIAN:
        return _make_debian(podman), "Debian 12, made here"
    image = wanted or published_base()
    if podman.has(image):
        return image, image
    try:
        podman("pull", "--quiet", image, timeout_s=300)
    except ImageError as error:
        if wanted:
            raise
        why = str(error).rpartition(": ")[2]
        return _make_debian(podman), f"Debian 12, made here, as {image} can't be had ({why})"
    return image, image


def _make_debian(podman: Podman) -> str:
    if shutil.which("mmdebstrap") is None:
        raise MissingTool("mmdebstrap is not installed; it makes the base image where no registry has one")
    leave_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNREAD]
    with tempfile.TemporaryDirectory(prefix="rerank-base-") as folder:
        tarball = Path(folder, "base.tar")
        done = subprocess.run(
            ["mmdebstrap", "--variant=minbase", f"--include={_PACKAGES}", *_APT, *leave_out, "bookworm", str(tarball)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            told = "\n".join(f"  {line}" for line in done.stderr.strip().splitlines()[-15:])
            raise ImageError(f"mmdebstrap failed:\n{told}")
        podman("import", "--quiet", str(tarball), _MADE_HERE)
    return _MADE_HERE
