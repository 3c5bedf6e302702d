from __future__ import annotations

import pytest

from rerank_toolkit.client import InvalidRequest, Overloaded, Retries, TimedOut, Unreachable


class Sender:
    """Raises its errors one after the other, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_what_was_refused_or_lost_is_sent_again():
    send, waits = Sender(Overloaded("full"), Unreachable("gone")), []

    assert Retries().call(send, sleep=waits.append) == "answer"
    assert 0.125 <= waits[0] <= 0.25
    assert 0.25 <= waits[1] <= 0.5


def test_the_wait_that_the_endpoint_asks_for_is_kept_but_not_by_all_to_the_instant():
    waits = []

    for _ in range(8):
        Retries().call(Sender(Overloaded("full", retry_after=1.5)), sleep=waits.append)

    assert all(1.5 + 0.125 <= wait <= 1.5 + 0.25 for wait in waits)
    assert len(set(waits)) > 1


def test_an_endpoint_that_asks_for_no_wait_is_not_asked_again_at_once():
    waits = []

    Retries().call(Sender(*[Overloaded("full", retry_after=0)] * 2), sleep=waits.append)

    assert 0.125 <= waits[0] <= 0.25 <= waits[1] <= 0.5


def test_a_wait_that_is_too_long_is_the_callers_to_decide():
    send, waits = Sender(Overloaded("full", retry_after=60)), []

    with pytest.raises(Overloaded):
        Retries().call(send, sleep=waits.append)

    assert (send.calls, waits) == (1, [])


def test_it_gives_up_with_the_last_error():
    send = Sender(Overloaded("first"), Overloaded("second"), Overloaded("third"), Overloaded("fourth"))

    with pytest.raises(Overloaded, match="third"):
        Retries(attempts=3).call(send, sleep=lambda seconds: None)


def test_waits_are_bounded():
    waits = []

    Retries(attempts=20, longest_wait_s=2).call(Sender(*[Overloaded("full")] * 19), sleep=waits.append)

    assert max(waits) <= 2


@pytest.mark.parametrize("error", [InvalidRequest("wrong"), TimedOut("slow")])
def test_what_would_fail_or_burden_again_is_not_repeated(error):
    send = Sender(error, error)

    with pytest.raises(type(error)):
        Retries().call(send, sleep=lambda seconds: None)

    assert send.calls == 1
