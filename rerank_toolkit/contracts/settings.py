"""What the container can be told, and the environment variables that tell it.

infra writes them, the container reads them; both from the one table below. Where SageMaker's toolkits have a
name for a thing, that name works too. Precedence: the first name of a row that is set, then the default.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import inspect

from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

PREFIX = "RERANK_"

NOT_SETTINGS = ("RERANK_DEBUG", "RERANK_LOCAL_", "RERANK_PRICES")
"""Variables of the command line, the local AWS and the cost model: with our prefix, yet nothing of the container's."""

# SageMaker's toolkits number the levels as Python's logging does.
_NUMBERED_LEVELS = {"10": "debug", "20": "info", "30": "warning", "40": "error"}


# What SageMaker says where nothing is set: a body streamed to batch transform has no largest size.
_UNSET = {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}


def _row(purpose: str, *names: str, unit: str = "", expected: str = "", **bounds: Any) -> msgspec.Meta:
    """A setting's variables, the one that wins first, and what a reader of the reference wants to know of it.

    expected: its values in words, where its type and bounds don't say them.
    """
    return msgspec.Meta(description=purpose, extra={"names": names, "unit": unit, "expected": expected}, **bounds)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one server."""

    model_dir: Annotated[
        str,
        _row("Folder of the artifact.", "RERANK_MODEL_DIR", min_length=1),
    ] = "/opt/ml/model"
    host: Annotated[
        str,
        _row(
            "Address to listen on; 127.0.0.1 keeps other machines out, as `rerank serve` and the local AWS do.",
            "RERANK_HOST",
            min_length=1,
        ),
    ] = "0.0.0.0"
    port: Annotated[
        int,
        _row("Port to listen on.", "SAGEMAKER_BIND_TO_PORT", "RERANK_PORT", ge=1, le=65535),
    ] = 8080
    workers: Annotated[
        int,
        _row(
            "Processes that compute. 0 leaves the choice to the engine: OpenVINO takes one for each thread as far as "
            "memory allows, PyTorch one with all threads.",
            "RERANK_WORKERS",
            "SAGEMAKER_MODEL_SERVER_WORKERS",
            ge=0,
        ),
    ] = 0
    threads: Annotated[
        int,
        _row(
            "Compute threads of all workers together; 0 means one for each physical core this server may use.",
            "RERANK_THREADS",
            ge=0,
        ),
    ] = 0
    token_budget: Annotated[
        int,
        _row(
            "Tokens in one batch; a longer document is a batch by itself. Small batches keep activations in the cache "
            "and let a small request past a large one. 0 means 1,024 on CPUs, 8,192 on a GPU.",
            "RERANK_TOKEN_BUDGET",
            unit="tokens",
            ge=0,
        ),
    ] = 0
    max_queued_tokens: Annotated[
        int,
        _row(
            "Tokens that may wait; what comes beyond is refused at once.",
            "RERANK_MAX_QUEUED_TOKENS",
            unit="tokens",
            ge=1,
        ),
    ] = 8_000_000
    time_limit_s: Annotated[
        float,
        _row(
            "A request that can't be answered within this is refused at once. SageMaker gives a real-time or "
            "serverless request 60 s, an asynchronous one up to an hour.",
            "RERANK_TIME_LIMIT_S",
            "SAGEMAKER_MODEL_SERVER_TIMEOUT",
            unit="seconds",
            gt=0,
            le=1_000_000,
        ),
    ] = 60.0
    max_body_mb: Annotated[
        float,
        _row(
            "Largest body that is read; larger ones are answered with 413.",
            "RERANK_MAX_BODY_MB",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB",
            unit="megabytes",
            gt=0,
            le=1_000_000,
        ),
    ] = 25.0
    drain_s: Annotated[
        float,
        _row(
            "After SIGTERM, time to answer what is in flight; SageMaker kills 30 s after the signal.",
            "RERANK_DRAIN_S",
            unit="seconds",
            gt=0,
            le=1_000_000,
        ),
    ] = 25.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _row(
            "From which level on lines are logged; each request is one line at info. Python's numbers work too: 10, "
            "20, 30, 40.",
            "RERANK_LOG_LEVEL",
            "SAGEMAKER_CONTAINER_LOG_LEVEL",
        ),
    ] = "info"
    emf_interval_s: Annotated[
        float,
        _row(
            "How often the metrics are also written as a log line in CloudWatch's embedded metric format; 0 writes "
            "none.",
            "RERANK_EMF_INTERVAL_S",
            unit="seconds",
            ge=0,
            le=300,
        ),
    ] = 0.0
    emf_namespace: Annotated[
        str,
        _row(
            "Namespace of those metrics.",
            "RERANK_EMF_NAMESPACE",
            expected="a CloudWatch namespace, up to 255 letters, digits and . _ / # : - and not AWS/…",
            pattern=r"^(?!AWS/)[A-Za-z0-9_./#:-]{1,255}$",
        ),
    ] = "Rerank"
    endpoint_name: Annotated[
        str,
        _row(
            "Adds the dimension EndpointName to those metrics, which tells two endpoints of one model apart; the "
            "container can't find it out by itself.",
            "RERANK_ENDPOINT_NAME",
            expected="an endpoint's name, up to 63 letters, digits and hyphens",
            pattern=r"^([a-zA-Z0-9](-*[a-zA-Z0-9]){0,62})?$",
        ),
    ] = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Settings from variables such as `os.environ`.

        Raises InvalidInput with every variable that is malformed, or is called like a setting and is none.
        """
        values: dict[str, object] = {}
        faults: list[Fault] = []
        for row in ROWS:
            name = next((name for name in row.names if environment.get(name, "") not in {"", _UNSET.get(name)}), None)
            if name is None:
                continue
            try:
                values[row.field] = row.convert(environment[name])
            except msgspec.ValidationError:
                faults.append(Fault(name, f"is {environment[name]!r}; expected {row.expected}"))
        faults += _misspelt(environment)
        if faults:
            raise InvalidInput("environment", faults)
        return cls(**values)  # type: ignore[arg-type]  # each value was converted to its field's type above

    def to_environment(self) -> dict[str, str]:
        """The variables that give these settings; defaults are left out."""
        return {row.names[0]: str(value) for row in ROWS if (value := getattr(self, row.field)) != row.default}


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as the reference lists it."""

    field: str
    names: tuple[str, ...]
    """Its variables; the first that is set wins."""
    type: Any
    default: object
    unit: str
    purpose: str
    expected: str
    """Its values in words."""

    def convert(self, text: str) -> object:
        """The value that `text` spells; raises msgspec.ValidationError."""
        text = text.strip()
        if self.field == "log_level":
            text = _NUMBERED_LEVELS.get(text, text.lower())
        return msgspec.convert(text, self.type, strict=False)


def _rows() -> Iterator[Row]:
    for field in msgspec.structs.fields(Settings):
        info = inspect.type_info(field.type)
        if not isinstance(info, inspect.Metadata):
            raise TypeError(f"setting {field.name} has no row. This is a bug.")
        told = info.extra or {}
        meta = info.extra_json_schema or {}
        yield Row(
            field=field.name,
            names=told["names"],
            type=field.type,
            default=field.default,
            unit=told["unit"],
            purpose=meta["description"],
            expected=told["expected"] or _expected(info.type, told["unit"]),
        )


def _expected(info: inspect.Type, unit: str) -> str:
    match info:
        case inspect.LiteralType():
            return f"one of {', '.join(sorted(map(str, info.values)))}"
        case inspect.IntType() | inspect.FloatType():
            kind = "a whole number" if isinstance(info, inspect.IntType) else "a number"
            of_unit = f" of {unit}" if unit else ""
            return f"{kind}{of_unit}{_bounds(info)}"
        case _:
            return "text"


def _bounds(info: inspect.IntType | inspect.FloatType) -> str:
    if info.gt is not None:
        return f" above {info.gt}, at most {info.le:,}"
    return f" from {info.ge} to {info.le}" if info.le is not None else f", at least {info.ge}"


ROWS: tuple[Row, ...] = tuple(_rows())


def _misspelt(environment: Mapping[str, str]) -> Iterator[Fault]:
    """Variables that only look like settings: a limit that was meant to hold and doesn't must not go unnoticed."""
    known = [name for row in ROWS for name in row.names]
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in known or name.startswith(NOT_SETTINGS):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; settings are {', '.join(known)}"
        yield Fault(name, f"is no setting{meant}", "unknown_field")
