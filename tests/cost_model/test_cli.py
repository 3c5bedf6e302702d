"""`rerank cost` as it is typed: what it prints, and with which code it ends."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from .command import rerank_cost

PROFILES = str(Path(__file__).with_name("profiles"))

USAGE = {
    "region": "us-east-1",
    "free_tier": False,
    "items": [
        {"kind": "realtime", "instance": "ml.m5.xlarge", "instances": 2, "hours": 730, "storage_gb_month": 0},
        {"kind": "async", "instance": "ml.m5.12xlarge", "instances": 1, "hours": 176, "storage_gb_month": 1},
        {"kind": "batch", "instance": "ml.c4.2xlarge", "instances": 1, "hours": 0.5},
        {"kind": "serverless", "memory_mb": 2048, "seconds": 1000000},
        {"kind": "provisioned-concurrency", "memory_mb": 3072, "units": 2, "seconds": 200000, "busy_seconds": 0},
        {"kind": "data", "gb_in": 10, "gb_out": 8},
        {"kind": "storage", "gb_month": 10},
        {"kind": "lambda", "architecture": "x86_64", "memory_mb": 512, "requests": 3000000, "seconds_per_request": 1},
        {"kind": "fargate", "architecture": "x86_64", "vcpu": 2, "memory_gb": 4, "tasks": 1000, "hours": 0.1667},
        {"kind": "azure-functions", "gb_seconds": 37500, "executions": 0},
        {"kind": "azure-container-apps", "vcpu_seconds": 1000, "gib_seconds": 2000, "requests": 100},
        {"kind": "cloud-run", "vcpu_seconds": 1000, "gib_seconds": 2000, "requests": 100},
    ],
}


def undated(document: dict[str, Any]) -> dict[str, Any]:
    """Without what passes with time."""
    prices = {name: value for name, value in document["prices"].items() if name not in ("age_days", "warning")}
    return {name: value for name, value in document.items() if name != "generated_at"} | {"prices": prices}


@pytest.fixture
def usage(tmp_path: Path) -> str:
    path = tmp_path / "usage.json"
    path.write_text(json.dumps(USAGE))
    return str(path)


def test_estimate_as_a_table(usage, snapshot):
    done = rerank_cost("estimate", usage)

    assert done.returncode == 0
    assert done.stdout == snapshot
    assert "extrapolated: in proportion to memory" in done.stderr


def test_estimate_as_json(usage, snapshot):
    done = rerank_cost("estimate", usage, "--json")

    assert done.returncode == 0
    assert undated(json.loads(done.stdout)) == snapshot


def test_estimate_as_csv_holds_the_whole_basis(usage):
    rows = list(csv.DictReader(io.StringIO(rerank_cost("estimate", usage, "--format", "csv").stdout)))

    assert rows[0]["Item"] == "realtime"
    assert rows[1]["Basis"] == "published: AWS Price List 2026-09-22"
    assert rows[-1]["Item"] == "total"


def test_faults_of_a_usage_file_are_all_told_and_end_with_2(tmp_path):
    path = tmp_path / "usage.json"
    path.write_text('{"items": [{"kind": "realtime", "instance": "ml.m5.xlarge"}, {"kind": "nothing"}], "regoin": "x"}')

    done = rerank_cost("estimate", str(path))

    assert done.returncode == 2
    assert done.stdout == ""
    for part in ("items[0].hours: is missing", "items[1].kind: is 'nothing'", "regoin: is not a known field"):
        assert part in done.stderr


def test_an_absurd_quantity_is_priced_all_the_same(tmp_path):
    path = tmp_path / "usage.json"
    path.write_text('{"items": [{"kind": "realtime", "instance": "ml.m5.xlarge", "hours": 1e60}]}')

    done = rerank_cost("estimate", str(path))

    assert done.returncode == 0
    assert done.stdout.splitlines()[-2].split()[1].startswith("230,000,000")


def test_a_usage_file_that_is_not_there_ends_with_2(tmp_path):
    done = rerank_cost("estimate", str(tmp_path / "none.json"))

    assert done.returncode == 2
    assert "can't be read" in done.stderr


TIME = r"(?:[\d,]+|\d+min|\d+h|refused)"
TIMES = re.compile(rf"([!~]?)({TIME})/({TIME})/({TIME})(?= {{2,}})")
"""A cell of response times."""


def without_times(text: str) -> str:
    """With a mark for each response time, and columns as narrow as they can be: what is simulated moves with every
    profile, and takes more or less room."""
    lines = [re.sub(" {3,}", "   ", line).rstrip() for line in TIMES.sub("…", text).splitlines()]
    return re.sub(r"\bp95 of [\d,]+ ms(?: against [\d,]+ ms)?", "p95 of …", re.sub("─+", "─", "\n".join(lines)))


def ms(time: str) -> float:
    """Of a time as the table has it."""
    if time == "refused":
        return math.inf
    number, unit = float(re.sub(r"[^\d]", "", time)), re.sub(r"[\d,]", "", time)
    return number * {"": 1, "min": 60_000, "h": 3_600_000}[unit]


def test_compare_as_a_table(snapshot):
    done = rerank_cost("compare", "--profiles", PROFILES, "--model", "tiny", "--model", "base", "--model", "minilm-l12")

    assert done.returncode == 0
    assert without_times(done.stdout) == snapshot
    assert max(map(len, done.stdout.splitlines())) <= 160


def test_response_times_in_the_table_are_those_of_the_choice_and_what_breaks_the_limit_is_marked():
    asked = ("compare", "--profiles", PROFILES, "--model", "tiny", "--model", "base", "--max-p95-ms", "900")

    table, document = rerank_cost(*asked), json.loads(rerank_cost(*asked, "--json").stdout)

    rows = {line: TIMES.search(line) for line in table.stdout.splitlines() if TIMES.search(line)}
    assert len(rows) >= 8
    for mark, *times in (found.groups() for found in rows.values() if found):
        p50, p95, p99 = map(ms, times)
        assert 0 < p50 <= p95 <= p99
        assert (mark == "!") == (p95 > 900)
    (chosen,) = (line for line in rows if line.lstrip().startswith("✓"))
    found, simulated = rows[chosen], document["choice"]["chosen"]
    assert found is not None
    assert simulated["response_times"] == "simulation"
    assert [ms(time) for time in found.groups()[1:]] == [round(simulated[f"p{share}_ms"]) for share in (50, 95, 99)]


def test_compare_as_json(snapshot):
    done = rerank_cost(
        *("compare", "--profiles", PROFILES, "--model", "tiny", "--instance", "ml.c6i.*large"),
        *("--mode", "realtime", "--max-p95-ms=3000", "--json"),
    )

    assert done.returncode == 0
    document = json.loads(done.stdout)
    told = [*document["options"], *document["choice"].values()]
    simulated = [option for option in told if isinstance(option, dict) and "response_times" in option]
    for option in simulated:
        if option["response_times"] == "simulation":  # figures of chance, which another machine may round otherwise
            option |= {"p50_ms": None, "p95_ms": None, "p99_ms": None}
    choice = document["choice"]
    choice["reason"] = without_times(choice["reason"])
    choice["at_slow_end"]["p95_ms"] = None
    assert undated(document) == snapshot
    for option in document["options"]:
        assert Decimal(option["monthly_cost"]) == sum(Decimal(line["cost"]) for line in option["components"])


def test_compare_shows_all_rows_on_request():
    few = rerank_cost("compare", "--profiles", PROFILES, "--model", "tiny", "--format", "csv")
    all_ = rerank_cost("compare", "--profiles", PROFILES, "--model", "tiny", "--format", "csv", "--top", "0")

    kinds = 5  # real-time on CPU and GPU, serverless, offline, elsewhere
    assert 1 + kinds <= len(few.stdout.splitlines()) <= 1 + kinds + 1  # and the runner-up
    assert len(all_.stdout.splitlines()) > 100


def test_what_is_shown_is_simulated():
    few = rerank_cost(
        "compare", "--profiles", PROFILES, "--model", "tiny", "--mode", "realtime", "--mode", "serverless"
    )

    assert "rows by simulation\n" in few.stdout


def test_compare_sorts_by_what_is_asked():
    sorted_ = rerank_cost("compare", "--profiles", PROFILES, "--format", "csv", "--sort", "cost", "--mode", "realtime")

    costs = [float(row["$/month"].replace(",", "")) for row in csv.DictReader(io.StringIO(sorted_.stdout))]
    assert costs == sorted(costs)
    assert len(costs) > 9


def test_compare_filters_by_engine_precision_and_region():
    done = rerank_cost(
        *("compare", "--profiles", PROFILES, "--model", "tiny", "--engine", "torch", "--dtype", "fp16"),
        *("--region", "us-east-1", "--region", "eu-west-1", "--mode", "realtime", "--json"),
    )

    options = json.loads(done.stdout)["options"]
    assert {(option["engine"], option["dtype"]) for option in options} == {("torch", "fp16")}
    assert {option["region"] for option in options} == {"us-east-1", "eu-west-1"}


def test_compare_reads_a_workload(tmp_path):
    path = tmp_path / "workload.toml"
    path.write_text('name = "mine"\nrequests_per_second = 0.2\ndocuments_per_request = 10\ntokens_per_document = 80\n')

    done = rerank_cost("compare", "--profiles", PROFILES, "--model", "tiny", "--workload", str(path), "--json")

    document = json.loads(done.stdout)
    assert document["workload"]["name"] == "mine"
    assert document["workload"]["max_p95_ms"] is None


def test_faults_of_a_workload_are_all_told(tmp_path):
    path = tmp_path / "workload.toml"
    path.write_text("requests_per_second = -1\ndocuments_per_request = 0\nspeed = 3\n")

    done = rerank_cost("compare", "--workload", str(path))

    assert done.returncode == 2
    for part in ("requests_per_second", "documents_per_request", "tokens_per_document: is missing", "speed"):
        assert part in done.stderr


@pytest.mark.parametrize("value", ["inf", "nan", "1e300"])
def test_a_workload_without_end_is_refused(tmp_path, value):
    path = tmp_path / "workload.toml"
    path.write_text(f"requests_per_second = {value}\ndocuments_per_request = 10\ntokens_per_document = 80\n")

    done = rerank_cost("compare", "--workload", str(path))

    assert done.returncode == 2
    assert "requests_per_second" in done.stderr


def test_a_workload_that_is_not_toml_is_told(tmp_path):
    path = tmp_path / "workload.toml"
    path.write_text("requests_per_second = = 1\n")

    done = rerank_cost("compare", "--workload", str(path))

    assert done.returncode == 2
    assert "is not TOML" in done.stderr


def test_all_unknown_names_are_told_at_once():
    names = ("--model", "x", "--model", "y", "--region", "mars-1", "--instance", "ml.zz*")
    done = rerank_cost("compare", *names, "--top=-1", "--max-p95-ms=-5")

    assert done.returncode == 2
    for part in ("'x'", "'y'", "'mars-1'", "'ml.zz*'", "--top: is -1", "--max-p95-ms: is -5"):
        assert part in done.stderr


def test_an_instance_pattern_and_serverless_exclude_each_other():
    done = rerank_cost("compare", "--mode", "serverless", "--instance", "ml.c6i.*")

    assert done.returncode == 2
    assert "leave one out" in done.stderr


def test_a_floor_is_given_in_one_form():
    done = rerank_cost("compare", "--min-beir", "50", "--min-quality", "50")

    assert done.returncode == 2
    assert "--min-beir: is --min-quality for one metric; leave one out" in done.stderr


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (("--max-p95-ms", "0.5"), "the limit is 0.5 ms"),
        (("--min-quality", "99"), "the floor is 99"),
        (("--min-beir", "99"), "the floor is 99"),
        (("--max-monthly-cost", "1"), "the budget is $1"),
    ],
)
def test_nothing_within_the_limits_ends_with_3_and_still_shows_the_options(limit, told):
    done = rerank_cost("compare", "--profiles", PROFILES, "--model", "tiny", *limit)

    assert done.returncode == 3
    assert "ml.g4dn.xlarge" in done.stdout
    assert told in done.stderr


def test_without_profiles_nothing_can_be_ranked(tmp_path):
    done = rerank_cost("compare", "--profiles", str(tmp_path), "--model", "tiny")

    assert done.returncode == 3
    assert "rerank bench record" in done.stderr


@pytest.mark.parametrize("command", ["compare", "breakeven", "plan", "diff", "whatif", "estimate"])
def test_help(command, snapshot):
    ours, _, _ = rerank_cost(command, "--help").stdout.partition("╭─ Global options")

    assert ours == snapshot


def test_marks_in_the_table_are_explained_below_it(tmp_path):
    path = tmp_path / "workload.toml"
    path.write_text("requests_per_second = 0.1\ndocuments_per_request = 100\ntokens_per_document = 400\n")
    models = ("--model", "tiny", "--model", "minilm-l12", "--mode", "realtime", "--instance", "ml.c6i.8xlarge")

    done = rerank_cost("compare", "--workload", str(path), "--profiles", PROFILES, *models)

    lines = [line.rstrip() for line in done.stdout.splitlines() if " ml.c6i.8xlarge " in line]
    assert any(" tiny " in line and line.endswith("scaled †") for line in lines)
    assert any(" minilm-l12 " in line and line.endswith("scaled †‡") for line in lines)
    assert "† tiny is extrapolated: 100 documents are beyond the measured 1 to 64" in done.stdout
    assert "‡ minilm-l12 cuts " in done.stdout


def test_an_estimate_that_misses_a_price_says_at_least(tmp_path):
    path = tmp_path / "usage.json"
    path.write_text(
        '{"region": "us-west-2", "items": [{"kind": "serverless", "memory_mb": 2048, "seconds": 100000}, '
        '{"kind": "data", "gb_in": 1}]}'
    )

    done = rerank_cost("estimate", str(path))

    assert done.returncode == 0
    assert "≥4.00" in done.stdout.splitlines()[-2]
    assert "unpriced" in done.stdout
    assert "≥: at least" in done.stderr
    assert "no price of sagemaker data-in is known in us-west-2" in done.stderr


def test_a_plan_is_written_with_what_to_type_next(tmp_path):
    plan = tmp_path / "plan.json"

    first = rerank_cost("plan", "--profiles", PROFILES, "--model", "tiny", "--out", str(plan))
    again = rerank_cost("plan", "--profiles", PROFILES, "--model", "base", "--diff", str(plan), "--json")

    assert first.returncode == again.returncode == 0
    (deployment,) = json.loads(plan.read_text())["deployments"]
    assert f"cdk deploy -c plan={plan} {deployment['stack']}\n" in first.stdout
    assert f"rerank package {deployment['model']} " in first.stdout
    assert "\n  next is " in first.stdout
    document = json.loads(again.stdout)
    difference = document["difference"]
    assert Decimal(difference["saves"]) == Decimal(deployment["expected"]["monthly_cost"]) - Decimal(
        document["monthly_cost"]
    )
    assert {change["stack"] for change in difference["changes"] if not change["field"]} == {
        deployment["stack"],
        document["plan"]["deployments"][0]["stack"],
    }


def test_a_file_that_is_no_plan_stays_as_it_is(tmp_path):
    mine = tmp_path / "notes.json"
    mine.write_text("mine")

    written = rerank_cost("plan", "--profiles", PROFILES, "--model", "tiny", "--out", str(mine))
    compared = rerank_cost("plan", "--profiles", PROFILES, "--model", "tiny", "--diff", str(mine))

    assert written.returncode == compared.returncode == 2
    assert "it would be written over" in written.stderr
    assert "is not JSON" in compared.stderr
    assert mine.read_text() == "mine"


def test_a_plan_is_for_what_infra_deploys():
    done = rerank_cost("plan", "--mode", "lambda", "--model", "nobody")

    assert done.returncode == 2
    assert "--mode: is lambda; a plan is for realtime or autoscaled or serverless or provisioned" in done.stderr
    assert "'nobody'" in done.stderr


def test_a_plan_of_nothing_ends_with_3(tmp_path):
    done = rerank_cost("plan", "--profiles", PROFILES, "--max-p95-ms", "0.1", "--out", str(tmp_path / "plan.json"))

    assert done.returncode == 3
    assert not (tmp_path / "plan.json").exists()


def test_breakeven_as_table_and_as_json():
    asked = (*("breakeven", "--profiles", PROFILES, "--model", "tiny", "--model", "base", "--max-p95-ms", "10000"),)
    narrow = ("--instance", "ml.c7i.*", "--to", "300000")

    table, document = rerank_cost(*asked, *narrow), rerank_cost(*asked, *narrow, "--json")

    assert table.returncode == 0
    assert "edges are exact to the request" in table.stdout
    models = json.loads(document.stdout)["models"]
    assert [one["model"] for one in models] == ["jina-reranker-v1-tiny-en", "jina-reranker-v1-base-en"]
    for one in models:
        assert (one["on_sagemaker"][0]["first"], one["on_sagemaker"][-1]["last"]) == (1000, 300_000)


def test_breakeven_without_an_answer_or_a_range():
    none = rerank_cost("breakeven", "--profiles", PROFILES, "--model", "tiny", "--max-p95-ms", "0.1", "--to", "2000")
    empty = rerank_cost("breakeven", "--from", "10", "--to", "5")

    assert none.returncode == 3
    assert empty.returncode == 2
    assert "--from, --to: are 10 and 5" in empty.stderr


def test_whatif_tells_before_and_after():
    done = rerank_cost(
        *("whatif", "--profiles", PROFILES, "--model", "tiny", "--mode", "realtime", "--max-p95-ms", "2000"),
        *("--traffic", "10", "--discount", "0.3", "--to-region", "eu-west-1"),
    )

    assert done.returncode == 0
    assert "in eu-west-1, 30% off instances" in done.stdout
    assert [word for word in ("before", "after, kept", "after, chosen") if word in done.stdout] == [
        "before",
        "after, kept",
        "after, chosen",
    ]


def test_whatif_without_a_change_or_with_a_wrong_one():
    none, wrong = rerank_cost("whatif"), rerank_cost("whatif", "--traffic", "-1", "--model", "nobody")
    region = rerank_cost("whatif", "--to-region", "mars-1")

    assert none.returncode == wrong.returncode == region.returncode == 2
    assert "name one by --traffic" in none.stderr
    assert "--traffic: is -1" in wrong.stderr
    assert "'nobody'" in wrong.stderr
    assert "'mars-1'" in region.stderr


def test_whatif_to_what_nothing_keeps_ends_with_3():
    done = rerank_cost("whatif", "--profiles", PROFILES, "--model", "tiny", "--p95-ms", "0.1")

    assert done.returncode == 3
    assert "the limit is 0.1 ms" in done.stderr
