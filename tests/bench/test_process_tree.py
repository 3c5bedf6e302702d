from __future__ import annotations

import subprocess
import sys
import time

from rerank_toolkit.bench.process_tree import MemoryWatch, family, peak_rss_mib, pss_mib

# A parent whose child holds 64 MiB, then lets them go, then waits for its stdin to close.
HOLDER = """
import subprocess, sys
child = "import sys\\nheld = bytearray(b'x' * (64 << 20))\\nprint('held', flush=True)\\nsys.stdin.readline()\\n"
child += "del held\\nprint('free', flush=True)\\nsys.stdin.readline()"
subprocess.run([sys.executable, "-c", child])
"""


def test_a_child_counts_and_a_peak_stays():
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        with MemoryWatch(process.pid, 0.01) as watch:
            assert process.stdout.readline() == "held\n"
            assert len(family(process.pid)) == 2
            held = pss_mib(process.pid)
            while watch.points[-1].mib < 64:
                time.sleep(0.01)
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "free\n"
        free = pss_mib(process.pid)
        peak = peak_rss_mib(process.pid)
        process.stdin.close()

    assert held > 64
    assert 60 < held - free < 70  # and what the allocator gives back besides
    assert watch.peak_mib > 64
    assert peak > 64
    assert family(process.pid) == []
