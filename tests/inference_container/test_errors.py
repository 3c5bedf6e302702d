"""The tree of errors: each leaf has a status that says whose turn it is, and a word of its own."""

from __future__ import annotations

from http import HTTPStatus

from inference_container import errors
from inference_container.errors import QueueFull, ServingError, WouldBeLate


def leaves(kind: type[ServingError] = ServingError) -> list[type[ServingError]]:
    ours = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [leaf for child in ours for leaf in leaves(child)] or [kind]


def test_each_leaf_is_counted_under_its_own_word() -> None:
    outcomes = [leaf.outcome for leaf in leaves()]
    assert len(outcomes) == len(set(outcomes))
    assert len(outcomes) >= 12
    assert "ok" not in outcomes


def test_statuses_are_errors_and_known_to_clients() -> None:
    nobody_reads = 499
    for leaf in leaves():
        assert leaf.status == nobody_reads or leaf.status in set(HTTPStatus)
        assert 400 <= leaf.status < 600


def test_retry_after_is_whole_seconds_and_at_least_one() -> None:
    assert QueueFull("full", reason="queue_full", retry_after_s=0.2).headers == {"Retry-After": "1"}
    assert WouldBeLate("late", reason="too_late", retry_after_s=12.1).headers == {"Retry-After": "13"}
    assert WouldBeLate("late", reason="too_late").headers == {}


def test_the_modules_picture_names_every_leaf_with_its_status() -> None:
    picture = (errors.__doc__ or "").splitlines()
    for leaf in leaves():
        assert any(f"{leaf.__name__} {leaf.status}" in line for line in picture), leaf.__name__
