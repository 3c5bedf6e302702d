"""A graph on a CloudWatch dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.metrics import Metric

PERIOD_S = 60
"""As often as SageMaker publishes."""


@dataclass(kw_only=True)
class Graph:
    """Lines by the minute, from zero up. Without a line it shows nothing, and isn't shown."""

    title: str
    unit: str
    levels: Sequence[tuple[str, float]] = ()
    """Straight lines to hold the others against."""
    rows: list[list[Any]] = field(default_factory=list)
    """As the dashboard's body has them: a metric, or an expression over those."""

    def add(self, label: str, metric: Metric, expression: str = "") -> None:
        """A line of the metric, or of an expression in which `m` is the metric."""
        number = len(self.rows)
        options: dict[str, Any] = {"stat": metric.statistic, "id": f"m{number}"}
        dimensions = (part for item in metric.dimensions.items() for part in item)
        row = [metric.namespace, metric.name, *dimensions]
        if not expression:
            self.rows.append([*row, {**options, "label": label}])
            return
        self.rows.append([*row, {**options, "visible": False}])
        self.add_expression(label, expression.format(m=f"m{number}"))

    def add_expression(self, label: str, expression: str) -> str:
        """A line of its own; returns the name by which others may use it."""
        name = f"e{len(self.rows)}"
        self.rows.append([{"expression": expression, "label": label, "id": name}])
        return name

    def properties(self, region: str) -> dict[str, Any]:
        """Of the widget."""
        return {
            "title": self.title,
            "region": region,
            "view": "timeSeries",
            "period": PERIOD_S,
            "metrics": self.rows,
            "yAxis": {"left": {"min": 0, "label": self.unit, "showUnits": False}},
            "annotations": {"horizontal": [{"label": label, "value": value} for label, value in self.levels]},
        }
