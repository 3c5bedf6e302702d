"""In which order a comparison's rows stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cost_model.compare import Option

Sort = Literal["model", "cost", "p95", "quality", "utilisation", "headroom"]

KEYS: Mapping[Sort, Callable[[Option], Any]] = {
    "cost": lambda option: (option.monthly_cost, option.p95_ms),
    "p95": lambda option: (option.p95_ms, option.monthly_cost),
    "quality": lambda option: (-(option.quality or 0.0), option.monthly_cost),
    "utilisation": lambda option: (-option.utilisation, option.monthly_cost),
    "headroom": lambda option: (-(option.headroom or 0.0), option.monthly_cost),
}
"""By one figure, the best first; `model` is the table's own order."""
