from __future__ import annotations

import msgspec
import pytest

from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.settings import ROWS, Row, Settings


def test_every_setting_has_a_row_of_its_own() -> None:
    names = [name for row in ROWS for name in row.names]

    assert [row.field for row in ROWS] == list(Settings.__struct_fields__)
    assert len(names) == len(set(names))
    assert all(row.names[-1].startswith(("RERANK_", "SAGEMAKER_")) and row.purpose and row.expected for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.field)
def test_a_default_is_a_value_that_may_be_set(row: Row) -> None:
    assert row.convert(str(row.default)) == row.default


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({"PATH": "/bin", "RERANK_PORT": ""}) == Settings()


def test_what_is_written_is_read() -> None:
    settings = Settings(port=9000, threads=2, time_limit_s=0.5, drain_s=12345.67, log_level="debug", model_dir="/m")

    assert Settings.from_environment(settings.to_environment()) == settings
    assert "RERANK_HOST" not in settings.to_environment()


def test_the_platform_s_name_wins_where_it_must() -> None:
    assert Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": "9001", "RERANK_PORT": "9002"}).port == 9001
    assert Settings.from_environment({"SAGEMAKER_CONTAINER_LOG_LEVEL": "30"}).log_level == "warning"


def test_no_largest_payload_leaves_the_default() -> None:
    assert Settings.from_environment({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}).max_body_mb == 25
    assert Settings.from_environment({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"}).max_body_mb == 6


MALFORMED = {
    "RERANK_PORT": ("http", "is 'http'; expected a whole number from 1 to 65535"),
    "RERANK_WORKERS": ("-1", "is '-1'; expected a whole number, at least 0"),
    "RERANK_TIME_LIMIT_S": ("inf", "is 'inf'; expected a number of seconds above 0, at most 1,000,000"),
    "RERANK_LOG_LEVEL": ("loud", "is 'loud'; expected one of debug, error, info, warning"),
    "RERANK_EMF_NAMESPACE": (
        "AWS/SageMaker",
        "is 'AWS/SageMaker'; expected a CloudWatch namespace, up to 255 letters, digits and . _ / # : - and not AWS/…",
    ),
    "RERANK_THREDS": ("1", "is no setting; did you mean RERANK_THREADS?"),
}


def test_every_malformed_variable_is_named_with_its_value_and_what_was_expected() -> None:
    with pytest.raises(InvalidInput) as caught:
        Settings.from_environment({name: value for name, (value, _) in MALFORMED.items()})

    found = {fault.field: fault.message for fault in caught.value.faults}
    assert found == {name: message for name, (_, message) in MALFORMED.items()}


def test_variables_of_the_command_line_are_no_settings() -> None:
    others = {"RERANK_DEBUG": "1", "RERANK_LOCAL_STATE": "/somewhere", "RERANKING": "yes"}

    assert Settings.from_environment(others) == Settings()


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        msgspec.structs.replace(Settings(), port=1).port = 2  # type: ignore[misc]
