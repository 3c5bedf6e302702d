"""Those that wait on an instance: a list through their rows, from the least remaining work to the most."""

from __future__ import annotations

from collections.abc import Sequence

from cost_model.simulate.compiling import compiled
from cost_model.simulate.records import NOBODY, Instance, Request


@compiled
def join(requests: Sequence[Request], instance: Instance, request: Request, number: int, before: int) -> None:
    """Puts it among those that wait, behind `before` or as far ahead of that as its remaining work belongs."""
    while before != NOBODY and requests[before].remaining > request.remaining:
        before = requests[before].before
    request.before = before
    if before == NOBODY:
        request.after = instance.first_waiting
        instance.first_waiting = number
    else:
        request.after = requests[before].after
        requests[before].after = number
    if request.after == NOBODY:
        instance.last_waiting = number
    else:
        requests[request.after].before = number


@compiled
def leave(requests: Sequence[Request], instance: Instance, request: Request) -> None:
    """Takes it from those that wait; its own links stay."""
    if request.before == NOBODY:
        instance.first_waiting = request.after
    else:
        requests[request.before].after = request.after
    if request.after == NOBODY:
        instance.last_waiting = request.before
    else:
        requests[request.after].before = request.before
