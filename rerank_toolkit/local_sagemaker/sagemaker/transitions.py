"""From one container to the next, and from one count to another: what endpoints and inference components share.

Whatever goes wrong comes back as a reason in words, for somebody's FailureReason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from threading import Event, Thread

from rerank_toolkit.local_sagemaker.alarms.watcher import Alarms
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member, Side, Traffic
from rerank_toolkit.local_sagemaker.sagemaker.host import START_FAILURES, Host
from rerank_toolkit.local_sagemaker.sagemaker.rollout import Rollout, shift

logger = logging.getLogger(__name__)


class Transitions:
    def __init__(self, host: Host, alarms: Alarms, *, longest_wait_s: float) -> None:
        self._host = host
        self._alarms = alarms
        self._longest_wait_s = longest_wait_s

    def move(
        self,
        traffic: Traffic[Side],
        new: Side,
        members: Iterable[Member],
        *,
        owner: str,
        rollout: Rollout,
        cancelled: Event,
        tell: Callable[[str], None],
    ) -> str | None:
        """Starts the containers of `members`, which `new` is made of, and moves the traffic to it.

        None: it has all of it, and the caller makes it the present side. Otherwise the present side has all, and the
        caller ends the new one. `tell` hears VariantStatus's words.
        """
        starting = tuple(members)

        def trouble(scale: float) -> str | None:
            return describe_dead(starting) or self._alarms.ringing(rollout.alarms, scale=scale)

        def move() -> str | None:
            self._host.start(owner, starting, cancelled)
            if traffic.present is None:
                return None
            return shift(
                traffic,
                new,
                rollout,
                trouble=trouble,
                cancelled=cancelled,
                longest_wait_s=self._longest_wait_s,
                tell=tell,
            )

        return _reason(owner, move)

    def resize(self, member: Member, count: int, *, owner: str, cancelled: Event) -> str | None:
        """One container for any count above 0, none for 0. What fails leaves the count as it was."""
        before = member.count

        def resize() -> None:
            member.count = count
            if count == 0:
                self._host.stop([member])
            else:
                self._host.start(owner, [member], cancelled)

        why = _reason(owner, resize)
        if why is not None:
            member.count = before
            if not member.answers:
                self._host.stop([member], 1.0)
        return why


def describe_dead(members: Iterable[Member]) -> str | None:
    """Of the first container that has ended by itself, how; None if all run."""
    for member in members:
        running = member.running
        if running is not None and not running.stopping and running.container.exit_code is not None:
            return running.container.describe_exit()
    return None


def run(name: str, work: Callable[[], None]) -> None:
    """In a thread of its own."""
    Thread(target=work, name=name, daemon=True).start()


def _reason(owner: str, work: Callable[[], str | None]) -> str | None:
    try:
        return work()
    except Exception as error:  # a defect of ours must not leave somebody in a state that never ends
        if not isinstance(error, START_FAILURES):
            logger.exception("changing %s", owner)
        return str(error)
