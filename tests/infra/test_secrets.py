"""What looks like a secret is kept out of templates."""

from __future__ import annotations

import pytest

from infra.checks import check_plan
from infra.checks.secrets import check_secrets
from rerank_toolkit.contracts.settings import ROWS

# Put together here, so that no scanner takes this file for a leak.
LEAKS = {
    "AWS_KEY": ("AKIA" + "IOSFODNN7" + "EXAMPLE", "an AWS access key"),
    "SESSION": ("id=ASIA" + "ABCDEFGH" + "23456777", "an AWS access key"),
    "HUB": ("hf_" + "a1" * 17, "a Hugging Face token"),
    "FORGE": ("ghp_" + "a1" * 18, "a GitHub token"),
    "MODEL_API": ("sk-" + "a1" * 12, "an API key"),
    "CHAT": ("xoxb-" + "1234567890-abc", "a Slack token"),
    "PEM": ("-----BEGIN RSA " + "PRIVATE KEY-----\nMII", "a private key"),
    "BEARER": ("Bearer eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0In0.c2ln", "a signed token"),
    "INDEX": ("https://reader:" + "hunter2@pypi.example.com/simple", "an address with a password"),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_value_that_looks_like_a_secret_is_refused_without_being_repeated(name):
    value, kind = LEAKS[name]
    (fault,) = check_secrets({name: value}, "environment")
    assert fault.field == f"environment.{name}"
    assert f"looks like {kind};" in fault.message
    assert value not in str(fault)


@pytest.mark.parametrize(
    "name",
    [
        *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"),
        *("DB_PASSWORD", "OPENAI_API_KEY", "apikey", "client_secret", "TLS_PRIVATE_KEY"),
    ],
)
def test_a_name_that_says_secret_is_refused_whatever_its_value(name):
    (fault,) = check_secrets({name: "x"}, "environment")
    assert "looks like a secret, by its name" in fault.message


def test_an_empty_variable_is_none():
    assert list(check_secrets({"HF_TOKEN": ""}, "environment")) == []


def test_settings_of_the_container_and_their_like_pass():
    environment = {name: "4096" for row in ROWS for name in row.names}
    plain = {
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "URL": "https://example.com:443/a@b",
        "KEYBOARD": "de",
    }
    assert list(check_secrets(environment | plain, "environment")) == []


def test_a_plan_with_a_secret_is_refused_by_field(plan, deployment):
    (fault,) = check_plan(plan(deployment(environment={"HF_TOKEN": "x"})))
    assert (fault.field, fault.type) == ("deployments[0].environment.HF_TOKEN", "secret")
