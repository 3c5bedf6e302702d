"""The options by which commands ask about deployments, and what they make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from cost_model.billing.agreements import plan_faults
from cost_model.cli_prices import PricesDir, open_prices
from cost_model.modes import MODES, Mode, load_mode
from cost_model.workload import Workload, read_workload
from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.models import Model, UnknownModel, find_model, load_models
from rerank_toolkit.console import say
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.manifest import Dtype, Engine

if TYPE_CHECKING:
    from cost_model.prices.book import PriceBook
    from cost_model.question import Question
    from cost_model.service_time import MeasuredModel

Repeatable = Parameter(negative=(), show_default=False)

MOST_MONTHS = 60


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a deployment.

    Parameters
    ----------
    workload
        TOML or JSON file that says what is asked; without it a small search box (`default_workload.toml`).
    model
        Only this model, by id or alias; may be given several times.
    engine
        Only this engine.
    dtype
        Only this precision; may be given several times. int8 is chosen only where it is given.
    instance
        Only instance types that match this pattern, such as 'ml.c7i.*'; leaves out what runs on none.
    mode
        Only this way to run it; may be given several times.
    region
        AWS region; may be given several times. Without it the workload's, or us-east-1.
    month
        So many months on, by the workload's growth.
    max_p95_ms
        Limit of the response time's 95th percentile, instead of the workload's.
    min_beir
        Least published BEIR nDCG@10, instead of the workload's floor.
    min_quality
        Least quality by the metric that the workload names, instead of the workload's floor.
    max_monthly_cost
        Most dollars a month, instead of the workload's budget.
    savings_plan_discount
        Share of the on-demand price that your Savings Plan saves on instances, such as 0.3; instead of the workload's.
    profiles
        File or folder of measured profiles, instead of those that ship; may be given several times.
    prices
        Folder of a price snapshot, or of several, instead of the newest known.
    """

    workload: Path | None = None
    model: Annotated[tuple[str, ...], Repeatable] = ()
    engine: Engine | None = None
    dtype: Annotated[tuple[Dtype, ...], Repeatable] = ()
    instance: str = "*"
    mode: Annotated[tuple[Mode, ...], Repeatable] = ()
    region: Annotated[tuple[str, ...], Repeatable] = ()
    month: int = 0
    max_p95_ms: Annotated[float | None, Parameter(name="--max-p95-ms")] = None
    min_beir: float | None = None
    min_quality: float | None = None
    max_monthly_cost: Decimal | None = None
    savings_plan_discount: Decimal | None = None
    profiles: Annotated[tuple[Path, ...], Repeatable] = ()
    prices: PricesDir = None

    def question(self, faults: Sequence[Fault] = ()) -> tuple[Question, PriceBook, list[MeasuredModel]]:
        """What is compared, at what prices, from which profiles.

        Raises InvalidInput with every option that makes no sense, and with the `faults` that the command found in its
        own; says on stderr what of prices and profiles can't be used.
        """
        from cost_model.question import DTYPES, ENGINES, Question
        from cost_model.service_time import PROFILES, load_profiles

        faults = list(faults)
        try:
            workload = _workload(self)
        except InvalidOptions as error:  # told together with what is wrong with the others
            faults += error.faults
            workload = read_workload()
        faults += month_faults(self.month, workload)
        regions = self.region or workload.regions or ("us-east-1",)
        prices = open_prices(self.prices, regions)
        modes = self.mode or MODES
        if self.instance != "*":
            modes = tuple(mode for mode in modes if load_mode(mode).SERVICE == "instance")
        models = _models(self, regions, prices, modes, faults)
        if faults := [fault for region in regions for fault in plan_faults(workload.savings_plan, region, prices)]:
            raise InvalidInput("workload", faults)
        measured, unusable = load_profiles(self.profiles or (PROFILES,))
        for text in unusable:
            say(f"warning: {text}")
        question = Question(
            workload=workload.in_month(self.month),
            models=tuple(models),
            regions=tuple(dict.fromkeys(regions)),
            modes=tuple(dict.fromkeys(modes)),
            instances=self.instance,
            engines=(self.engine,) if self.engine else ENGINES,
            dtypes=self.dtype or DTYPES,
            int8_opted_in="int8" in self.dtype,
        )
        return question, prices, measured


def month_faults(month: int, workload: Workload) -> list[Fault]:
    """What is wrong with asking for the workload so many months on."""
    if not 0 <= month <= MOST_MONTHS:
        return [Fault("--month", f"is {month}; expected 0 for now to {MOST_MONTHS}", "out_of_range")]
    if month and workload.growth is None:
        told = f"is {month}, and the workload doesn't grow; give it growth = {{percent_a_month = …}}"
        return [Fault("--month", told, "no_growth")]
    return []


class InvalidOptions(InvalidInput):
    """What is wrong is an option, not the file that it changes."""


def changed(workload: Workload, changes: dict[str, Any]) -> Workload:
    """The workload with these fields instead; raises InvalidInput with every fault, by the option's name."""
    told = {name: value for name, value in changes.items() if value is not None}
    if not told:
        return workload
    document = msgspec.to_builtins(workload)
    for name, other in (("max_p95_ms", "slo"),):  # two forms of one limit: the option's wins
        if name in told:
            document.pop(other, None)
    try:
        return documents.convert(document | msgspec.to_builtins(told), Workload, name="options")
    except InvalidInput as error:
        named = [Fault(_option(fault.field, told), fault.message, fault.type) for fault in error.faults]
        raise InvalidOptions("options", named) from None


def _option(field: str, told: dict[str, Any]) -> str:
    return f"--{field.replace('_', '-')}" if field in told else field


def _workload(asked: Asked) -> Workload:
    """The workload in the file, with what the options say instead."""
    if asked.min_beir is not None and asked.min_quality is not None:
        raise InvalidOptions("options", [Fault("--min-beir", "is --min-quality for one metric; leave one out")])
    workload = read_workload(asked.workload) if asked.workload else read_workload()
    if asked.min_beir is not None:
        workload = msgspec.structs.replace(workload, quality=None)
    floor = asked.min_quality if asked.min_beir is None else asked.min_beir
    discount = asked.savings_plan_discount
    return changed(
        workload,
        {
            "max_p95_ms": asked.max_p95_ms,
            "min_quality": floor,
            "max_monthly_cost": asked.max_monthly_cost,
            "savings_plan": None if discount is None else {"discount": discount},
        },
    )


def _models(
    asked: Asked, regions: Sequence[str], prices: PriceBook, modes: Sequence[Mode], known: Sequence[Fault]
) -> list[Model]:
    """The models named, all without a name; raises InvalidInput with every option that makes no sense."""
    faults = list(known)
    models: list[Model] = []
    for name in asked.model:
        try:
            models.append(find_model(name))
        except UnknownModel as error:
            faults.append(Fault("--model", str(error), "unknown_model"))
    for region in regions:
        if region not in prices.regions:
            told = f"is {region!r}; prices are known in {', '.join(prices.regions)}"
            faults.append(Fault("--region", told, "unknown_region"))
    if not any(fnmatchcase(name, asked.instance) for name in load_instances()):
        faults.append(Fault("--instance", f"is {asked.instance!r}; no hosted type matches it", "unknown_instance"))
    elif not modes:
        named = ", ".join(asked.mode)
        faults.append(Fault("--instance", f"picks instance types, and {named} has none; leave one out"))
    if faults:
        raise InvalidInput("options", faults)
    return list(dict.fromkeys(models)) if models else list(load_models().values())
