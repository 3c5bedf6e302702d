"""`python -m tools.reference`: writes the pages; with --check only compares, and exits with 1 if one is stale."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.reference import dialects, errors, headers, logs, metrics, settings

FOLDER = Path(__file__).parents[2] / "docs" / "reference"

NOTICE = "<!-- Written by `make reference` from the code. Change that instead. -->\n\n"

PAGES: Mapping[str, Callable[[], str]] = {
    "dialects.md": dialects.page,
    "errors.md": errors.page,
    "headers.md": headers.page,
    "logs.md": logs.page,
    "metrics.md": metrics.page,
    "settings.md": settings.page,
}


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference", description="Writes docs/reference/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is not as the code")
    check = parser.parse_args().check
    stale = [name for name, page in PAGES.items() if not _is_current(name, page)]
    if check and stale:
        print(f"not as the code: {', '.join(stale)}; run make reference", file=sys.stderr)
        return 1
    for name in () if check else stale:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(NOTICE + PAGES[name](), encoding="utf-8")
        print(f"wrote {(FOLDER / name).relative_to(FOLDER.parents[1])}", file=sys.stderr)
    return 0


def _is_current(name: str, page: Callable[[], str]) -> bool:
    path = FOLDER / name
    return path.is_file() and path.read_text(encoding="utf-8") == NOTICE + page()


if __name__ == "__main__":
    sys.exit(main())
