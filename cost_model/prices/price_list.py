"""What AWS's price list says of one region, product by product.

The shapes are the same in the bulk files and in the answers of the Price List API: a product has attributes, and its
SKU has on-demand offers with price dimensions. A product is known by its component or usage type, never by its
instanceType, which is spelled in several ways or missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from cost_model.prices.book import InstanceUse
from cost_model.prices.listing import Listing, to_decimal

Kind = Literal[
    "hosting",
    "async",
    "batch",
    "serverless",
    "provisioned-concurrency-usage",
    "provisioned-concurrency-duration",
    "endpoint-storage",
    "data-in",
    "data-out",
]


class Key(NamedTuple):
    """What a price is for, in one region."""

    kind: Kind
    of: str = ""
    """The instance type, or the memory size in MB."""

    def __str__(self) -> str:
        return f"{self.kind} {self.of}".rstrip()


UNITS: Mapping[Kind, tuple[str, str]] = {
    "hosting": ("Hrs", "hour"),
    "async": ("Hrs", "hour"),
    "batch": ("Hrs", "hour"),
    "serverless": ("seconds", "second"),
    "provisioned-concurrency-usage": ("seconds", "second"),
    "provisioned-concurrency-duration": ("seconds", "second"),
    "endpoint-storage": ("GB-Mo", "GB-month"),
    "data-in": ("GB", "GB"),
    "data-out": ("GB", "GB"),
}
"""The unit as AWS writes it, and as the snapshot does."""

_COMPONENTS: Mapping[str, InstanceUse] = {"Hosting": "hosting", "AsyncInf": "async", "BatchTransform": "batch"}

_BY_MEMORY: Mapping[str, Kind] = {
    "ServerlessInf:Mem": "serverless",
    "ProvisionedConcurrency:Usage": "provisioned-concurrency-usage",
    "ProvisionedConcurrency:Mem": "provisioned-concurrency-duration",
}
_MEMORY = re.compile(r"(?:^|-)(ServerlessInf:Mem|ProvisionedConcurrency:Usage|ProvisionedConcurrency:Mem)-(\d+)GB$")
_STORAGE = re.compile(r"(?:^|-)Host:VolumeUsage\.gp2$")
_DATA = re.compile(r"(?:^|-)Data-Bytes-(In|Out)$")


class Attributes(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of a product; the rest of what the list says is of no use here."""

    location_type: str = ""
    region_code: str = ""
    component: str = ""
    instance_name: str = ""
    usage_type: str = msgspec.field(default="", name="usagetype")
    operation: str = ""


class Product(msgspec.Struct, frozen=True, kw_only=True):
    sku: str
    attributes: Attributes

    @property
    def key(self) -> Key | None:
        """None for what a reranker's bill never names."""
        attributes = self.attributes
        if (use := _COMPONENTS.get(attributes.component)) and attributes.instance_name.startswith("ml."):
            return Key(use, attributes.instance_name)
        if memory := _MEMORY.search(attributes.usage_type):
            return Key(_BY_MEMORY[memory[1]], str(int(memory[2]) * 1024))
        if _STORAGE.search(attributes.usage_type):
            return Key("endpoint-storage")
        if (data := _DATA.search(attributes.usage_type)) and attributes.operation == "Invoke-Endpoint":
            return Key("data-in" if data[1] == "In" else "data-out")
        return None


class _Dimension(msgspec.Struct, frozen=True, rename="camel"):
    unit: str
    price_per_unit: dict[str, str]


class _Offer(msgspec.Struct, frozen=True, rename="camel"):
    price_dimensions: dict[str, _Dimension]


class RegionPrices(msgspec.Struct, frozen=True, kw_only=True):
    """The on-demand prices of one region."""

    region: str
    published: date
    source: str
    prices: dict[Key, Decimal]
    ambiguous: dict[Key, dict[Decimal, list[str]]]
    """What the list names several prices for: each price with its SKUs."""


class RegionListing(Listing):
    """First `add` each product, then `price` each SKU with its offers."""

    def __init__(self, region: str, *, source: str) -> None:
        super().__init__(region, label=region, source=source)
        self._keys: dict[str, Key] = {}
        self._seen: dict[Key, dict[Decimal, list[str]]] = {}

    def add(self, sku: str, document: object) -> bool:
        """Whether the product's offers are wanted: it is in this region and on a reranker's bill."""
        try:
            product = msgspec.convert(document, Product)
        except msgspec.ValidationError as error:
            self.fault(f"product {sku}", str(error))
            return False
        attributes = product.attributes
        key = product.key
        if key is None or attributes.location_type != "AWS Region" or attributes.region_code != self.region:
            return False
        self._keys[sku] = key
        return True

    def price(self, sku: str, document: object) -> None:
        """Takes the on-demand offers of a SKU that was added; those of others are passed over."""
        key = self._keys.get(sku)
        if key is None:
            return
        try:
            offers = msgspec.convert(document, dict[str, _Offer])
        except msgspec.ValidationError as error:
            self.fault(f"{key} (SKU {sku})", str(error))
            return
        for dimension in (dimension for offer in offers.values() for dimension in offer.price_dimensions.values()):
            usd = self._usd(f"{key} (SKU {sku})", key, dimension)
            if usd is not None and sku not in (skus := self._seen.setdefault(key, {}).setdefault(usd, [])):
                skus.append(sku)

    def _usd(self, field: str, key: Key, dimension: _Dimension) -> Decimal | None:
        """Dollars a unit; None for a faulty one, and for zero: a free tier's dimension is no price."""
        expected, _ = UNITS[key.kind]
        if dimension.unit.lower() != expected.lower():
            self.fault(field, f"is priced by {dimension.unit!r}; expected {expected!r}")
            return None
        text = dimension.price_per_unit.get("USD")
        if text is None:
            self.fault(field, f"has no price in USD, only in {', '.join(dimension.price_per_unit) or 'nothing'}")
            return None
        usd = to_decimal(text)
        if usd is None:
            self.fault(field, f"has the price {text!r}; expected a number of at least 0")
        return usd or None

    def done(self) -> RegionPrices:
        """What was gathered; raises RefreshFailed with every fault, and if nothing was."""
        published = self.finish(len(self._seen))
        seen = dict(sorted(self._seen.items()))
        return RegionPrices(
            region=self.region,
            published=published,
            source=self.source,
            prices={key: next(iter(prices)) for key, prices in seen.items() if len(prices) == 1},
            ambiguous={key: prices for key, prices in seen.items() if len(prices) > 1},
        )
