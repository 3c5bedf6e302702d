"""What is gathered of one region while a list is read, and everything that is wrong with it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from cost_model.prices.errors import RefreshFailed
from rerank_toolkit.contracts.faults import Fault


class Listing:
    """`label` leads every fault; `source` says where the list is from."""

    def __init__(self, region: str, *, label: str, source: str) -> None:
        self.region = region
        self.source = source
        self._label = label
        self._published: date | None = None
        self._faults: list[Fault] = []

    def publish(self, text: object) -> None:
        """`text` is a publication date as AWS writes it; of several the oldest counts."""
        try:
            published = datetime.fromisoformat(str(text)).date()
        except ValueError:
            self.fault("publicationDate", f"is {text!r}; expected a time such as 2026-09-22T23:07:50Z")
            return
        self._published = min(published, self._published or published)

    def fault(self, what: str, message: str) -> None:
        self._faults.append(Fault(f"{self._label}, {what}" if what else self._label, message, "price_list"))

    def finish(self, count: int) -> date:
        """The day the list was published; raises RefreshFailed with every fault, or if `count`, of prices, is 0."""
        if not self._faults and self._published is None:
            self.fault("publicationDate", "is missing")
        if not self._faults and not count:
            self.fault("", "the list holds no price of hosting or serverless inference")
        if self._faults or self._published is None:
            raise RefreshFailed(self._faults)
        return self._published


def to_decimal(text: str) -> Decimal | None:
    """A finite number of at least 0, without trailing zeros; None for anything else."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number.normalize() if number.is_finite() and number >= 0 else None
