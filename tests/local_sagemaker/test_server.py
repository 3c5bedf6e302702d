"""Who may speak to the server: an AWS client on this machine, and no web page that its user looks at."""

from __future__ import annotations

import pytest
import urllib3

from .conftest import LocalAws


def ask(local_aws: LocalAws, method: str, path: str, **headers: str) -> tuple[int, str]:
    url = local_aws.document["endpoint_url"] + path
    answer = urllib3.request(method, url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return answer.status, answer.data.decode()


@pytest.mark.parametrize(
    ("method", "path", "headers", "said"),
    [
        ("POST", "/moto-api/reset", {}, "moto's own API"),
        ("POST", "//moto-api/reset", {}, "moto's own API"),
        ("POST", "/", {"Origin": "http://evil.example"}, "web pages"),
        ("GET", "/?Action=DeleteStack", {"Sec_Fetch_Site": "cross-site"}, "web pages"),
        ("GET", "/_rerank/status", {"Host": "evil.example:80"}, "not called 'evil.example:80'"),
        ("GET", "/_rerank/status", {"Host": "127.0.0.1.evil.example"}, "not called"),
    ],
)
def test_a_web_page_is_refused(local_aws: LocalAws, method: str, path: str, headers: dict[str, str], said: str) -> None:
    status, text = ask(local_aws, method, path, **headers)
    assert status == 403
    assert said in text
    assert local_aws.client("ecr").describe_repositories()["repositories"], "nothing was reset"


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1"])
def test_this_machine_is_answered_by_either_of_its_names(local_aws: LocalAws, host: str) -> None:
    assert ask(local_aws, "GET", "/_rerank/status", Host=host)[0] == 200
