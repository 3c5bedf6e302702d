"""Outlives the server for a moment: when the server is gone, however it went, what it had started must go too.

python -m rerank_toolkit.local_sagemaker.reaper MARK < a pipe whose other end only the server holds
"""

from __future__ import annotations

import subprocess
import sys

from rerank_toolkit.local_sagemaker.processes import end_marked


def start(mark: str) -> subprocess.Popen[bytes]:
    """A reaper for this process. The pipe closes with the process, even on SIGKILL."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> None:
    sys.stdin.buffer.read()
    end_marked(sys.argv[1])


if __name__ == "__main__":
    main()
