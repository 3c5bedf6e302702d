from __future__ import annotations

import msgspec
import pytest

from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.settings import NAMES, Settings


def test_every_setting_has_a_name() -> None:
    assert set(NAMES) == set(Settings.__struct_fields__)


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({"PATH": "/bin", "RERANK_PORT": ""}) == Settings()


def test_what_is_written_is_read() -> None:
    settings = Settings(port=9000, threads=2, time_limit_s=0.5, drain_s=12345.67, log_level="debug", model_dir="/m")

    assert Settings.from_environment(settings.to_environment()) == settings
    assert "RERANK_HOST" not in settings.to_environment()


def test_the_platform_s_name_wins_where_it_must() -> None:
    assert Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": "9001", "RERANK_PORT": "9002"}).port == 9001
    assert Settings.from_environment({"SAGEMAKER_CONTAINER_LOG_LEVEL": "30"}).log_level == "warning"


def test_every_malformed_variable_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        Settings.from_environment({"RERANK_PORT": "http", "RERANK_TIME_LIMIT_S": "inf", "RERANK_LOG_LEVEL": "loud"})

    assert {fault.field for fault in caught.value.faults} == {"RERANK_PORT", "RERANK_TIME_LIMIT_S", "RERANK_LOG_LEVEL"}


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        msgspec.structs.replace(Settings(), port=1).port = 2  # type: ignore[misc]
