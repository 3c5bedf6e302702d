"""Which snapshot is taken, and when it is old."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from cost_model.prices.age import OLD_DAYS, age_warning
from cost_model.prices.book import PriceBook, load_prices, shipped_prices
from cost_model.prices.store import find_snapshot, user_store
from cost_model.prices.tables import SHIPPED, Origin
from rerank_toolkit.contracts.errors import InvalidInput

from .stores import write_store


@pytest.fixture
def user(tmp_path: Path, monkeypatch) -> Path:
    """The user's store; empty."""
    folder = tmp_path / "user"
    monkeypatch.setenv("RERANK_PRICES", str(folder))
    return folder


def test_without_a_store_it_is_what_ships(user):
    assert load_prices().path == SHIPPED


def test_a_newer_snapshot_of_the_user_is_taken(user):
    folder = write_store(user)

    assert load_prices().path == folder
    assert shipped_prices().path == SHIPPED


def test_an_older_one_is_not(user):
    write_store(user, as_of=date(2026, 1, 1))

    assert load_prices().path == SHIPPED


def test_one_refreshed_region_makes_it_newer(user):
    folder = write_store(
        user, as_of=date(2026, 1, 1), regions={"us-east-1": Origin(as_of=date(2026, 11, 1), source="test")}
    )

    assert load_prices().path == folder


def test_of_two_of_one_day_the_later_written_is_taken(user):
    write_store(user)
    later = write_store(user)

    assert load_prices().path == later


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            lambda folder: (folder / "hosting.csv").write_text("region,instance\n"),
            "hosting.csv: is not as snapshot.json",
        ),
        (lambda folder: (folder / "rates.csv").unlink(), "rates.csv: can't be read"),
        (lambda folder: (folder / "snapshot.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "snapshot.json").write_text('{"as_of": 3}'), "currency: is missing"),
        (lambda folder: (folder / "snapshot.json").write_text('{"schema_version": 9}'), "schema_version is 9"),
    ],
)
def test_a_damaged_one_is_passed_over_and_told(user, damage, told):
    sound = write_store(user)
    damage(write_store(user))

    found = find_snapshot()

    assert found.folder == sound
    (text,) = found.passed_over
    assert told in text


def test_what_a_broken_off_refresh_left_is_no_snapshot(user):
    folder = write_store(user)
    folder.rename(user / ".20261122T000000.000000Z.1.part")

    assert load_prices().path == SHIPPED


def test_a_named_folder_is_taken_whatever_is_newer(user, tmp_path):
    write_store(user)
    named = write_store(tmp_path / "mine", as_of=date(2026, 1, 1))

    assert load_prices(named).path == named
    assert load_prices(tmp_path / "mine").path == named


def test_a_named_folder_without_a_sound_snapshot_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="holds no price snapshot"):
        load_prices(tmp_path)
    (write_store(tmp_path) / "hosting.csv").write_text("torn")
    with pytest.raises(InvalidInput, match=r"hosting\.csv: is not as snapshot\.json says"):
        load_prices(tmp_path)


def test_the_user_s_store_follows_the_xdg_rules(monkeypatch):
    monkeypatch.delenv("RERANK_PRICES", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert user_store() == Path("/data/rerank-toolkit/prices")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert user_store() == Path("/home/someone/.local/share/rerank-toolkit/prices")


@pytest.mark.parametrize(("days", "old"), [(0, False), (OLD_DAYS, False), (OLD_DAYS + 1, True)])
def test_prices_are_old_beyond_90_days(days, old):
    prices = shipped_prices()
    today = date.fromordinal(prices.origin("us-east-1").as_of.toordinal() + days)

    warning = age_warning(prices, ["us-east-1"], today)

    assert (warning is not None) == old
    if warning:
        assert f"{days} days old (2026-09-22)" in warning


def test_only_the_regions_that_are_asked_for_are_old(tmp_path):
    refreshed = {"us-east-1": Origin(as_of=date(2026, 11, 1), source="test")}
    prices = PriceBook(write_store(tmp_path, as_of=date(2026, 6, 1), regions=refreshed))
    today = date(2026, 11, 22)

    assert age_warning(prices, ["us-east-1"], today) is None
    warning = age_warning(prices, ["us-east-1", "eu-west-1"], today)
    assert warning is not None
    assert warning.startswith("the prices of eu-west-1 are up to 174 days old (2026-06-01)")
