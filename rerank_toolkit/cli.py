"""The one command `rerank`. A room's part is imported when it is called: `rerank models` needs no torch."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Annotated, NoReturn

import cyclopts
from cyclopts import App, Group, Parameter

from rerank_toolkit import __version__
from rerank_toolkit.catalog.instances import UnknownInstance
from rerank_toolkit.catalog.models import UnknownModel
from rerank_toolkit.console import BrokenStdout, print_text, say, set_quiet
from rerank_toolkit.contracts.errors import ToolkitError

GLOBAL = Parameter(group=Group("Global options", sort_key=1), negative=(), show_default=False)
INTERRUPTED = 130
TERMINATED = 143
MALFORMED = 2

ROOMS = {
    "models": (
        "rerank_toolkit.models_cli",
        "The rerankers this toolkit knows: sizes, licences, published quality.",
    ),
    "package": (
        "inference_container.cli_package",
        "Make an artifact: weights, tokenizer and a manifest that vouches for them.",
    ),
    "serve": ("inference_container.cli", "Serve an artifact on this machine, as the container does."),
    "local": (
        "rerank_toolkit.local_sagemaker.cli",
        "An AWS on this machine: stock cdk and boto3 work against it.",
    ),
    "bench": ("rerank_toolkit.bench.cli", "Measure an endpoint and record its profile."),
    "cost": ("cost_model.cli", "What a deployment costs, and which one is cheapest."),
}

app = App(
    name="rerank",
    help="Deploy rerankers on AWS SageMaker, and know what they cost.",
    version=__version__,
    result_action="return_value",
)
for _name, (_module, _help) in ROOMS.items():
    app.command(f"{_module}:app", name=_name, help=_help)


@app.meta.default
def _with_global_options(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    quiet: Annotated[bool, GLOBAL] = False,
    debug: Annotated[bool, GLOBAL] = False,
) -> object:
    """Runs the command that the remaining words name.

    Parameters
    ----------
    quiet
        No progress on stderr.
    debug
        Show the traceback of an error.
    """
    set_quiet(quiet)
    if debug:
        os.environ["RERANK_DEBUG"] = "1"
    return app(tokens, exit_on_error=False, print_error=False)


def main() -> None:
    """Runs the command line; exits with 0 fine, 1 failed, 2 malformed input, 3 nothing to rank, 130 interrupted."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        result = app.meta(sys.argv[1:], exit_on_error=False, print_error=False)
        print_text("", end="")
    except cyclopts.UnknownCommandError as error:  # its own text would import every room to guess what was meant
        words, room = " ".join(error.unused_tokens or []), " ".join(error.command_chain or ())
        known = [name for name in error.app or ROOMS if name in ROOMS or (room and not name.startswith("-"))]
        kind = f"{room} command" if room else "command"
        _fail(error, MALFORMED, f"no {kind} is called {words!r}; there are {', '.join(known)}")
    except cyclopts.CycloptsError as error:
        _fail(error, MALFORMED, f"{error} --help lists the options.")
    except ImportError as error:
        missing = error.__cause__ or error
        if not isinstance(missing, ModuleNotFoundError):
            raise
        _fail(
            error,
            1,
            f"this command needs a package that is not installed: {missing}. "
            "Install the toolkit with its extras: pip install 'rerank-toolkit[demo]'",
        )
    except ToolkitError as error:
        _fail(error, error.exit_code, str(error))
    except (UnknownModel, UnknownInstance) as error:
        _fail(error, MALFORMED, str(error))
    except BrokenStdout:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        _fail(error, 1, f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(result if isinstance(result, int) else 0)


def _terminate(*_: object) -> NoReturn:
    sys.exit(TERMINATED)  # as an exception, so that what a command holds is cleaned up


def _fail(error: Exception, code: int, message: str) -> NoReturn:
    if os.environ.get("RERANK_DEBUG"):
        traceback.print_exception(error)
    else:
        set_quiet(False)
        say(f"rerank: {message}")
    sys.exit(code)


if __name__ == "__main__":
    main()
