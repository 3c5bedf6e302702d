"""`rerank bench compare`: our server against other software, models against each other, and what a server takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from cyclopts import Parameter
from cyclopts.validators import Number

from rerank_toolkit.bench import tables
from rerank_toolkit.bench.artifacts import package
from rerank_toolkit.bench.engines import compare_engines
from rerank_toolkit.bench.fairness import measure_fairness
from rerank_toolkit.bench.footprint import measure_footprint
from rerank_toolkit.bench.interrupts import orderly_end
from rerank_toolkit.bench.models import compare_models
from rerank_toolkit.bench.rivals.environments import cache_folder
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.console import print_text, say
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Dtype, Engine

Part = Literal["engines", "models", "footprint", "fairness"]
PARTS: tuple[Part, ...] = ("engines", "models", "footprint", "fairness")
SMALLEST = "jina-reranker-v1-tiny-en"


def compare(
    *parts: Part,
    models: str = "tiny,turbo,base",
    engine: Engine = "openvino",
    dtypes: str = "bf16,int8,fp32",
    accept_fidelity_loss: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    rounds: Annotated[int, Parameter(validator=Number(gte=1))] = 11,
    out: Path = Path("benchmarks"),
    docs: Path | None = None,
    requirements: Path = Path("benchmarks/rivals"),
    rival_venvs: Path | None = None,
    work: Path | None = None,
) -> None:
    """Measure side by side, in interleaved rounds, and write what came out: every sample, medians, ratios.

    Runs on an otherwise idle machine; about 12 minutes for all parts once the rivals are installed.

    Parameters
    ----------
    parts
        engines: our server against sentence-transformers and infinity, same weights, same texts. models: --models
        against each other. footprint: time to start, and memory. fairness: a small request beside a large one.
        Without any: all.
    models
        Ids or aliases for the part models, with commas.
    engine
        The engine of our server.
    dtypes
        Its precisions in the part engines, with commas; the first is the one of the other parts.
    accept_fidelity_loss
        Measure our server also in precisions that `rerank package` refuses because they lose too much; without it
        these are left out, and the report says so.
    rounds
        Requests that each side answers.
    out
        Folder for engines.json, models.json, footprint.json, fairness.json.
    docs
        Document whose tables are renewed from the files in --out; docs/benchmarks.md if it is there.
    requirements
        Folder with the pinned requirements of each rival.
    rival_venvs
        Folder of the rivals' virtual environments, made where they are missing; by default in the user's cache.
    work
        Folder that keeps artifacts between comparisons; by default in the user's cache.
    """
    wanted = parts or PARTS
    work = work or cache_folder() / "artifacts"
    ours = _dtypes(dtypes)
    names = [find_model(name).id for name in models.split(",")]
    with orderly_end():
        if "engines" in wanted:
            compared = compare_engines(
                work=work,
                requirements=requirements,
                environments=rival_venvs or cache_folder() / "rivals",
                engine=engine,
                dtypes=ours,
                accept_fidelity_loss=accept_fidelity_loss,
                rounds=rounds,
                progress=say,
            )
            _write(out / "engines.json", compared)
        if "models" in wanted:
            artifacts = [_package_seeded(name, work, engine, ours[0]) for name in names]
            _write(out / "models.json", compare_models(artifacts, rounds=rounds, progress=say))
        if "footprint" in wanted:
            smallest = _package_seeded(SMALLEST, work, engine, ours[0])
            _write(out / "footprint.json", measure_footprint(smallest, workers=(1, 0), progress=say))
        if "fairness" in wanted:
            smallest = _package_seeded(SMALLEST, work, engine, ours[0])
            _write(out / "fairness.json", measure_fairness(smallest, progress=say))
    if docs or tables.DOCUMENT.is_file():
        renew_tables(docs or tables.DOCUMENT, results=out)
    print_text("\n\n".join(tables.render(out, part) for part in PARTS if part in wanted))


def _package_seeded(model: str, work: Path, engine: Engine, dtype: Dtype) -> Path:
    """Speed and memory depend on shapes alone, so random weights stand for those that no package index has."""
    return package(model, work, engine=engine, dtype=dtype, options=["--source", "seeded:0"], progress=say)


def _dtypes(text: str) -> list[Dtype]:
    known: dict[str, Dtype] = {name: name for name in get_args(Dtype)}
    faults = [
        Fault("--dtypes", f"names {name!r}; expected some of {', '.join(known)}, with commas")
        for name in text.split(",")
        if name not in known
    ]
    if faults:
        raise InvalidInput("options", faults)
    return [known[name] for name in text.split(",")]


def renew_tables(document: Path = tables.DOCUMENT, /, *, results: Path = Path("benchmarks")) -> None:
    """Write the tables of measurements anew into a document that has places for them.

    Parameters
    ----------
    document
        The document.
    results
        Folder of the measurements' files.
    """
    say(f"{document} {'renewed' if tables.renew(document, results) else 'stands as it was'}")


def _write(path: Path, document: object) -> None:
    documents.write(path, document)
    say(f"wrote {path}")
