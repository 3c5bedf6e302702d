"""How a candidate is run and paid for: a file a mode, all of one shape.

`offered` says where a mode runs, `size` how many it needs, and `use` what it uses in a month, as a usage file
would say it: every option is billed as `rerank cost estimate` bills.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, get_args

if TYPE_CHECKING:
    from cost_model.hosts import Service
    from cost_model.options import Candidate
    from cost_model.prices.book import Unknown
    from cost_model.sizing import Demand, Sizes, Sizing
    from cost_model.workload import Workload
    from rerank_toolkit.contracts import usage

Mode = Literal[
    "realtime",
    "autoscaled",
    "serverless",
    "provisioned",
    "async",
    "batch",
    "lambda",
    "fargate",
    "azure-container-apps",
    "azure-functions",
    "cloud-run",
]
MODES: tuple[Mode, ...] = get_args(Mode)

SAGEMAKER: frozenset[Mode] = frozenset({"realtime", "autoscaled", "serverless", "provisioned", "async", "batch"})
"""What this toolkit deploys or prepares; the others are there to compare with, and never chosen."""

OFFLINE: frozenset[Mode] = frozenset({"async", "batch"})
"""Nobody waits at the line for an answer: chosen only where a limit is stated and they keep it."""


class ModeFile(Protocol):
    """What each file of this package has."""

    SERVICE: Service
    """The hosts that it runs on."""

    def offered(self, candidate: Candidate, workload: Workload) -> Unknown | None:
        """Why the candidate can't be run so, if so."""

    def size(self, demand: Demand, workload: Workload) -> Sizes:
        """How many are needed, for all candidates at once."""

    def use(self, candidate: Candidate, sizing: Sizing, workload: Workload) -> list[usage.Item]:
        """What that uses in a month: items as of a usage file, which `rerank cost estimate` prices all the same."""


def load_mode(mode: Mode) -> ModeFile:
    """The file of a mode, imported when it is asked for: they need numpy and scipy, and --help doesn't."""
    from cost_model.modes import (  # noqa: PLC0415
        async_,
        autoscaled,
        batch,
        cloud_run,
        container_apps,
        fargate,
        functions,
        lambda_,
        provisioned,
        realtime,
        serverless,
    )

    files: Mapping[Mode, ModeFile] = {
        "realtime": realtime,
        "autoscaled": autoscaled,
        "serverless": serverless,
        "provisioned": provisioned,
        "async": async_,
        "batch": batch,
        "lambda": lambda_,
        "fargate": fargate,
        "azure-container-apps": container_apps,
        "azure-functions": functions,
        "cloud-run": cloud_run,
    }
    return files[mode]
