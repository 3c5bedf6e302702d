"""What each container is told by its mode, and what a plan can tell it instead."""

from __future__ import annotations

import pytest

from infra.settings import container_environment
from rerank_toolkit.contracts.settings import Settings

IN_MODES = {
    "realtime": Settings(emf_interval_s=60, endpoint_name="RerankTinyCpu"),
    "serverless": Settings(emf_interval_s=60, endpoint_name="RerankTinyCpu", max_body_mb=4, workers=1),
    "inference-component": Settings(),
}


@pytest.mark.parametrize("mode", IN_MODES)
def test_the_mode_decides_limits_and_metrics(deployment, mode):
    plain = deployment(mode=mode)
    assert Settings.from_environment(container_environment(plain, plain)) == IN_MODES[mode]


def test_the_plan_has_the_last_word(deployment):
    plain = deployment(environment={"RERANK_EMF_INTERVAL_S": "10", "RERANK_TOKEN_BUDGET": "4096"})
    settings = Settings.from_environment(container_environment(plain, plain))
    assert (settings.emf_interval_s, settings.token_budget) == (10, 4096)
    assert settings.endpoint_name == "RerankTinyCpu"


@pytest.mark.parametrize("name", ["SAGEMAKER_MODEL_SERVER_WORKERS", "RERANK_WORKERS"])
def test_the_plan_is_heard_by_whichever_name_of_a_setting_it_uses(deployment, name):
    plain = deployment(mode="serverless", environment={name: "3"})
    environment = container_environment(plain, plain)
    assert Settings.from_environment(environment).workers == 3
    assert [variable for variable in environment if "WORKERS" in variable] == [name]


def test_variants_are_told_the_same_of_the_endpoint_and_their_own_besides(deployment, variant):
    other = variant(environment={"RERANK_LOG_LEVEL": "debug"})
    environment = container_environment(deployment(variants=[other]), other)
    assert environment["RERANK_ENDPOINT_NAME"] == "RerankTinyCpu"
    assert environment["RERANK_LOG_LEVEL"] == "debug"
