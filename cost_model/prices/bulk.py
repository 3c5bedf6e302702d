"""AWS's bulk price files: public, without credentials, one file a region.

An index names each region's file. A file may be of any size: it goes to the disk and is read from there product by
product, so that memory stays bounded. Shapes: AWS Billing user guide, "Reading the price list files".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import ijson
import msgspec

from cost_model.prices.download import Downloader
from cost_model.prices.errors import RefreshFailed
from cost_model.prices.plan_rates import PlanListing, PlanRates
from cost_model.prices.price_list import RegionListing, RegionPrices
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

BASE_URL = "https://pricing.us-east-1.amazonaws.com"
OFFER_INDEX = "/offers/v1.0/aws/AmazonSageMaker/current/region_index.json"
PLAN_INDEX = "/savingsPlan/v1.0/aws/AWSMachineLearningSavingsPlans/current/region_index.json"

SOURCE = "AWS Price List bulk file of AmazonSageMaker"
PLAN_SOURCE = "AWS Price List bulk file of AWSMachineLearningSavingsPlans"


class _Region(msgspec.Struct, rename="camel"):
    current_version_url: str


class _OfferIndex(msgspec.Struct):
    regions: dict[str, _Region]


class _PlanRegion(msgspec.Struct, rename="camel"):
    region_code: str
    version_url: str


class _PlanIndex(msgspec.Struct):
    regions: list[_PlanRegion]


Index = TypeVar("Index", _OfferIndex, _PlanIndex)


class BulkFiles:
    """The files behind one address; `folder` holds one at a time while it is read."""

    def __init__(self, downloader: Downloader, folder: Path) -> None:
        self._downloader = downloader
        self._folder = folder

    def prices(self, regions: Sequence[str]) -> Iterator[RegionPrices]:
        """The on-demand prices of each region; raises RefreshFailed, InvalidInput for unknown ones."""
        index = self._index(OFFER_INDEX, _OfferIndex)
        paths = {name: region.current_version_url for name, region in index.regions.items()}
        _check_known(regions, paths, OFFER_INDEX)
        for region in regions:
            with self._file(paths[region]) as file:
                yield _read_offers(file, region)

    def plan_rates(self, regions: Sequence[str]) -> Iterator[PlanRates]:
        """The Savings Plan rates of each region; raises RefreshFailed, InvalidInput for unknown ones."""
        index = self._index(PLAN_INDEX, _PlanIndex)
        paths = {region.region_code: region.version_url for region in index.regions}
        _check_known(regions, paths, PLAN_INDEX)
        for region in regions:
            with self._file(paths[region]) as file:
                yield _read_plans(file, region)

    def _index(self, path: str, expected: type[Index]) -> Index:
        with self._file(path) as file:
            try:
                return msgspec.json.decode(file.read_bytes(), type=expected)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RefreshFailed([Fault(path, f"is no index of regions: {error}", "price_list")]) from None

    @contextmanager
    def _file(self, path: str) -> Iterator[Path]:
        file = self._downloader.fetch(path, self._folder / "file.json")
        try:
            yield file
        finally:
            file.unlink()


def _check_known(regions: Sequence[str], paths: dict[str, str], index: str) -> None:
    there = ", ".join(sorted(paths)) or "none"
    if faults := [
        Fault("--region", f"is {region!r}, which is not in {index}; there are {there}", "unknown_region")
        for region in regions
        if region not in paths
    ]:
        raise InvalidInput("options", faults)


def _read_offers(file: Path, region: str) -> RegionPrices:
    """The file is read twice, because what a SKU is stands before and apart from what it costs."""
    listing = RegionListing(region, source=SOURCE)
    with _readable(region), file.open("rb") as stream:
        for published in ijson.items(stream, "publicationDate"):
            listing.publish(published)
    with _readable(region), file.open("rb") as stream:
        for sku, product in ijson.kvitems(stream, "products"):
            listing.add(sku, product)
    with _readable(region), file.open("rb") as stream:
        for sku, offers in ijson.kvitems(stream, "terms.OnDemand"):
            listing.price(sku, offers)
    return listing.done()


def _read_plans(file: Path, region: str) -> PlanRates:
    listing = PlanListing(region, source=PLAN_SOURCE)
    with _readable(region), file.open("rb") as stream:
        for published in ijson.items(stream, "publicationDate"):
            listing.publish(published)
    with _readable(region), file.open("rb") as stream:
        for term in ijson.items(stream, "terms.savingsPlan.item"):
            listing.add(term)
    return listing.done()


@contextmanager
def _readable(region: str) -> Iterator[None]:
    try:
        yield
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise RefreshFailed([Fault(region, f"its file is not whole or not JSON: {error}", "not_json")]) from None
