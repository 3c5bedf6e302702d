"""What the container can be told, and the environment variables that tell it.

infra writes them, the container reads them; both from the one table below. Where SageMaker's toolkits have a
name for a thing, that name works too. Precedence: the first name of a row that is set, then the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Count = Annotated[int, msgspec.Meta(ge=0)]

NAMES: Mapping[str, tuple[str, ...]] = {
    "model_dir": ("RERANK_MODEL_DIR",),
    "host": ("RERANK_HOST",),
    "port": ("SAGEMAKER_BIND_TO_PORT", "RERANK_PORT"),
    "threads": ("RERANK_THREADS",),
    "token_budget": ("RERANK_TOKEN_BUDGET",),
    "max_queued_tokens": ("RERANK_MAX_QUEUED_TOKENS",),
    "time_limit_s": ("RERANK_TIME_LIMIT_S", "SAGEMAKER_MODEL_SERVER_TIMEOUT"),
    "max_body_mb": ("RERANK_MAX_BODY_MB", "SAGEMAKER_MAX_PAYLOAD_IN_MB"),
    "drain_s": ("RERANK_DRAIN_S",),
    "log_level": ("RERANK_LOG_LEVEL", "SAGEMAKER_CONTAINER_LOG_LEVEL"),
}

# SageMaker's toolkits number the levels as Python's logging does.
_NUMBERED_LEVELS = {"10": "debug", "20": "info", "30": "warning", "40": "error"}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one serving process."""

    model_dir: str = "/opt/ml/model"
    host: str = "0.0.0.0"  # in a container; `rerank serve` and the local AWS bind loopback
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8080
    threads: Count = 0
    """Compute threads; 0 means one for each physical core this process may use."""
    token_budget: Annotated[int, msgspec.Meta(ge=1)] = 2048
    """Tokens in one batch. Small batches keep activations in the cache; a longer sequence is a batch by itself."""
    max_queued_tokens: Annotated[int, msgspec.Meta(ge=1)] = 4_000_000
    """Tokens that may wait; beyond, requests are refused at once."""
    time_limit_s: Positive = 60.0
    """A request that can't be answered within this is refused at once. infra fills it by mode."""
    max_body_mb: Positive = 25.0
    drain_s: Positive = 25.0
    """After SIGTERM, time for what is in flight; SageMaker kills 5 s later."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Settings from variables such as `os.environ`; raises InvalidInput with every malformed one."""
        types = {field.name: field.type for field in msgspec.structs.fields(cls)}
        values: dict[str, object] = {}
        faults: list[Fault] = []
        for field, names in NAMES.items():
            name = next((name for name in names if environment.get(name)), None)
            if name is None:
                continue
            text = environment[name].strip()
            if field == "log_level":
                text = _NUMBERED_LEVELS.get(text, text.lower())
            try:
                values[field] = msgspec.convert(text, types[field], strict=False)
            except msgspec.ValidationError as error:
                faults.append(Fault(name, f"is {environment[name]!r}; {str(error).lower()}"))
        if faults:
            raise InvalidInput("environment", faults)
        return cls(**values)  # type: ignore[arg-type]  # each value was converted to its field's type above

    def to_environment(self) -> dict[str, str]:
        """The variables that give these settings; defaults are left out."""
        plain = Settings()
        return {
            names[0]: str(value)
            for field, names in NAMES.items()
            if (value := getattr(self, field)) != getattr(plain, field)
        }
