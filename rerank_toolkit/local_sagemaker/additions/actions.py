"""How an operation is added to one of moto's services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import BaseResponse


def add_actions(service: type[BaseResponse], *actions: Callable[[Any], Any]) -> None:
    """Each becomes the operation that its name is in snake case: moto finds the methods of the class by their names."""
    for action in actions:
        setattr(service, action.__name__, action)
