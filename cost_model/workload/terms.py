"""What an answer must keep, what a model is judged by, and how traffic grows."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

from cost_model.workload.checks import endless, refuse
from rerank_toolkit.catalog.models import Model, UnknownModel, find_model

Metric = Literal["beir", "hit-rate", "own"]

NAMES: dict[Metric, str] = {"beir": "BEIR nDCG@10", "hit-rate": "RAG hit rate", "own": "own metric"}


class Slo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The response time that a share of the requests must keep."""

    percentile: Annotated[float, msgspec.Meta(ge=50, le=99.9)] = 95.0
    limit_ms: Annotated[float, msgspec.Meta(gt=0, le=3_600_000)]

    def __post_init__(self) -> None:
        refuse(endless(self))


class QualityMetric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What models are judged by: published figures or your own."""

    metric: Metric = "beir"
    """Published nDCG@10 over BEIR, 0 to 100; published hit rate in retrieval-augmented generation, 0 to 1; or own."""
    name: str = ""
    """What the own metric is called."""
    values: dict[str, float] = {}
    """The own metric of each model, by id or alias. A model that is not in it has no figure, and meets no floor."""

    def __post_init__(self) -> None:
        problems = endless(self)
        if self.metric == "own" and not self.values:
            problems.append("metric is own, without values; expected a table such as {tiny = 0.41, turbo = 0.44}")
        if self.metric != "own" and (self.values or self.name):
            problems.append(f"values and name go with metric own, and metric is {self.metric}")
        problems += [f"values has {value} of {name}" for name, value in self.values.items() if not math.isfinite(value)]
        for name in self.values:
            try:
                find_model(name)
            except UnknownModel as error:
                problems.append(f"values: {error}")
        refuse(problems)

    @property
    def title(self) -> str:
        return self.name or NAMES[self.metric]

    def of(self, model: Model) -> float | None:
        """The model's figure by this metric; None where there is none."""
        if self.metric == "own":
            return next((value for name, value in self.values.items() if find_model(name).id == model.id), None)
        if model.quality is None:
            return None
        return model.quality.beir_ndcg_at_10 if self.metric == "beir" else model.quality.rag_hit_rate


class Growth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Compound, of the request rate."""

    percent_a_month: Annotated[float, msgspec.Meta(ge=-50, le=100)]
    months: Annotated[int, msgspec.Meta(ge=1, le=60)] = 12
    """How far to look."""

    def __post_init__(self) -> None:
        refuse(endless(self))

    def factor(self, month: int) -> float:
        """Of the rate in a month; month 0 is now."""
        return float((1 + self.percent_a_month / 100) ** month)
