"""Outlives the server for a moment: when the server is gone, however it went, what it had started must go too.

python -m rerank_toolkit.local_sagemaker.reaper MARK < a pipe whose other end only the server holds
"""

from __future__ import annotations

import os
import subprocess
import sys

from rerank_toolkit.local_sagemaker.processes import REAPER_MARK, SERVER_MARK, end_endpoints


def start(mark: str) -> subprocess.Popen[bytes]:
    """A reaper for this process. The pipe closes with the process, even on SIGKILL."""
    inherited = {name: value for name, value in os.environ.items() if name != SERVER_MARK}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, mark],
        env={**inherited, REAPER_MARK: mark},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> None:
    sys.stdin.buffer.read()
    end_endpoints(sys.argv[1])


if __name__ == "__main__":
    main()
