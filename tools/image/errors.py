"""What can go wrong, with the exit code that tells it apart."""

from __future__ import annotations

PACKAGES = "podman runc fuse-overlayfs netavark iptables catatonit uidmap mmdebstrap"
"""Debian's and Ubuntu's, for all that is run here."""


class ImageError(Exception):
    """A build or a trial failed; the message is for the user."""

    exit_code = 1


class MissingTool(ImageError):
    """A program isn't installed, so nothing was built."""

    exit_code = 3

    def __init__(self, what: str) -> None:
        install = f"apt-get install --no-install-recommends {PACKAGES}"
        super().__init__(f"{what}. Nothing was built. On Debian and Ubuntu: {install}")
