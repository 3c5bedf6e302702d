"""AWS's Price List API: the same list as the bulk files, asked for with credentials.

Needs the permission pricing:GetProducts. It names no Savings Plan rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from cost_model.prices.errors import RefreshFailed
from cost_model.prices.price_list import RegionListing, RegionPrices
from rerank_toolkit.contracts.faults import Fault

HOME = "us-east-1"
"""One of the regions where the API itself is; it answers for all."""

SOURCE = "AWS Price List API of AmazonSageMaker"


def pricing_client(base_url: str | None = None) -> Any:
    """A boto3 client of the API, by the credentials that boto3 finds; `base_url` instead of AWS's own address."""
    import boto3  # noqa: PLC0415  # only here needed, and slow to import
    from botocore.config import Config  # noqa: PLC0415

    retries: Any = {"mode": "standard", "max_attempts": 5}
    return boto3.Session().client(
        "pricing", region_name=HOME, endpoint_url=base_url, config=Config(retries=retries, read_timeout=60)
    )


def read_api(client: Any, regions: Sequence[str]) -> Iterator[RegionPrices]:
    """The on-demand prices of each region; raises RefreshFailed."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    for region in regions:
        listing = RegionListing(region, source=SOURCE)
        try:
            _read_region(client, region, listing)
        except (BotoCoreError, ClientError) as error:
            hint = "; the bulk files need no credentials: --source bulk"
            raise RefreshFailed([Fault(region, f"the Price List API: {error}{hint}", "api")]) from None
        yield listing.done()


def _read_region(client: Any, region: str, listing: RegionListing) -> None:
    pages = client.get_paginator("get_products").paginate(
        ServiceCode="AmazonSageMaker", Filters=[{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}]
    )
    for page in pages:
        for text in page["PriceList"]:
            _read_product(text, listing)


def _read_product(text: str, listing: RegionListing) -> None:
    """`text` is one product with its terms, as JSON."""
    try:
        item = msgspec.json.decode(text, type=_Item)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fault = Fault(listing.region, f"the Price List API gave no product: {error}", "not_json")
        raise RefreshFailed([fault]) from None
    sku = str(item.product.get("sku", ""))
    if listing.add(sku, item.product):
        listing.publish(item.publication_date)
        listing.price(sku, item.terms.on_demand)


class _Terms(msgspec.Struct):
    on_demand: dict[str, Any] = msgspec.field(default_factory=dict, name="OnDemand")


class _Item(msgspec.Struct, rename="camel"):
    product: dict[str, Any]
    terms: _Terms
    publication_date: str = ""
