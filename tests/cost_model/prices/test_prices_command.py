"""`rerank cost prices` as it is typed, and what other commands say of old prices."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from .shapes import plan_file
from .stores import write_store


def rerank(*words: str, store: Path | str = os.devnull) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rerank_toolkit.cli", "cost", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "80", "RERANK_PRICES": str(store)},
    )


@pytest.fixture
def usage(tmp_path: Path) -> str:
    path = tmp_path / "usage.json"
    items = [{"kind": "realtime", "instance": "ml.m5.xlarge", "hours": 100}]
    path.write_text(json.dumps({"region": "us-east-1", "items": items}))
    return str(path)


def test_prices_are_shown_with_their_doubts_and_their_gaps():
    done = rerank("prices", "show", "--format", "csv")

    rows = {row["What"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert done.returncode == 0
    assert (rows["ml.m5.xlarge"]["USD"], rows["ml.m5.xlarge"]["a"]) == ("0.23", "hour")
    assert rows["serverless 2048 MB"]["USD"] == "0.00004"
    assert rows["ml.r8g.xlarge"]["Note"].startswith("suspect")
    assert (rows["ml.p5.4xlarge"]["USD"], rows["ml.p5.4xlarge"]["Basis"]) == ("?", "unknown")
    assert rows["provisioned-concurrency-usage 1024 MB"]["Basis"] == "extrapolated"
    assert (rows["lambda requests"]["Region"], rows["cloud-run vcpu"]["Region"]) == ("us-east-1", "*")
    assert "us-east-1: USD, as of 2026-09-22" in done.stderr
    assert "snapshot: shipped" in done.stderr


def test_several_regions_and_parts_of_them():
    done = rerank(
        "prices", "show", "--region", "us-east-1", "--region", "us-west-2", "--component", "data", "--format", "csv"
    )

    rows = [(row["Region"], row["What"], row["USD"]) for row in csv.DictReader(io.StringIO(done.stdout))]
    assert rows == [
        ("us-east-1", "data-in", "0.016"),
        ("us-east-1", "data-out", "0.016"),
        ("us-west-2", "data-in", "?"),
        ("us-west-2", "data-out", "?"),
    ]


def test_prices_as_json_say_where_they_come_from_and_how_old_they_are():
    document = json.loads(rerank("prices", "show", "--json", "--instance", "ml.[mp]5.*4xlarge").stdout)

    assert (document["snapshot"], document["currency"]) == ("shipped", "USD")
    assert document["prices"]["as_of"] == "2026-09-22"
    assert document["prices"]["age_days"] >= 61
    (region,) = document["regions"]
    assert region["region"] == "us-east-1"
    rates = {rate["name"]: rate for rate in document["rates"]}
    assert (rates["ml.m5.4xlarge"]["rate"], rates["ml.m5.4xlarge"]["unit"]) == ("0.922", "hour")
    assert rates["ml.p5.4xlarge"]["rate"] is None
    assert rates["ml.p5.4xlarge"]["basis"].startswith("unknown: ")


def test_all_unknown_names_are_told_at_once():
    done = rerank("prices", "show", "--region", "mars-1", "--region", "moon-2", "--instance", "ml.zz*")

    assert done.returncode == 2
    assert done.stdout == ""
    for part in ("'mars-1'", "'moon-2'", "'ml.zz*'"):
        assert part in done.stderr


def test_old_prices_are_warned_about_wherever_they_price(tmp_path, usage):
    old = str(write_store(tmp_path / "old", as_of=date(2026, 1, 1)))

    shown = rerank("prices", "show", "--prices", old, "--json")
    priced = rerank("estimate", usage, "--prices", old, "--json")

    for done in (shown, priced):
        assert done.returncode == 0
        assert "warning: the prices of us-east-1 are up to" in done.stderr
        assert "rerank cost prices refresh" in json.loads(done.stdout)["prices"]["warning"]


def test_a_refresh_is_what_the_next_bill_stands_on(server, store, usage):
    refreshed = rerank("prices", "refresh", "--base-url", server.url, "--region", "us-east-1", store=store)
    bill = json.loads(rerank("estimate", usage, "--json", store=store).stdout)

    assert refreshed.returncode == 0, refreshed.stderr
    assert "+4.3% hosting ml.m5.xlarge" in refreshed.stdout
    assert bill["total"] == "24.00"
    assert bill["prices"]["as_of"] == "2026-11-20"


def test_without_a_region_all_that_are_known_are_refreshed(server, store):
    done = rerank("prices", "refresh", "--base-url", server.url, "--out", str(store), "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [change["region"] for change in document["regions"]] == ["eu-west-1", "us-east-1"]
    assert Path(document["snapshot"]).parent == store


def test_a_snapshot_is_no_store(store):
    (snapshot,) = store.iterdir()

    done = rerank("prices", "refresh", "--out", str(snapshot))

    assert done.returncode == 2
    assert "a snapshot itself; give a folder to hold snapshots" in done.stderr


def test_a_folder_without_snapshots_starts_from_the_prices_in_hand(server, store, tmp_path):
    out = tmp_path / "new"
    out.mkdir()
    (out / "notes.txt").write_text("not a snapshot")

    done = rerank(
        "prices", "refresh", "--out", str(out), "--base-url", server.url, "--region", "us-east-1", "--json", store=store
    )

    assert done.returncode == 0, done.stderr
    folder = Path(json.loads(done.stdout)["snapshot"])
    assert folder.parent == out
    assert "eu-west-1,ml.m5.xlarge,0.257" in (folder / "hosting.csv").read_text()


def test_a_plan_by_its_term_bills_the_rates_that_were_fetched(server, store, tmp_path):
    server.serve_plans("us-east-1", plan_file("us-east-1", {"USE1-Host:ml.m5.xlarge": "0.168000"}))
    path = tmp_path / "usage.json"
    plan = {"term_years": 1, "payment": "no-upfront"}
    items = [{"kind": "realtime", "instance": name, "hours": 100} for name in ("ml.m5.xlarge", "ml.g5.xlarge")]
    path.write_text(json.dumps({"region": "us-east-1", "savings_plan": plan, "items": items}))

    before = rerank("estimate", str(path), store=store)
    refreshed = rerank(
        "prices", "refresh", "--savings-plans", "--base-url", server.url, "--region", "us-east-1", store=store
    )
    after = rerank("estimate", str(path), "--json", store=store)

    assert before.returncode == 2
    assert "prices refresh --savings-plans --region us-east-1" in before.stderr
    assert refreshed.returncode == 0, refreshed.stderr
    covered, uncovered = json.loads(after.stdout)["items"]
    assert covered["total"] == "16.80"
    assert covered["components"][1]["name"] == "Savings Plan, 1 year, no upfront"
    assert covered["components"][1]["cost"] == "-7.20"
    assert uncovered["total"] == "140.80"
    assert "has no rate of hosting ml.g5.xlarge in us-east-1: on demand" in after.stderr


def test_help():
    done = rerank("prices", "--help")

    assert done.returncode == 0
    assert "refresh" in done.stdout
    assert "show" in done.stdout
