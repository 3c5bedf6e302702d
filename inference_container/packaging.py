"""From published weights to an artifact: fetch, check, cast, write, with a manifest that says what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inference_container.artifact import (
    LICENSE,
    NOTICE,
    Artifact,
    archive_holds,
    open_artifact,
    refuse_foreign,
    write_archive,
    write_artifact,
)
from inference_container.checkpoints import Tensors, normalise
from inference_container.engines import FAMILIES
from inference_container.sources import Source, parse_source
from inference_container.sources.checkpoint import Checkpoint, Progress
from rerank_toolkit import __version__
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import FILE_NAME, Dtype, Engine, Manifest

# int8 is not among them: it needs a gate on its fidelity first.
_DTYPES: dict[Dtype, np.dtype[Any]] = {
    "fp32": np.dtype(np.float32),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "fp16": np.dtype(np.float16),
}


class WeightsUnavailable(ToolkitError):
    """None of the model's sources delivered; says why of each."""

    def __init__(self, model: Model, failures: Sequence[tuple[str, ToolkitError]]) -> None:
        lines = [f"no source delivered the weights of {model.id}:"]
        for source, error in failures:
            lines += [f"  {source}", indent(str(error), "    ")]
        lines += [
            f"Have them in a folder? rerank package {model.alias} --source dir:PATH",
            f"Only measuring speed? rerank package {model.alias} --seed 0  (random weights, marked as such)",
        ]
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Package:
    """An artifact that stands, and whether it stood before."""

    artifact: Artifact
    reused: bool
    note: str = ""


def package(
    model: Model,
    out: Path,
    *,
    source: str | None = None,
    dtype: Dtype = "fp32",
    engine: Engine = "torch",
    force: bool = False,
    progress: Progress,
) -> Package:
    """Makes the artifact of `model` in the folder `out`, and its tar.gz beside it.

    Without `source` the catalogue's are tried in order. An artifact of the same model, source, dtype, engine and
    toolkit version is kept as it is unless `force`. Raises InvalidInput for a malformed source or one that holds
    another model, WeightsUnavailable if none of several delivers, ArtifactError if `out` holds foreign files.
    """
    if dtype not in _DTYPES or engine != "torch":
        fault = Fault("engine, dtype", f"are {engine}, {dtype}; expected torch with {', '.join(_DTYPES)}")
        raise InvalidInput("package", [fault])
    texts = (source,) if source else model.weights
    sources = [parse_source(text) for text in texts]
    refuse_foreign(out)
    wanted: dict[str, Any] = {
        "model_id": model.id,
        "license": model.license,
        "shape": model.shape,
        "max_tokens": model.max_tokens,
        "engine": engine,
        "dtype": dtype,
        "toolkit_version": __version__,
    }
    warning = _warn_unserved(model, engine)
    if warning:
        progress(f"warning: {warning}")
    standing = None if force else _find_standing(out, wanted, sources, progress)
    if standing:
        return Package(standing, reused=True, note=warning)
    checkpoint = _fetch(model, texts, sources, progress)
    manifest = Manifest(
        **wanted, source=checkpoint.source, revision=checkpoint.revision, seeded=checkpoint.seeded, files={}
    )
    tensors = _cast(normalise(checkpoint.tensors, model.shape, name=checkpoint.source), dtype)
    tokenizer = _clean_tokenizer(checkpoint, model.shape)
    progress(f"writing {out}")
    artifact = write_artifact(out, manifest, tensors=tensors, tokenizer=tokenizer, texts=_texts(checkpoint))
    return Package(artifact, reused=False, note=f"{checkpoint.note} {warning}".strip())


def _warn_unserved(model: Model, engine: Engine) -> str:
    """What to know of a model that can be packaged before it can be served; else empty."""
    if model.shape.family in FAMILIES[engine]:
        return ""
    families = " and ".join(FAMILIES[engine])
    return f"This version can't serve {model.id} yet: its engine {engine} runs {families}, not {model.shape.family}."


def _find_standing(
    out: Path, wanted: Mapping[str, object], sources: Sequence[Source], progress: Progress
) -> Artifact | None:
    """The artifact in `out` if it is sound and what packaging would make; its archive is mended if need be."""
    if not (out / FILE_NAME).exists():
        return None
    try:
        artifact = open_artifact(out)
    except ToolkitError as error:
        progress(f"packaging anew, because of\n{indent(str(error), '  ')}")
        return None
    manifest = artifact.manifest
    if any(getattr(manifest, name) != value for name, value in wanted.items()) or not any(
        source.made(manifest) for source in sources
    ):
        progress(f"{out} holds {manifest.display_name}, {manifest.dtype}, from {manifest.source}; it is replaced")
        return None
    if not archive_holds(artifact):
        progress(f"{artifact.archive} is missing or stale; it is written anew")
        write_archive(artifact)
    progress(f"{out} stands, its files are sound; kept")
    return artifact


def _fetch(model: Model, texts: Sequence[str], sources: Sequence[Source], progress: Progress) -> Checkpoint:
    failures: list[tuple[str, ToolkitError]] = []
    for text, source in zip(texts, sources, strict=True):
        try:
            return source.fetch(model, progress)
        except ToolkitError as error:
            failures.append((text, error))
            if len(failures) < len(sources):
                progress(f"{error}\ntrying the next source, {texts[len(failures)]}")
    if len(failures) == 1 and isinstance(failures[0][1], InvalidInput):
        raise failures[0][1]
    raise WeightsUnavailable(model, failures)


def _cast(tensors: Tensors, dtype: Dtype) -> dict[str, NDArray[Any]]:
    target = _DTYPES[dtype]
    with np.errstate(over="ignore"):  # reported below, with names
        cast = {name: np.ascontiguousarray(tensor, dtype=target) for name, tensor in tensors.items()}
    broken = [name for name, tensor in cast.items() if not np.isfinite(tensor).all()]
    if broken:
        faults = [Fault(name, f"holds values that are not finite in {dtype}") for name in broken]
        raise InvalidInput("weights", faults)
    return cast


def _clean_tokenizer(checkpoint: Checkpoint, shape: Shape) -> str:
    """The tokenizer without truncation and padding, which are the server's to decide for each request."""
    try:
        tokenizer = Tokenizer.from_str(checkpoint.tokenizer)
    except Exception as error:  # the library raises nothing narrower
        raise InvalidInput(checkpoint.source, [Fault("tokenizer.json", f"can't be read: {error}")]) from None
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if highest >= shape.vocabulary:
        fault = Fault("tokenizer.json", f"has ids up to {highest}; the model has {shape.vocabulary} embeddings")
        raise InvalidInput(checkpoint.source, [fault])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return str(tokenizer.to_str())


def _texts(checkpoint: Checkpoint) -> dict[str, str]:
    """Licence texts as they came; the notice tells of the conversion, as the Apache licence asks of changed files."""
    if checkpoint.seeded:
        return {}
    ours = f"model.safetensors was converted by rerank-toolkit from {checkpoint.source}. {checkpoint.note}".strip()
    notice = "\n\n".join(text for text in (checkpoint.texts.get(NOTICE, "").strip(), ours) if text)
    return {name: text for name, text in checkpoint.texts.items() if name == LICENSE} | {NOTICE: notice + "\n"}
