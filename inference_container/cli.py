"""`rerank serve`: the container's server on this machine, for people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec
from cyclopts import Parameter

from inference_container.artifact import default_folder
from inference_container.served import ServedModel
from inference_container.server import listen, serve
from rerank_toolkit.catalog.models import UnknownModel, find_model
from rerank_toolkit.console import say
from rerank_toolkit.contracts.errors import ToolkitError, UnknownName
from rerank_toolkit.contracts.manifest import FILE_NAME
from rerank_toolkit.contracts.settings import Settings

app = cyclopts.App(name="serve", help="Serve an artifact on this machine, as the container does.")


class NotPackaged(ToolkitError):
    """The model is known, but there is no artifact of it."""


@app.default
def serve_model(
    model: str,
    /,
    *,
    port: Annotated[int | None, Parameter(validator=cyclopts.validators.Number(gte=0, lte=65535))] = None,
    host: str = "127.0.0.1",
    workers: Annotated[int | None, Parameter(validator=cyclopts.validators.Number(gte=0))] = None,
    threads: Annotated[int | None, Parameter(validator=cyclopts.validators.Number(gte=0))] = None,
) -> None:
    """Serve an artifact on this machine, as the container does, until Ctrl-C.

    Answers POST /invocations, /rerank and the other paths that clients of Jina, Cohere, Text Embeddings Inference,
    LangChain and Hugging Face know, each in its own way; GET /ping and GET /metrics. One JSON line for each request
    goes to stderr. The RERANK_… variables of the container (docs/reference/settings.md) work here too; an option
    overrides its variable.

    Parameters
    ----------
    model
        A model of `rerank models` that is packaged in artifacts/, or the folder of an artifact.
    port
        Where to listen, by default RERANK_PORT or 8080; 0 takes a free port.
    host
        The address to listen on, whatever RERANK_HOST says; 0.0.0.0 lets other machines in.
    workers
        Processes that compute, by default RERANK_WORKERS or 0, which leaves the choice to the engine.
    threads
        Compute threads of all workers together, by default RERANK_THREADS or 0, which takes one for each physical
        core this process may use.
    """
    settings = Settings.from_environment(os.environ)
    settings = msgspec.structs.replace(
        settings,
        model_dir=str(find_artifact(model)),
        host=host,
        workers=settings.workers if workers is None else workers,
        threads=settings.threads if threads is None else threads,
    )
    sock = listen(host, settings.port if port is None else port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{sock.getsockname()[1]}"

    def announce(served: ServedModel, startup_s: float) -> None:
        manifest, engine = served.manifest, served.engine
        threads = "1 thread" if served.threads == 1 else f"{served.threads} threads"
        say(
            f"serving {manifest.display_name} ({engine.name} {engine.dtype}, {threads}, "
            f"ready in {startup_s:.1f} s) on {address}"
        )

    serve(settings, sock, on_ready=announce)


def find_artifact(model: str) -> Path:
    """The folder that `model` names: a path, or a model of the catalogue that is packaged in artifacts/.

    Raises NotPackaged, UnknownName.
    """
    path = Path(model)
    if path.is_dir():
        return path
    try:
        known = find_model(model)
    except UnknownModel as error:
        raise UnknownName(f"{error}; nor is it the folder of an artifact") from None
    folder = default_folder(known)
    if not (folder / FILE_NAME).is_file():
        raise NotPackaged(f"{known.id} is not packaged in {folder}; make it first: rerank package {known.alias}")
    return folder
