from __future__ import annotations

from botocore.session import get_session

from rerank_toolkit.catalog.limits import load_limits


def test_serverless_limits_are_those_of_the_service_model() -> None:
    shape = get_session().get_service_model("sagemaker").shape_for
    memory, concurrency = shape("ServerlessMemorySizeInMB").metadata, shape("ServerlessMaxConcurrency").metadata
    serverless = load_limits().serverless

    assert (serverless.memory_mb[0], serverless.memory_mb[-1]) == (memory["min"], memory["max"])
    assert serverless.max_concurrency == concurrency["max"]


def test_start_up_may_take_what_the_service_model_allows() -> None:
    name = "ProductionVariantContainerStartupHealthCheckTimeoutInSeconds"
    bounds = get_session().get_service_model("sagemaker").shape_for(name).metadata

    assert load_limits().container.startup_timeout_s == (bounds["min"], bounds["max"])


def test_each_table_names_its_source_and_date() -> None:
    limits = load_limits()

    for table in (limits.realtime, limits.serverless, limits.async_, limits.batch, limits.container):
        assert table.source
        assert table.as_of.year >= 2026
