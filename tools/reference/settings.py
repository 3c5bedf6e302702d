"""docs/reference/settings.md"""

from __future__ import annotations

from rerank_toolkit.contracts.settings import NOT_SETTINGS, PREFIX, ROWS
from tools.reference.markdown import code, join, table


def page() -> str:
    rows = [
        (
            "<br>".join(code(name) for name in row.names),
            code(row.default) if row.default != "" else "none",
            row.expected,
            row.purpose,
        )
        for row in ROWS
    ]
    others = " and ".join(code(f"{name}…" if name.endswith("_") else name) for name in NOT_SETTINGS)
    return join(
        "# Settings of the container",
        "Environment variables: of the image, of an endpoint's plan (`environment`), of `rerank serve` and of "
        "`rerank bench record --start`. Where a setting has two variables, the first that is set wins. An empty "
        "variable is one that isn't set. `rerank serve --help` lists the options that override them on your machine.",
        f"A malformed value stops the start with exit code 2, all of them named; so does a variable that begins with "
        f"{code(PREFIX)} and is no setting, for it was meant to be one ({others} belong to the command line).",
        table(("variable", "default", "values", "what it is for"), rows),
        "The defaults of workers and threads keep to the CPU quota and affinity that the platform set.",
    )
