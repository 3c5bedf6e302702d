"""What is compared: a workload, and which models, hosts, modes and regions are looked at for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from cost_model.compare import Comparison, Option, compare
from cost_model.hosts import find_hosts
from cost_model.modes import MODES, Mode, load_mode
from cost_model.options import find_candidates
from cost_model.prices.book import PriceBook
from cost_model.service_time import MeasuredModel
from cost_model.workload import Workload
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.manifest import Dtype, Engine

ENGINES: tuple[Engine, ...] = ("openvino", "torch")
DTYPES: tuple[Dtype, ...] = ("fp32", "bf16", "fp16", "int8")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    workload: Workload
    models: tuple[Model, ...]
    regions: tuple[str, ...] = ("us-east-1",)
    modes: tuple[Mode, ...] = MODES
    instances: str = "*"
    """Pattern of instance types."""
    engines: tuple[Engine, ...] = ENGINES
    dtypes: tuple[Dtype, ...] = DTYPES
    int8_opted_in: bool = False
    """Whether int8 may be chosen, and not only be compared."""

    def of_models(self, models: tuple[Model, ...]) -> Question:
        return msgspec.structs.replace(self, models=models)


def answer(
    question: Question,
    prices: PriceBook,
    measured: Sequence[MeasuredModel],
    *,
    refine: Callable[[Option], Option] | None = None,
) -> Comparison:
    """Every option that the question allows, ranked (`cost_model.compare.compare`)."""
    hosts, no_host = find_hosts(
        prices,
        question.regions,
        services=[load_mode(mode).SERVICE for mode in question.modes],
        instances=question.instances,
    )
    candidates, no_candidate = find_candidates(
        question.models,
        hosts,
        question.workload,
        measured,
        engines=question.engines,
        dtypes=question.dtypes,
        int8_opted_in=question.int8_opted_in,
    )
    return compare(
        candidates,
        question.workload,
        prices,
        question.regions,
        [*no_host, *no_candidate],
        modes=question.modes,
        refine=refine,
    )
