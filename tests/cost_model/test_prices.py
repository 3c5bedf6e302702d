"""The snapshot, and look-ups that say why they don't know."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cost_model.prices.book import Rate, Unknown, load_prices
from rerank_toolkit.catalog.instances import load_instances

PRICES = load_prices()


@pytest.mark.parametrize(
    ("region", "instance", "usd"),
    [
        ("us-east-1", "ml.m5.xlarge", "0.23"),
        ("eu-west-1", "ml.m5.xlarge", "0.257"),
        ("us-east-2", "ml.c4.2xlarge", "0.478"),
        ("us-east-1", "ml.g5.24xlarge", "10.18"),
    ],
)
def test_a_published_hosting_rate(region, instance, usd):
    rate = PRICES.hosting(region, instance)

    assert isinstance(rate, Rate)
    assert (rate.usd, rate.unit, rate.basis, rate.suspect) == (Decimal(usd), "hour", "published", "")
    assert "2026-09-22" in rate.detail


def test_every_hosted_type_that_the_catalogue_offers_in_a_region_has_a_price_there():
    for name, instance in load_instances().items():
        for region in instance.regions:
            assert isinstance(PRICES.hosting(region, name), Rate), (region, name)


def test_a_doubted_price_says_so():
    rate = PRICES.hosting("us-east-1", "ml.r8g.xlarge")

    assert isinstance(rate, Rate)
    assert "us-east-2" in rate.suspect


def test_a_type_that_is_not_offered_names_where_it_is():
    unknown = PRICES.hosting("us-east-1", "ml.p5.4xlarge")

    assert isinstance(unknown, Unknown)
    assert "no hosting price in us-east-1" in unknown.reason
    assert "offered in" in unknown.reason


@pytest.mark.parametrize(
    ("look_up", "expected"),
    [
        (lambda: PRICES.hosting("mars-1", "ml.m5.xlarge"), "known are ap-northeast-1"),
        (lambda: PRICES.serverless("us-east-1", 1000), "sizes are 1024, 2048, 3072, 4096, 5120, 6144 MB"),
        (lambda: PRICES.serverless("mars-1", 1024), "no serverless price is known in mars-1"),
        (lambda: PRICES.rate("us-west-2", "sagemaker", "data-in"), "known are eu-west-1, us-east-1"),
        (lambda: PRICES.rate("eu-west-1", "lambda", "requests"), "known are us-east-1"),
        (lambda: PRICES.allowance("cloud-run", "vcpu"), "no free tier of cloud-run vcpu is known"),
    ],
)
def test_what_is_not_known_says_what_is(look_up, expected):
    unknown = look_up()

    assert isinstance(unknown, Unknown)
    assert expected in unknown.reason


def test_provisioned_concurrency_is_published_at_2_gb_and_extrapolated_elsewhere():
    published = PRICES.provisioned_concurrency("us-east-1", "usage", 2048)
    extrapolated = PRICES.provisioned_concurrency("us-east-1", "usage", 6144)

    assert isinstance(published, Rate)
    assert isinstance(extrapolated, Rate)
    assert published.basis == "published"
    assert extrapolated.basis == "extrapolated"
    assert extrapolated.usd == 3 * published.usd
    assert "2048 MB" in extrapolated.detail


def test_tiers_start_where_the_one_before_ends():
    tiers = PRICES.tiers("us-east-1", "lambda", "duration-x86_64")

    assert not isinstance(tiers, Unknown)
    assert [int(tier.from_quantity) for tier in tiers] == [0, 6_000_000_000, 15_000_000_000]
    assert [tier.rate.usd for tier in tiers] == sorted((tier.rate.usd for tier in tiers), reverse=True)


def test_prices_outside_aws_hold_in_every_region():
    assert PRICES.rate("us-east-1", "cloud-run", "vcpu") == PRICES.rate("eu-west-1", "cloud-run", "vcpu")


@pytest.mark.parametrize(
    ("service", "name", "unit", "usd"),
    [
        ("lambda", "duration-arm64", "GB-second", "0.0000133334"),
        ("lambda", "ephemeral-storage", "GB-second", "0.0000000309"),
        ("lambda", "provisioned-concurrency-x86_64", "GB-second", "0.0000041667"),
        ("lambda", "provisioned-duration-x86_64", "GB-second", "0.0000097222"),
        ("fargate", "vcpu-arm64", "vCPU-second", "0.0000089944"),
        ("fargate", "ephemeral-storage", "GB-second", "0.0000000308"),
        ("azure-container-apps", "vcpu-idle", "vCPU-second", "0.000003"),
        ("azure-functions-flex", "duration", "GB-second", "0.000026"),
        ("azure-functions-flex", "executions", "execution", "0.0000004"),
        ("cloud-run", "memory", "GiB-second", "0.0000025"),
        ("s3", "put-requests", "request", "0.000005"),
        ("s3", "get-requests", "request", "0.0000004"),
        ("cloudwatch", "logs-ingestion", "GB", "0.5"),
        ("cloudwatch", "alarm-high-resolution", "alarm-month", "0.3"),
        ("sqs", "requests", "request", "0.0000004"),
        ("sns", "requests", "request", "0.0000005"),
        ("ecr", "storage", "GB-month", "0.1"),
        ("transfer", "internet-egress", "GB", "0.09"),
        ("transfer", "cross-az", "GB", "0.01"),
        ("vpc", "public-ipv4", "hour", "0.005"),
    ],
)
def test_what_runs_elsewhere_and_beside_has_its_rates(service, name, unit, usd):
    rate = PRICES.rate("us-east-1", service, name)

    assert isinstance(rate, Rate)
    assert (rate.unit, rate.usd) == (unit, Decimal(usd))
    assert (service, name) in PRICES.rate_names("us-east-1")
