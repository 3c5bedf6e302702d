"""Under what a figure was measured: machine, versions, workload, and the command that measures it again."""

from __future__ import annotations

import platform
import shlex
import sys
from datetime import UTC, datetime

from rerank_toolkit import __version__
from rerank_toolkit.bench.errors import NotMeasurable
from rerank_toolkit.bench.results import Conditions
from rerank_toolkit.bench.sides import Scored
from rerank_toolkit.contracts.profile import Hardware
from rerank_toolkit.contracts.wire import Origin


def conditions(origin: Origin, workload: object) -> Conditions:
    """Of the measurement that this command line takes now; the machine is the one that `origin` tells of."""
    return Conditions(
        measured_at=datetime.now(UTC).replace(microsecond=0),
        command=shlex.join(["rerank", *sys.argv[1:]]),
        toolkit_version=__version__,
        hardware=hardware(origin),
        workload=str(workload),
    )


def hardware(origin: Origin) -> Hardware:
    return Hardware(
        cpu_model=origin.cpu_model,
        instruction_set=origin.instruction_set,
        architecture=origin.architecture,
        logical_cpus=origin.logical_cpus,
        physical_cores=origin.physical_cores,
        memory_mib=origin.hardware_memory_mib,
        gpu=origin.gpu or None,
    )


def origin_of(taken: Scored) -> Origin:
    """Raises NotMeasurable if the answer doesn't tell."""
    if taken.origin is None:
        raise NotMeasurable("the server doesn't tell how its answers are made: it is no container of this toolkit")
    return taken.origin


def software(origin: Origin) -> dict[str, str]:
    """What computes on our side."""
    return {"rerank-toolkit": __version__, origin.engine: origin.engine_version, "python": platform.python_version()}
