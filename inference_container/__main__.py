"""`python -m inference_container serve`: how SageMaker starts the image, with settings from the environment."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from inference_container.logs import log_event
from inference_container.server import listen, serve
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.settings import Settings

if TYPE_CHECKING:
    from inference_container.served import ServedModel

FAILED = 1
MALFORMED = 2


def main(arguments: list[str]) -> int:
    """The exit code: 0 after a drain, 1 if it can't serve, 2 for malformed arguments or settings."""
    if arguments != ["serve"]:
        return _fail(MALFORMED, f"the one argument is serve, given were {arguments}; settings are RERANK_… variables")
    try:
        settings = Settings.from_environment(os.environ)
    except ToolkitError as error:
        return _fail(MALFORMED, str(error))
    try:
        serve(settings, listen(settings.host, settings.port), on_ready=_log_ready)
    except ToolkitError as error:
        return _fail(FAILED, str(error))
    return 0


def _log_ready(model: ServedModel, startup_s: float) -> None:
    log_event(
        "ready",
        model=model.manifest.display_name,
        engine=model.engine.name,
        dtype=model.engine.dtype,
        workers=len(model.replicas),
        threads=model.threads,
        startup_s=round(startup_s, 2),
    )


def _fail(code: int, message: str) -> int:
    lines = (line.strip() for line in message.splitlines())
    print("inference_container:", " | ".join(lines), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
