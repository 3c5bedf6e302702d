"""Templates on this machine: files, or all stacks of a cdk.out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from cost_model.templates.template import Template, decode_template, placed
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

MANIFEST = "manifest.json"

STACK, NESTED = "aws:cloudformation:stack", "cdk:cloud-assembly"

MOST_BYTES = 16_000_000
"""CloudFormation takes templates of 1 MB."""


class _Properties(msgspec.Struct, frozen=True, rename="camel"):
    template_file: str = ""
    stack_name: str = ""
    directory_name: str = ""


class _Artifact(msgspec.Struct, frozen=True):
    type: str
    environment: str = ""
    properties: _Properties = _Properties()
    display_name: str = msgspec.field(name="displayName", default="")


class _Manifest(msgspec.Struct, frozen=True):
    """cdk.out/manifest.json: the stacks with their files and their environments, aws://ACCOUNT/REGION."""

    artifacts: dict[str, _Artifact] = {}


class _File(msgspec.Struct, frozen=True):
    path: Path
    stack: str
    region: str
    """Empty where nothing tells it."""


def read_templates(path: Path, *, region: str | None = None) -> list[Template]:
    """The template in a file, or those of a folder: a cdk.out, or one that holds *.template.json.

    `region` is where a file belongs that no manifest names, or names without its region. Raises InvalidInput with the
    faults of all files.
    """
    files = [*_files(path)]
    templates: list[Template] = []
    faults: list[Fault] = []
    for file in files:
        where = file.region or region
        if where is None:
            told = "names no region; say which with --region, for prices are a region's"
            faults.append(Fault(str(file.path), told, "no_region"))
            continue
        try:
            body = decode_template(_read(file.path), name=str(file.path))
        except InvalidInput as error:
            faults += placed(error)
            continue
        templates.append(Template(stack=file.stack, region=where, source=str(file.path), body=body))
    if not files:
        told = f"holds no template: no {MANIFEST} with stacks, no *.template.json"
        faults.append(Fault(str(path), told, "no_template"))
    if faults:
        raise InvalidInput("templates", faults)
    return templates


def _files(path: Path) -> Iterator[_File]:
    if not path.is_dir():
        yield _known(path) or _File(path=path, stack=_stack_of(path), region="")
    elif (path / MANIFEST).exists():
        yield from _of_assembly(path)
    else:
        for file in sorted(path.glob("*.template.json")):
            yield _File(path=file, stack=_stack_of(file), region="")


def _known(path: Path) -> _File | None:
    """The file as the manifest beside it knows it."""
    if not path.exists() or not (path.parent / MANIFEST).exists():
        return None
    return next((file for file in _of_assembly(path.parent) if file.path.name == path.name), None)


def _of_assembly(folder: Path) -> Iterator[_File]:
    manifest = documents.read(folder / MANIFEST, _Manifest)
    for name, artifact in manifest.artifacts.items():
        told = artifact.properties
        if artifact.type == STACK and told.template_file:
            yield _File(
                path=folder / told.template_file,
                stack=told.stack_name or artifact.display_name or name,
                region=_region(artifact.environment),
            )
        elif artifact.type == NESTED and told.directory_name:
            yield from _of_assembly(folder / told.directory_name)


def _region(environment: str) -> str:
    """Of aws://ACCOUNT/REGION; empty where the environment is left open."""
    region = environment.rpartition("/")[2]
    return "" if region == "unknown-region" else region


def _stack_of(path: Path) -> str:
    return path.name.removesuffix(".json").removesuffix(".template")


def _read(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            told = f"has {size:,} bytes; expected a template"
            raise InvalidInput(str(path), [Fault("", told, "too_large")])
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(str(path), [Fault("", f"can't be read: {error.strerror}", "unreadable")]) from None


def pick(templates: Sequence[Template], stacks: Sequence[str], *, source: str) -> list[Template]:
    """Those of these stacks; raises InvalidInput with every name that none has."""
    known = {template.stack: template for template in templates}
    missing = [name for name in stacks if name not in known]
    if missing:
        held = ", ".join(known)
        raise InvalidInput(
            source, [Fault("--deployed", f"is {name!r}; it holds {held}", "unknown_stack") for name in missing]
        )
    return [known[name] for name in dict.fromkeys(stacks)]
