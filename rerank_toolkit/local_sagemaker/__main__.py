"""The server process as `rerank local up` starts it: the mark in its environment names its state directory."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import cyclopts

from rerank_toolkit.local_sagemaker.processes import SERVER_MARK
from rerank_toolkit.local_sagemaker.server import run
from rerank_toolkit.local_sagemaker.state import StateDirectory


def serve(*, port: int = 0, region: str = "us-east-1") -> None:
    """Serves until it is terminated."""
    mark = os.environ.get(SERVER_MARK)
    if not mark:
        sys.exit("start it with: rerank local up")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    run(StateDirectory(Path(mark)), port=port, region=region)


if __name__ == "__main__":
    cyclopts.run(serve)
