"""The Price List API, by boto3 and its own stub: no AWS, but AWS's shapes checked by botocore's model of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from botocore.exceptions import NoCredentialsError
from botocore.stub import Stubber

from cost_model.prices.api import pricing_client, read_api
from cost_model.prices.book import load_prices
from cost_model.prices.errors import RefreshFailed
from cost_model.prices.price_list import Key
from cost_model.prices.refresh import refresh
from rerank_toolkit.contracts.errors import InvalidInput

from .shapes import us_east_1

ASKED = {
    "ServiceCode": "AmazonSageMaker",
    "Filters": [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"}],
}


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    return pricing_client()


def test_pages_are_read_to_the_last(client):
    items = us_east_1().api()
    with Stubber(client) as stub:
        stub.add_response("get_products", {"PriceList": items[:7], "NextToken": "more"}, ASKED)
        stub.add_response("get_products", {"PriceList": items[7:]}, {**ASKED, "NextToken": "more"})
        (listed,) = read_api(client, ["us-east-1"])
        stub.assert_no_pending_responses()

    assert listed.prices[Key("hosting", "ml.m5.xlarge")] == Decimal("0.24")
    assert listed.source == "AWS Price List API of AmazonSageMaker"


def test_the_api_and_the_bulk_files_say_the_same(client, server, tmp_path):
    with Stubber(client) as stub:
        stub.add_response("get_products", {"PriceList": us_east_1().api()}, ASKED)
        (by_api,) = read_api(client, ["us-east-1"])

    (by_bulk,) = server.fetch(tmp_path, "us-east-1")
    assert (by_api.prices, by_api.published) == (by_bulk.prices, by_bulk.published)


def test_what_is_ambiguous_is_refused_by_name_here_too(client, store):
    prices = us_east_1()
    prices.instance("ml.g5.xlarge", "1.5", sku="ANOTHERONE")
    with Stubber(client) as stub:
        stub.add_response("get_products", {"PriceList": prices.api()}, ASKED)
        listed = list(read_api(client, ["us-east-1"]))

    with pytest.raises(RefreshFailed, match=r"hosting ml.g5.xlarge: the list names several prices: 1.408 .* 1.5"):
        refresh(load_prices(store), listed)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "InternalErrorException"])
def test_a_refusal_is_told_with_the_other_way(client, code):
    with Stubber(client) as stub:
        stub.add_client_error("get_products", code, "no")
        with pytest.raises(RefreshFailed, match=rf"us-east-1: .*{code}.*--source bulk"):
            list(read_api(client, ["us-east-1"]))


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (["{"], "gave no product"),
        (["[]"], "gave no product"),
        (['{"terms": {}}'], "gave no product"),
        ([], "us-east-1, publicationDate: is missing"),
        (['{"product": {"sku": "A", "attributes": {"usagetype": 3}}, "terms": {}}'], "product A: Expected `str`"),
    ],
)
def test_an_answer_of_another_shape_is_told(client, page, told):
    with Stubber(client) as stub:
        stub.add_response("get_products", {"PriceList": page}, ASKED)
        with pytest.raises(RefreshFailed) as caught:
            list(read_api(client, ["us-east-1"]))

    assert told in str(caught.value)


def test_without_credentials_it_says_so(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    with pytest.raises(RefreshFailed, match=str(NoCredentialsError())):
        list(read_api(pricing_client("http://127.0.0.1:9"), ["us-east-1"]))


def test_savings_plans_are_not_asked_of_it():
    from cost_model.cli_prices import app

    with pytest.raises(InvalidInput, match="--savings-plans: are not in the Price List API"):
        app(["refresh", "--source", "api", "--savings-plans"], exit_on_error=False, result_action="return_value")
