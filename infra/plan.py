"""Reading a plan, and refusing one that CloudFormation or SageMaker would refuse later and with fewer words."""

from __future__ import annotations

from pathlib import Path

from infra.checks import check_plan
from infra.options import DEFAULT_PLAN
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Plan


def read_plan(path: Path, *, image_given: bool = False) -> Plan:
    """The plan in the file `path`; raises InvalidInput with all its faults, NewerSchema for a plan of tomorrow.

    image_given: it need not name an image.
    """
    if path == DEFAULT_PLAN and not path.exists():
        how = f"does not exist; write it with: python -m cost_model.default_plan --out {path}"
        raise InvalidInput(str(path), [Fault("", how)])
    plan = documents.read(path, Plan)
    if faults := check_plan(plan, image_given=image_given):
        raise InvalidInput(str(path), faults)
    return plan
