"""`python -m tools.validate`: predictions beside what was published or measured, printed and written into
docs/validation.md.

    python -m tools.validate                    all sections
    python -m tools.validate memory published   these
    python -m tools.validate --check            writes nothing; exits with 1 if the document is not as computed
    python -m tools.validate --measure-memory   starts real servers first and records what they hold, some minutes

A section is a module of this package with `section(folder) -> str`, its Markdown; `folder` is benchmarks/.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from rerank_toolkit.contracts.errors import ToolkitError
from tools.validate.document import DOCUMENT, places, renewed_text

ROOT = Path(__file__).parents[2]


def sections(names: list[str]) -> Mapping[str, Callable[[], str]]:
    """What makes each of these sections; a section's module is imported when it is made."""
    return {name: partial(_section, name) for name in names}


def _section(name: str) -> str:
    module = importlib.import_module(f"tools.validate.{name.replace('-', '_')}")
    made: str = module.section(ROOT / "benchmarks")
    return made


def main() -> int:
    """The exit code."""
    text = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    known = places(text)
    parser = argparse.ArgumentParser(prog="python -m tools.validate", description="Predictions held against figures.")
    parser.add_argument("names", nargs="*", metavar="SECTION", help=f"of {', '.join(known)}; all without")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the document is stale")
    parser.add_argument("--measure-memory", action="store_true", help="start real servers and record what they hold")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no section is called {', '.join(unknown)}; {DOCUMENT} has {', '.join(known)}")
    try:
        if options.measure_memory:
            from tools.validate.memory_measurement import record  # noqa: PLC0415  # needs the bench extra

            record(lambda line: print(line, file=sys.stderr))
        renewed = renewed_text(text, sections(options.names or known))
    except ToolkitError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(renewed, end="")
    if options.check:
        if renewed != text:
            print(f"{DOCUMENT} is not as computed; run make validate", file=sys.stderr)
        return int(renewed != text)
    if renewed != text:
        (ROOT / DOCUMENT).write_text(renewed, encoding="utf-8")
        print(f"wrote {DOCUMENT}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
