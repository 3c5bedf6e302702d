"""From a workload file, and the trace and the sample that it names, to the workload."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from cost_model.workload.arrivals import Arrivals
from cost_model.workload.workload import (
    BYTES_PER_TOKEN,
    TOKENS_CV,
    Basis,
    Documents,
    PairTokens,
    Positive,
    Rate,
    Spread,
    Terms,
    Workload,
)
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.documents import NewerSchema
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault, collect_faults

if TYPE_CHECKING:
    from cost_model.workload.sample import Sample
    from cost_model.workload.trace import Trace

DEFAULT = Path(__file__).parents[1] / "default_workload.toml"

MOST_BYTES = 16_000_000

CHARACTERS_PER_TOKEN = 4.5

TRACE_FIELDS = ("trace", "trace_column", "trace_period_seconds", "dispersion_seconds")
SAMPLE_FIELDS = ("sample", "tokenizer", "characters_per_token")
"""What measuring needs, and can be done with whatever else is wrong."""

Part = TypeVar("Part", bound=msgspec.Struct)


class WorkloadFile(Terms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workload as it is written: figures, or where to measure them."""

    requests_per_second: Rate | None = None
    documents_per_request: Documents | None = None
    tokens_per_document: PairTokens | None = None
    tokens_cv: Spread | None = None
    bytes_per_token: Positive | None = None
    sample: str | None = None
    """File of real requests, a JSON body a line; relative to the workload's."""
    tokenizer: str | None = None
    """tokenizer.json to measure the sample with; relative to the workload's."""
    characters_per_token: Annotated[float, msgspec.Meta(ge=0.1, le=100)] = CHARACTERS_PER_TOKEN
    """Assumed where the sample is measured without a tokenizer: English text."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A workload with what was measured for it."""

    workload: Workload
    trace: Trace | None
    sample: Sample | None

    @property
    def notes(self) -> list[str]:
        """What was assumed or mended on the way."""
        measured = [("trace", self.trace), ("sample", self.sample)]
        return [f"{what}: {note}" for what, one in measured if one is not None for note in one.notes]


def read_workload(path: Path = DEFAULT) -> Workload:
    """The workload in a .toml or .json file, with what its trace and its sample come to.

    Raises InvalidInput with every fault of the three, NewerSchema if the file was written by a newer version.
    """
    return read_workload_measured(path).workload


def read_workload_measured(path: Path = DEFAULT) -> Reading:
    """The same, with the measurements of trace and sample."""
    written = _parse(path)
    if not isinstance(written, dict):
        raise InvalidInput(str(path), collect_faults(written, WorkloadFile))
    faults = _presence_faults(written)
    try:
        file = documents.convert(written, WorkloadFile, name=str(path))
    except NewerSchema:
        raise
    except InvalidInput as error:
        file = None
        faults = [*error.faults, *faults]
    trace = _measured_trace(written, path.parent, faults)
    sample = _measured_sample(written, path.parent, faults)
    if file is None or faults:
        raise InvalidInput(str(path), faults)
    try:
        return Reading(workload=_resolved(file, trace, sample), trace=trace, sample=sample)
    except (ValueError, msgspec.ValidationError) as error:  # what follows from the measured, out of bounds
        raise InvalidInput(str(path), [Fault("", str(error))]) from None


def _parse(path: Path) -> object:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(str(path), [Fault("", f"can't be read: {error.strerror}", "unreadable")]) from None
    if len(data) > MOST_BYTES:
        told = f"has {len(data):,} bytes; expected a workload, not its trace: name that in arrivals.trace"
        raise InvalidInput(str(path), [Fault("", told, "too_large")])
    if path.suffix == ".toml":
        try:
            return tomllib.loads(data.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(str(path), [Fault("", f"is not TOML: {error}", "not_toml")]) from None
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(str(path), [Fault("", f"is not JSON: {error}", "not_json")]) from None


def _presence_faults(written: Mapping[str, Any]) -> list[Fault]:
    """What is missing, and what is said in two ways."""
    faults: list[Fault] = []
    arrivals = written.get("arrivals")
    given = [name for name in ("hours", "week", "trace") if isinstance(arrivals, dict) and name in arrivals]
    if len(given) > 1:
        faults.append(Fault("arrivals", f"has {' and '.join(given)}; leave one", "twice"))
    if not given and "requests_per_second" not in written:
        told = "is missing; give it, or arrivals with hours, week or a trace"
        faults.append(Fault("requests_per_second", told, "missing"))
    for number, table in (("documents_per_request", "documents"), ("tokens_per_document", "tokens")):
        ways = [name for name in (number, table, "sample") if name in written]
        if not ways:
            faults.append(Fault(number, f"is missing; give it, {table}, or a sample", "missing"))
        elif len(ways) > 1:
            faults.append(Fault(ways[0], f"is said by {' and '.join(ways[1:])} too; leave one", "twice"))
    told_by = next((name for name in ("tokens", "sample") if name in written), None)
    if "tokens_cv" in written and told_by:
        faults.append(Fault("tokens_cv", f"goes with tokens_per_document; {told_by} tells how lengths spread", "twice"))
    for name in ("tokenizer", "characters_per_token"):
        if name in written and "sample" not in written:
            faults.append(Fault(name, "is for measuring a sample, and there is none", "unused"))
    for name in ("trace_column", "trace_period_seconds"):
        if isinstance(arrivals, dict) and name in arrivals and "trace" not in arrivals:
            faults.append(Fault(f"arrivals.{name}", "is for reading a trace, and there is none", "unused"))
    return faults


def _measured_trace(written: Mapping[str, Any], folder: Path, faults: list[Fault]) -> Trace | None:
    arrivals = _sound_part(written.get("arrivals"), Arrivals, TRACE_FIELDS)
    if arrivals is None or arrivals.trace is None:
        return None
    from cost_model.workload.trace import measure_trace  # noqa: PLC0415  # numpy, for those who have a trace

    try:
        return measure_trace(
            folder / arrivals.trace,
            column=arrivals.trace_column,
            period=arrivals.trace_period_seconds,
            scale_s=arrivals.dispersion_seconds,
        )
    except InvalidInput as error:
        faults += _placed("arrivals.trace", error)
    return None


def _measured_sample(written: Mapping[str, Any], folder: Path, faults: list[Fault]) -> Sample | None:
    part = _sound_part(written, WorkloadFile, SAMPLE_FIELDS)
    if part is None or part.sample is None:
        return None
    from cost_model.workload.sample import measure_sample  # noqa: PLC0415

    try:
        return measure_sample(
            folder / part.sample,
            tokenizer=folder / part.tokenizer if part.tokenizer else None,
            characters_per_token=part.characters_per_token,
        )
    except InvalidInput as error:
        faults += _placed("sample", error)
    return None


def _sound_part(written: object, expected: type[Part], fields: Sequence[str]) -> Part | None:
    """Those fields alone, if they have no faults; whatever has, is told with the file's."""
    if not isinstance(written, Mapping):
        return None
    try:
        return msgspec.convert({name: written[name] for name in fields if name in written}, expected)
    except msgspec.ValidationError:
        return None


def _placed(field: str, error: InvalidInput) -> list[Fault]:
    """The faults of a file that the workload names."""
    name = Path(error.what).name
    return [
        Fault(", ".join(filter(None, [field, name, fault.field])), fault.message, fault.type) for fault in error.faults
    ]


def _resolved(file: WorkloadFile, trace: Trace | None, sample: Sample | None) -> Workload:
    basis: list[Basis] = []
    traffic = _traffic(file, trace, basis)
    shape = traffic.hourly
    rate = file.requests_per_second if file.requests_per_second is not None else sum(shape) / len(shape)
    documents_, tokens = file.documents, file.tokens
    bytes_per_token = file.bytes_per_token
    largest_bytes = None
    if sample is not None:
        documents_, tokens = sample.documents, sample.tokens
        largest_bytes = float(sample.largest_bytes)
        about = f"{Path(sample.path).name}, {sample.measured:,} requests"
        basis.append(Basis("documents_per_request", f"measured: {about}"))
        basis.append(Basis("tokens_per_document", f"{sample.basis}, of {about}"))
        if bytes_per_token is None:
            bytes_per_token = sample.bytes_per_token
            basis.append(Basis("bytes_per_token", f"measured: {about}; tokens {sample.basis}"))
    if bytes_per_token is None:
        bytes_per_token = BYTES_PER_TOKEN
        basis.append(Basis("bytes_per_token", "assumed: English text in JSON"))
    tokens_cv = TOKENS_CV if file.tokens_cv is None else file.tokens_cv
    if tokens is None and file.tokens_cv is None:
        basis.append(Basis("tokens_cv", "assumed"))
    mean_tokens = file.tokens_per_document
    if tokens is not None:
        _, mean_tokens, second, *_ = tokens.pair_moments()
        tokens_cv = max(second - mean_tokens**2, 0.0) ** 0.5 / mean_tokens
    mean_documents = documents_.average if documents_ is not None else file.documents_per_request
    if mean_documents is None or mean_tokens is None:
        raise RuntimeError("a workload without sizes was taken for a whole one. This is a bug.")
    terms = {name: getattr(file, name) for name in Terms.__struct_fields__}
    return Workload(
        **terms
        | {
            "traffic": traffic,
            "documents": documents_,
            "tokens": tokens,
            "requests_per_second": rate,
            "documents_per_request": mean_documents,
            "tokens_per_document": mean_tokens,
            "tokens_cv": tokens_cv,
            "bytes_per_token": bytes_per_token,
            "largest_bytes": largest_bytes,
            "basis": tuple(basis),
        }
    )


def _traffic(file: WorkloadFile, trace: Trace | None, basis: list[Basis]) -> Arrivals:
    """The arrivals with what was measured of the trace."""
    given = file.traffic
    if trace is None:
        if given.dispersion is None:
            basis.append(Basis("dispersion", "assumed: Poisson"))
        return msgspec.structs.replace(given, hours=given.hourly, week={})
    about = f"{Path(trace.path).name}, {trace.begin:%Y-%m-%d %H:%M} to {trace.end:%Y-%m-%d %H:%M} UTC"
    what = "measured" if file.requests_per_second is None else "stated; the week's course is measured"
    basis.append(Basis("requests_per_second", f"{what}: {about}, {trace.requests:,.0f} requests"))
    dispersion = given.dispersion
    if dispersion is None:
        measured = trace.dispersion_at(given.dispersion_seconds)
        if measured is None:
            told = f"assumed: Poisson, for the trace can't tell over {given.dispersion_seconds} s"
        elif measured.index < 1:
            told = f"measured: {measured.index:.2f} over {measured.seconds} s of {about}, taken for Poisson"
        else:
            told = f"measured: {measured.index:.3g} ± {measured.error:.2g} over {measured.seconds} s of {about}"
        dispersion = max(1.0, measured.index) if measured else 1.0
        basis.append(Basis("dispersion", told))
    return msgspec.structs.replace(given, hours=trace.hours, trace=trace.path, dispersion=dispersion)
