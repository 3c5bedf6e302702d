"""The rates of Machine Learning Savings Plans in one region, as AWS's bulk file lists them.

A file holds one term for each length and way of paying, and each term a rate for every usage type that it covers.
Shape: AWS Billing user guide, "Reading the service price list file for a Savings Plan".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import msgspec

from cost_model.prices.book import Payment
from cost_model.prices.listing import Listing, to_decimal
from cost_model.prices.price_list import Kind

_PAYMENT = re.compile(r"\b(No|Partial|All) Upfront\b", re.IGNORECASE)
_PAYMENTS: Mapping[str, Payment] = {"no": "no-upfront", "partial": "partial-upfront", "all": "all-upfront"}

_INSTANCE = re.compile(r"(?:^|-)(Host|AsyncInf|Tsform):(ml\..+)$")
_USES: Mapping[str, Kind] = {"Host": "hosting", "AsyncInf": "async", "Tsform": "batch"}
_SERVERLESS = re.compile(r"(?:^|-)ServerlessInf:Mem-(\d+)GB$")


class PlanKey(NamedTuple):
    """What a plan's rate is for."""

    kind: Kind
    of: str
    """The instance type, or the memory size in MB."""
    term_years: int
    payment: Payment

    def __str__(self) -> str:
        return f"{self.kind} {self.of} for {self.term_years} years, {self.payment}"


class PlanRates(msgspec.Struct, frozen=True, kw_only=True):
    region: str
    published: date
    source: str
    rates: dict[PlanKey, Decimal]


class _Length(msgspec.Struct):
    duration: int
    unit: str


class _Money(msgspec.Struct):
    price: str
    currency: str


class _Rate(msgspec.Struct, rename="camel"):
    discounted_usage_type: str
    unit: str
    discounted_rate: _Money
    discounted_region_code: str = ""


class _Term(msgspec.Struct, rename="camel"):
    description: str
    lease_contract_length: _Length
    rates: list[_Rate]


class PlanListing(Listing):
    """Gathers a region's rates term by term."""

    def __init__(self, region: str, *, source: str) -> None:
        super().__init__(region, label=f"Savings Plans in {region}", source=source)
        self._rates: dict[PlanKey, Decimal] = {}

    def add(self, document: object) -> None:
        try:
            term = msgspec.convert(document, _Term, strict=False)
        except msgspec.ValidationError as error:
            self.fault("a term", str(error))
            return
        payment = _PAYMENT.search(term.description)
        if payment is None or not term.lease_contract_length.unit.lower().startswith("year"):
            self.fault(f"the term {term.description!r}", "doesn't say for how many years and what is paid upfront")
            return
        for rate in term.rates:
            if (found := _covered(rate.discounted_usage_type)) and rate.discounted_region_code in ("", self.region):
                key = PlanKey(*found, term.lease_contract_length.duration, _PAYMENTS[payment[1].lower()])
                self._take(key, rate)

    def _take(self, key: PlanKey, rate: _Rate) -> None:
        expected = "seconds" if key.kind == "serverless" else "hrs"
        usd = to_decimal(rate.discounted_rate.price)
        if rate.unit.lower() != expected or rate.discounted_rate.currency != "USD" or not usd:
            money = f"{rate.discounted_rate.price} {rate.discounted_rate.currency}"
            self.fault(str(key), f"is {money} a {rate.unit!r}; expected dollars above 0 a {expected!r}")
        elif self._rates.setdefault(key, usd) != usd:
            self.fault(str(key), f"has several prices: {self._rates[key]} and {usd}")

    def done(self) -> PlanRates:
        """What was gathered; raises RefreshFailed with every fault, and if nothing was."""
        published = self.finish(len(self._rates))
        return PlanRates(
            region=self.region, published=published, source=self.source, rates=dict(sorted(self._rates.items()))
        )


def _covered(usage_type: str) -> tuple[Kind, str] | None:
    if instance := _INSTANCE.search(usage_type):
        return _USES[instance[1]], instance[2]
    if memory := _SERVERLESS.search(usage_type):
        return "serverless", str(int(memory[1]) * 1024)
    return None
