"""AWS's price lists in the shapes in which they are published, small."""

from __future__ import annotations

import json
from typing import Any

NEXT_DAY = "2026-11-20T21:04:11Z"
"""When the served lists were published."""

PREFIXES = {"us-east-1": "USE1", "eu-west-1": "EU"}


class PriceList:
    """One region's list; each method adds a product with what AWS says beside it."""

    def __init__(self, region: str, published: str | None = NEXT_DAY) -> None:
        self.region = region
        self.published = published
        self.products: dict[str, Any] = {}
        self.on_demand: dict[str, Any] = {}
        self.reserved: dict[str, Any] = {}

    def add(
        self, family: str, usage: str, unit: str, usd: str | dict[str, str] | None, sku: str = "", **attributes: str
    ) -> str:
        """`usd` is dollars a unit, a map of currencies, or None for a product without on-demand offers."""
        sku = sku or f"SKU{len(self.products):013d}"
        self.products[sku] = {
            "sku": sku,
            "productFamily": family,
            "attributes": {
                "servicecode": "AmazonSageMaker",
                "location": "somewhere",
                "locationType": "AWS Region",
                "regionCode": self.region,
                "usagetype": f"{PREFIXES.get(self.region, 'XXX9')}-{usage}",
                **attributes,
            },
        }
        if usd is not None:
            self.offer(sku, unit, usd)
        return sku

    def offer(self, sku: str, unit: str, usd: str | dict[str, str], code: str = "JRTCKXETXF") -> None:
        """Another on-demand offer, or another dimension of the one that is there."""
        offer = self.on_demand.setdefault(sku, {}).setdefault(
            f"{sku}.{code}", {"priceDimensions": {}, "sku": sku, "offerTermCode": code, "termAttributes": {}}
        )
        dimensions = offer["priceDimensions"]
        dimensions[f"{sku}.{code}.RATE{len(dimensions)}"] = {
            "unit": unit,
            "beginRange": "0",
            "endRange": "Inf",
            "appliesTo": [],
            "pricePerUnit": {"USD": usd} if isinstance(usd, str) else usd,
        }

    def instance(self, name: str, usd: str, component: str = "Hosting", sku: str = "", **attributes: str) -> str:
        usage = {"Hosting": "Host", "AsyncInf": "AsyncInf", "BatchTransform": "Tsform", "Training": "Train"}[component]
        about = {"component": component, "instanceName": name, "instanceType": f"{name}-{component}", **attributes}
        return self.add("ML Instance", f"{usage}:{name}", "Hrs", usd, sku, **about)

    def serverless(self, gb: int, usd: str) -> str:
        return self.add("ML Serverless", f"ServerlessInf:Mem-{gb}GB", "seconds", usd)

    def provisioned(self, what: str, gb: int, usd: str) -> str:
        return self.add("ML Serverless", f"ProvisionedConcurrency:{what}-{gb}GB", "seconds", usd)

    def minor(self, *, storage: str = "0.1400000000", data: str = "0.0160000000") -> None:
        self.add("Storage", "Host:VolumeUsage.gp2", "GB-Mo", storage, volumeType="General Purpose-Hosting")
        for way in ("In", "Out"):
            about = {"group": f"/Hosting:{way.upper()}/", "operation": "Invoke-Endpoint"}
            self.add("Data", f"Data-Bytes-{way}", "GB", data, **about)

    def bulk(self) -> dict[str, Any]:
        dated = {} if self.published is None else {"publicationDate": self.published}
        return {
            "formatVersion": "v1.0",
            "offerCode": "AmazonSageMaker",
            "version": "20261120210411",
            **dated,
            "products": self.products,
            "terms": {"OnDemand": self.on_demand, "Reserved": self.reserved},
            "attributesList": {},
        }

    def api(self) -> list[str]:
        """The `PriceList` of the API's answers."""
        return [
            json.dumps(
                {
                    "product": product,
                    "serviceCode": "AmazonSageMaker",
                    "terms": {"OnDemand": self.on_demand[sku]} if sku in self.on_demand else {},
                    "version": "20261120210411",
                    "publicationDate": self.published,
                }
            )
            for sku, product in self.products.items()
        ]


def us_east_1() -> PriceList:
    """As much as the snapshot in hand has of the region, a few prices moved, and all that is to be passed over."""
    prices = PriceList("us-east-1")
    for name, usd in HOSTING.items():
        prices.instance(name, usd)
    prices.instance("ml.c9i.large", "0.1234500000", instanceType="ml.c9i.large-hosting")
    prices.instance("ml.c9i.xlarge", "0.2469000000", instanceType="NA")
    prices.instance("ml.m5.xlarge", "0.2400000000", sku="THESAMEAGAIN")  # two SKUs, one price
    for gb in range(1, 7):
        prices.serverless(gb, f"{gb * 2 / 1e5:.10f}")
        prices.provisioned("Usage", gb, f"{gb * 5e-6 + (gb - 2) * 1e-7:.10f}")
        prices.provisioned("Mem", gb, f"{gb * 1.165e-5:.10f}")
    prices.minor()
    # What is no price of hosting in this region:
    prices.instance("ml.m5.xlarge", "0.9900000000", locationType="AWS Outposts")
    prices.instance("ml.m5.xlarge", "0.9800000000", regionCode="us-west-2")
    prices.instance("ml.m5.xlarge", "0.9700000000", "Training")
    prices.add("ML Instance", "Notebk:ml.t3.medium", "Hrs", "0.05", component="Notebook", instanceName="ml.t3.medium")
    prices.add("Data", "Data-Bytes-In", "GB", "0.09", operation="Something-Else")
    reserved = prices.instance("ml.m5.xlarge", "0.9600000000")
    prices.reserved[reserved] = prices.on_demand.pop(reserved)
    free = prices.add("ML Serverless", "ServerlessInf:Mem-2GB", "seconds", "0.0000000000")
    prices.offer(free, "seconds", "0.0000400000")
    return prices


HOSTING = {
    "ml.m5.large": "0.1150000000",
    "ml.m5.xlarge": "0.2400000000",
    "ml.m5.2xlarge": "0.4610000000",
    "ml.g5.xlarge": "1.4080000000",
    "ml.r8g.large": "0.2800000000",
}
"""Of the served list: m5.xlarge rose by 4 %."""


def eu_west_1() -> PriceList:
    prices = PriceList("eu-west-1")
    prices.instance("ml.m5.xlarge", "0.2570000000")
    prices.serverless(2, "0.0000400000")
    return prices


def plan_file(region: str, rates: dict[str, str], *, unit: str = "Hrs", **changes: Any) -> dict[str, Any]:
    """The bulk file of Savings Plans: each term of 1 and 3 years, with these rates less what a longer term saves."""
    terms = [
        {
            "sku": f"PLAN{years}{payment[0]}",
            "description": f"{years} year {payment} Upfront SageMaker Savings Plan",
            "effectiveDate": "2026-11-06T00:26:52Z",
            "leaseContractLength": {"duration": years, "unit": "year"},
            "rates": [
                {
                    "discountedSku": f"D{usage}",
                    "discountedUsageType": usage,
                    "discountedOperation": "RunInstance",
                    "discountedServiceCode": "AmazonSageMaker",
                    "rateCode": f"PLAN{years}{payment[0]}.D{usage}",
                    "unit": unit,
                    "discountedRate": {"price": usd if years == 1 else f"{float(usd) / 2:.6f}", "currency": "USD"},
                }
                for usage, usd in rates.items()
            ],
        }
        for years in (1, 3)
        for payment in ("No", "Partial", "All")
    ]
    return {
        "version": "20261120",
        "publicationDate": NEXT_DAY,
        "regionCode": region,
        "products": [],
        "terms": {"savingsPlan": terms},
    } | changes
