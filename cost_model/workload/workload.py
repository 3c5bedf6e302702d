"""The workload: what a deployment is sized, timed and priced for."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from cost_model.workload.arrivals import Arrivals
from cost_model.workload.bursts import draw_arrivals, scaled
from cost_model.workload.checks import endless, refuse
from cost_model.workload.distribution import Distribution, draw_lognormal, lognormal_moments, whole_numbers
from cost_model.workload.largest import largest_request_bytes
from cost_model.workload.requests import MOST_PAIRS, Requests
from cost_model.workload.terms import Growth, QualityMetric, Slo
from cost_model.workload.tokens import Tokens
from cost_model.workload.week import HOURS
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.usage import SavingsPlan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MONTH_S = 730 * 3600
"""A month, in seconds: 8,760 hours of a year over 12."""

TOLERANCE = 1e-6
"""Relative; between a mean and the mean of the distribution that it is of."""

Positive = Annotated[float, msgspec.Meta(gt=0)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
Documents = Annotated[float, msgspec.Meta(ge=1, le=1_000_000)]
PairTokens = Annotated[float, msgspec.Meta(ge=1, le=1_000_000)]
Spread = Annotated[float, msgspec.Meta(ge=0, le=10)]

BYTES_PER_TOKEN = 4.5
TOKENS_CV = 0.6


class Basis(msgspec.Struct, frozen=True):
    """How a figure of the workload is known."""

    field: str
    text: str
    """measured, assumed or stated, then a colon and the particulars, the most telling first."""


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file says as it is, in whatever form it gives the requests themselves."""

    schema_version: int = 1
    name: str = "unnamed"
    traffic: Arrivals = msgspec.field(name="arrivals", default=Arrivals())
    """Of a week, and how bursty; without it requests come at a constant rate, as a Poisson process."""
    growth: Growth | None = None
    documents: Distribution | None = None
    """How many a request has; None: always as many."""
    tokens: Tokens | None = None
    """Of query and document; None: pairs are lognormal."""
    max_p95_ms: Positive | None = None
    """Limit of the response time's 95th percentile: the short form of `slo`."""
    slo: Slo | None = None
    min_quality: float | None = None
    """Least quality, by the metric of `quality`; without that published BEIR nDCG@10."""
    quality: QualityMetric | None = None
    """What models are judged by; None: published BEIR nDCG@10."""
    max_monthly_cost: Decimal | None = None
    """Dollars."""
    regions: tuple[str, ...] = ()
    """AWS regions to compare; empty: the command's."""
    savings_plan: SavingsPlan | None = None
    software_usd_per_hour: Decimal = Decimal(0)
    """Dollars an hour and instance for software of the Marketplace."""
    free_tier: bool = False
    """Whether AWS's free tier is still to be taken off."""
    max_utilisation: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.7
    """Share of the time that an instance may be busy."""
    routing: Literal["random", "least-outstanding-requests"] = "least-outstanding-requests"
    """How the endpoint spreads requests over instances; random is SageMaker's default."""
    bytes_per_result: Positive = 60
    """Assumed: an index and a score; more if the documents are returned."""
    storage_gb_per_instance: Annotated[float, msgspec.Meta(ge=0)] = 0
    """Volume asked for in the endpoint configuration."""

    def __post_init__(self) -> None:
        refuse(endless(self) or self._contradictions())

    def _contradictions(self) -> list[str]:
        problems = []
        if self.max_p95_ms is not None and self.slo is not None:
            problems.append("max_p95_ms is the short form of slo; leave one out")
        rated = self.quality is not None and self.quality.metric == "hit-rate"
        if self.min_quality is not None and rated and not 0 <= self.min_quality <= 1:
            problems.append(f"min_quality is {self.min_quality:g}; hit rates are between 0 and 1")
        if self.max_monthly_cost is not None and self.max_monthly_cost <= 0:
            problems.append(f"max_monthly_cost is {self.max_monthly_cost}; expected dollars above 0")
        if self.software_usd_per_hour < 0:
            problems.append(f"software_usd_per_hour is {self.software_usd_per_hour}; expected dollars of at least 0")
        return problems

    @property
    def slo_percentile(self) -> float:
        """Of the response times, that the limit is for."""
        return self.slo.percentile if self.slo else 95.0

    @property
    def slo_ms(self) -> float | None:
        """The limit; None where there is none."""
        return self.slo.limit_ms if self.slo else self.max_p95_ms


class Workload(Terms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    requests_per_second: Rate
    """Mean over the week. Another mean scales the week's course and the trace."""
    documents_per_request: Documents
    """Mean."""
    tokens_per_document: PairTokens
    """Mean tokens of a pair as it is sent: query, document and special tokens."""
    tokens_cv: Spread = TOKENS_CV
    """Standard deviation over mean of that; without `tokens` lengths are lognormal."""
    bytes_per_token: Positive = BYTES_PER_TOKEN
    """Assumed, for the data that is billed: English text in JSON."""
    largest_bytes: Positive | None = None
    """Of the largest body of a sample; None: without one it is drawn."""
    month: Annotated[int, msgspec.Meta(ge=0, le=60)] = 0
    """So many months on, by `growth`; the rates are those of then."""
    basis: tuple[Basis, ...] = ()
    """Of the figures that were measured or assumed; what isn't in it is as the file says."""

    def _contradictions(self) -> list[str]:
        problems = super()._contradictions()
        if self.documents and not _same(self.documents.average, self.documents_per_request):
            problems.append(
                f"documents_per_request is {self.documents_per_request:g}, and documents has a mean of "
                f"{self.documents.average:g}; change both"
            )
        if self.tokens and not _same(self.tokens.pair_moments()[1], self.tokens_per_document):
            problems.append(
                f"tokens_per_document is {self.tokens_per_document:g}, and tokens has pairs of "
                f"{self.tokens.pair_moments()[1]:g} on average; change both"
            )
        return problems

    def __hash__(self) -> int:
        # Its tables have no hash of their own, and equal workloads need equal ones only.
        return hash((self.name, self.requests_per_second, self.documents_per_request, self.tokens_per_document))

    # The rates.

    @property
    def hourly_rates(self) -> NDArray[np.float64]:
        """(168,) mean requests a second in each hour of the week, from Monday 00:00 UTC on."""
        import numpy as np  # noqa: PLC0415  # the commands that only price start without it

        return np.array(self._hourly)

    @property
    def mean_rate(self) -> float:
        """Requests a second over the week."""
        return self.requests_per_second

    @property
    def peak_rate(self) -> float:
        """Requests a second in the busiest hour of the week."""
        return max(self._hourly)

    @property
    def busiest_hour(self) -> int:
        """Of the week, 0 being Monday's first."""
        return self._hourly.index(self.peak_rate)

    @property
    def requests_per_month(self) -> Decimal:
        return Decimal(str(self.requests_per_second)) * MONTH_S

    @property
    def dispersion(self) -> float:
        """Index of dispersion of the arrivals in `traffic.dispersion_seconds`; 1 is Poisson."""
        return self.traffic.dispersion or 1.0

    @property
    def _hourly(self) -> list[float]:
        shape = self.traffic.hourly
        if not shape:
            return [self.requests_per_second] * HOURS
        scale = self.requests_per_second * HOURS / sum(shape)
        return [rate * scale for rate in shape]

    def in_month(self, month: int) -> Workload:
        """The workload so many months on; itself without growth."""
        if self.growth is None:
            return self
        rate = self.requests_per_second * self.growth.factor(month - self.month)
        return msgspec.structs.replace(self, requests_per_second=rate, month=month)

    # The requests.

    @property
    def tokens_per_request(self) -> float:
        return self.documents_per_request * self.tokens_per_document

    @property
    def tokens_per_month(self) -> Decimal:
        return self.requests_per_month * Decimal(str(self.tokens_per_request))

    @property
    def documents_cv(self) -> float:
        """Standard deviation over mean of a request's documents."""
        return self.documents.variation if self.documents else 0.0

    @property
    def request_bytes(self) -> float:
        return self.tokens_per_request * self.bytes_per_token

    @property
    def largest_request_bytes(self) -> float:
        """Of the largest requests, measured or drawn."""
        return largest_request_bytes(self)

    @property
    def response_bytes(self) -> float:
        return self.documents_per_request * self.bytes_per_result

    def length_moments(self, most: float = math.inf) -> list[float]:
        """E[min(t, most)^k] for k from 0 to 4: of the pairs' lengths t, as a model with that maximum reads them."""
        if self.tokens:
            return self.tokens.pair_moments(most)
        return lognormal_moments(self.tokens_per_document, self.tokens_cv, most)

    def draw(self, rng: np.random.Generator, count: int) -> Requests:
        """So many independent requests; the same generator in the same state draws the same ones.

        Raises ValueError where they would have more than MOST_PAIRS documents.
        """
        import numpy as np  # noqa: PLC0415

        if count * self.documents_per_request > MOST_PAIRS:
            expected = f"{count * self.documents_per_request:,.0f}"
            raise ValueError(f"{expected} documents are more than the {MOST_PAIRS:,} that are drawn at once")
        sizes = self.documents.draw(rng, count) if self.documents else np.full(count, float(self.documents_per_request))
        documents = whole_numbers(rng, sizes)
        pairs = int(documents.sum())
        if self.tokens:
            lengths = self.tokens.draw_pairs(rng, documents)
        else:
            lengths = draw_lognormal(rng, self.tokens_per_document, self.tokens_cv, pairs)
        offsets = np.concatenate([[0], np.cumsum(documents)]).astype(np.int64)
        return Requests(documents, whole_numbers(rng, lengths), offsets)

    def arrivals(
        self, rng: np.random.Generator, seconds: float, rate: float | None = None, *, begin: float = 0.0
    ) -> NDArray[np.float64]:
        """Sorted moments in [0, seconds), as bursty as the workload says.

        With a `rate` steady at that; else those of the week from `begin` seconds after Monday 00:00 UTC on, or those
        of the trace from `begin` seconds after its first. Raises ValueError for more than can be drawn at once.
        """
        traffic = self.traffic
        if rate is None and traffic.trace is not None:
            from cost_model.workload.trace import replay  # noqa: PLC0415

            moments = replay(
                Path(traffic.trace),
                rng,
                begin=begin,
                seconds=seconds,
                column=traffic.trace_column,
                period=traffic.trace_period_seconds,
            )
            factor = self.requests_per_second * HOURS / sum(traffic.hours) if traffic.hours else 1.0
            factor = 1.0 if _same(factor, 1.0) else factor
            return scaled(rng, moments, factor, within_s=traffic.dispersion_seconds, seconds=seconds)
        return draw_arrivals(
            rng,
            self._hourly if rate is None else [rate],
            seconds,
            dispersion=self.dispersion,
            window_s=traffic.dispersion_seconds,
            begin=begin,
        )

    # The limits.

    def quality_of(self, model: Model) -> float | None:
        """The model's figure by the metric that the workload judges by; None where there is none."""
        return (self.quality or QualityMetric()).of(model)

    @property
    def quality_name(self) -> str:
        return (self.quality or QualityMetric()).title

    def describe(self) -> str:
        """One line for people."""
        parts = [f"{self.requests_per_second:.4g} request/s"]
        if self.peak_rate > self.requests_per_second * (1 + TOLERANCE):
            parts[0] += f" (busiest hour {self.peak_rate:.4g})"
        if self.month:
            parts[0] += f" in month {self.month}"
        if self.growth:
            parts.append(f"growing {self.growth.percent_a_month:g}% a month")
        if self.dispersion > 1:
            parts.append(f"in bursts (dispersion {self.dispersion:.3g})")
        parts.append(
            f"{self.documents_per_request:.4g} documents of {self.tokens_per_document:.4g} tokens (pair, mean)"
        )
        parts.append(f"busy at most {self.max_utilisation:.0%}")
        if self.slo_ms is not None:
            parts.append(f"p{self.slo_percentile:g} ≤ {self.slo_ms:g} ms")
        if self.min_quality is not None:
            parts.append(f"{self.quality_name} ≥ {self.min_quality:g}")
        if self.max_monthly_cost is not None:
            parts.append(f"at most ${self.max_monthly_cost:,} a month")
        return f"{self.name}: {', '.join(parts)}"


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE)
