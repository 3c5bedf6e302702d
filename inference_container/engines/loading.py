"""From an artifact to the engine that its manifest names. Only that engine's library is imported."""

from __future__ import annotations

from inference_container.artifact import Artifact
from inference_container.engines import Engine
from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError
from rerank_toolkit.contracts.faults import Fault


class EngineMissing(ToolkitError):
    """The library of the artifact's engine isn't installed here, or this version has no such engine."""


def load_engine(artifact: Artifact, *, threads: int) -> Engine:
    """The loaded model, ready to score; `threads` > 0 compute threads.

    Raises EngineMissing, InvalidInput for a manifest that contradicts itself or weights that don't fit it, and
    what the engine raises for a model it has no code for.
    """
    manifest = artifact.manifest
    longest = manifest.shape.longest
    if longest is not None and manifest.max_tokens > longest:
        raise InvalidInput(
            f"manifest of {artifact.path}",
            [Fault("max_tokens", f"is {manifest.max_tokens}; the model has {longest} positions")],
        )
    match manifest.engine:
        case "torch":
            try:
                from inference_container.engines.torch import TorchEngine  # noqa: PLC0415  # takes seconds to import
            except ModuleNotFoundError as error:
                raise EngineMissing(
                    f"the artifact needs the engine torch: {error}; install rerank-toolkit[serve,torch]"
                ) from error
            return TorchEngine(artifact, threads=threads)
        case "openvino":
            try:
                from inference_container.engines.openvino import OpenVinoEngine  # noqa: PLC0415  # 160 MB of libraries
            except ModuleNotFoundError as error:
                raise EngineMissing(
                    f"the artifact needs the engine openvino: {error}; install rerank-toolkit[serve,openvino]"
                ) from error
            return OpenVinoEngine(artifact, threads=threads)
