"""The server process as `rerank local up` starts it."""

from __future__ import annotations

import logging
from pathlib import Path

import cyclopts

from rerank_toolkit.local_sagemaker.server import run
from rerank_toolkit.local_sagemaker.state import StateDirectory


def serve(state: Path, *, port: int = 0, region: str = "us-east-1") -> None:
    """Serves with its files in STATE until it is terminated."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    run(StateDirectory(state), port=port, region=region)


if __name__ == "__main__":
    cyclopts.run(serve)
