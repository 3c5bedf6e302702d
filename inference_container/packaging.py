"""From published weights to an artifact: fetch, check, cast, write, with a manifest that says what was done."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import msgspec
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
    write_folder,
)
from inference_container.calibration import load_calibration
from inference_container.checkpoints import Tensors, normalise
from inference_container.conversion import DTYPES, cast, convert
from inference_container.fidelity import (
    IS_REFERENCE,
    FidelityTooLow,
    FidelityUnknown,
    find_losses,
    measure,
    reference_engine,
    why_unknown,
)
from inference_container.sources import Source, parse_source
from inference_container.sources.checkpoint import Checkpoint, Progress
from rerank_toolkit import __version__
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.errors import InvalidInput, ToolkitError
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import FILE_NAME, Dtype, Engine, Manifest, default_dtype


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
    engine: Engine = "openvino",
    dtype: Dtype | None = None,
    accept_loss: bool = False,
    force: bool = False,
    progress: Progress,
) -> Package:
    """Makes the artifact of `model` in the folder `out`, and its tar.gz beside it.

    Without `source` the catalogue's are tried in order, without `dtype` it is the engine's default. An artifact of
    the same model, source, dtype, engine and toolkit version is kept as it is unless `force`. Raises InvalidInput
    for a malformed source or one that holds another model, WeightsUnavailable if none of several delivers,
    ArtifactError if `out` holds foreign files, FidelityTooLow for real weights below their dtype's gate unless
    `accept_loss`.
    """
    dtype = dtype or default_dtype(engine)
    if dtype not in DTYPES[engine]:
        fault = Fault("dtype", f"is {dtype}; the engine {engine} is packaged in {', '.join(DTYPES[engine])}")
        raise InvalidInput("package", [fault])
    texts = (source,) if source else model.weights
    sources = [parse_source(text) for text in texts]
    refuse_foreign(out)
    unknown = why_unknown(engine, dtype)
    wanted: dict[str, Any] = {
        "model_id": model.id,
        "license": model.license,
        "shape": model.shape,
        "max_tokens": model.max_tokens,
        "engine": engine,
        "dtype": dtype,
        "toolkit_version": __version__,
        "fidelity_unknown": unknown,
    }
    note = f"Its fidelity to fp32 is unknown: {unknown}." if unknown not in ("", IS_REFERENCE) else ""
    if note:
        progress(f"warning: {note}")
    standing = None if force else _find_standing(out, wanted, sources, progress, accept_loss=accept_loss)
    if standing:
        return Package(standing, reused=True, note=note)
    checkpoint = _fetch(model, texts, sources, progress)
    manifest = Manifest(
        **wanted, source=checkpoint.source, revision=checkpoint.revision, seeded=checkpoint.seeded, files={}
    )
    tensors = normalise(checkpoint.tensors, model.shape, name=checkpoint.source)
    tokenizer = _clean_tokenizer(checkpoint, model.shape)
    with _reference(manifest, tensors, tokenizer) as reference:
        progress(f"writing {out}")
        artifact = write_artifact(
            out,
            manifest,
            tensors=convert(tensors, dtype, reference),
            tokenizer=tokenizer,
            texts=_texts(checkpoint),
            vouch=lambda written: _vouch(written, reference, progress, accept_loss=accept_loss),
        )
    return Package(artifact, reused=False, note=f"{checkpoint.note} {note}".strip())


@contextmanager
def _reference(manifest: Manifest, tensors: Tensors, tokenizer: str) -> Iterator[Artifact | None]:
    """The same model in fp32, for as long as it is measured against; None where it can't be run here."""
    engine = reference_engine()
    if engine is None or (manifest.fidelity_unknown and manifest.dtype != "int8"):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="rerank-reference-") as aside:
        yield write_folder(
            Path(aside) / "reference",
            msgspec.structs.replace(manifest, engine=engine, dtype="fp32"),
            tensors=cast(tensors, "fp32"),
            tokenizer=tokenizer,
        )


def _vouch(artifact: Artifact, reference: Artifact | None, progress: Progress, *, accept_loss: bool) -> Manifest:
    """The manifest of an artifact not yet in place, with its fidelity to the reference.

    Raises FidelityTooLow for real weights below the gate, FidelityUnknown for int8 that can't be measured, both not
    if the loss is accepted.
    """
    manifest = artifact.manifest
    if manifest.fidelity_unknown or reference is None:
        if manifest.dtype == "int8" and not (manifest.seeded or accept_loss):
            raise FidelityUnknown(
                f"what {manifest.model_id} loses in int8 can't be measured here: {manifest.fidelity_unknown}. "
                "--accept-fidelity-loss packages it unmeasured"
            )
        return manifest
    progress(f"measuring fidelity: {manifest.engine} in {manifest.dtype} against {reference.manifest.engine} in fp32")
    fidelity = measure(artifact, reference, load_calibration())
    losses = [] if manifest.seeded else find_losses(fidelity, manifest.dtype)
    if losses and not accept_loss:
        raise FidelityTooLow(manifest, losses)
    return msgspec.structs.replace(manifest, fidelity=msgspec.structs.replace(fidelity, loss_accepted=bool(losses)))


def _find_standing(
    out: Path,
    wanted: Mapping[str, object],
    sources: Sequence[Source],
    progress: Progress,
    *,
    accept_loss: bool,
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
        progress(
            f"{out} holds {manifest.display_name} for {manifest.engine} in {manifest.dtype}, from {manifest.source}; "
            "it is replaced"
        )
        return None
    if not _still_vouched(manifest, accept_loss=accept_loss):
        progress(f"{out} was measured on other texts, or its loss accepted; it is measured anew")
        return None
    if not archive_holds(artifact):
        progress(f"{artifact.archive} is missing or stale; it is written anew")
        write_archive(artifact)
    progress(f"{out} stands, its files are sound; kept")
    return artifact


def _still_vouched(manifest: Manifest, *, accept_loss: bool) -> bool:
    """Whether packaging now would accept the fidelity of the artifact that stands."""
    if manifest.fidelity is None:
        return bool(manifest.fidelity_unknown)
    fresh = manifest.fidelity.calibration_sha256 == load_calibration().sha256
    return fresh and (accept_loss or not manifest.fidelity.loss_accepted)


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
