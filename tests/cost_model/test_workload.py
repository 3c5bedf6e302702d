"""The workload file: what it may say, what follows from it, and how its faults are told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cost_model.workload import (
    Arrivals,
    Distribution,
    Growth,
    QualityMetric,
    Slo,
    Tokens,
    Workload,
    read_workload,
    read_workload_measured,
)
from cost_model.workload.reading import WorkloadFile
from rerank_toolkit.catalog.models import find_model, load_models
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.documents import NewerSchema
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.usage import SavingsPlan

from .command import rerank_cost

GUIDE = Path(__file__).parents[2] / "docs" / "workload.md"

FLAT = 'name = "mine"\nrequests_per_second = 2\ndocuments_per_request = 10\ntokens_per_document = 80\n'

EVERYTHING = """
name = "search"
requests_per_second = 20
tokens_cv = 0.4
tokens_per_document = 120
max_monthly_cost = 1234.56
regions = ["us-east-1", "eu-west-1"]
free_tier = true
software_usd_per_hour = 0.08
savings_plan = { discount = 0.3 }
growth = { percent_a_month = 5, months = 6 }
slo = { percentile = 99, limit_ms = 800 }
min_quality = 0.4
quality = { metric = "own", name = "nDCG of ours", values = { tiny = 0.41, turbo = 0.44 } }
routing = "least-outstanding-requests"
documents = { mean = 25, cv = 0.5 }

[arrivals]
dispersion = 3
week = { mon-fri = { "0-7" = 2, "8-18" = 20, "19-23" = 6 }, sat-sun = 3 }
"""


def write(folder: Path, text: str, name: str = "workload.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_workload(path)
    assert caught.value.exit_code == 2
    return str(caught.value)


def trace(folder: Path) -> Path:
    return write(folder, "".join(f"2026-11-02T08:{at // 60:02d}:{at % 60:02d}Z\n" for at in range(1800)), "trace.csv")


def sample(folder: Path) -> Path:
    bodies = [{"query": "q" * 9, "documents": ["d" * 90] * documents} for documents in (4, 8, 12)]
    return write(folder, "".join(f"{json.dumps(body)}\n" for body in bodies), "requests.jsonl")


def test_a_flat_file_is_as_it_always_was(tmp_path):
    workload = read_workload(write(tmp_path, FLAT))

    assert workload.mean_rate == workload.peak_rate == 2
    assert workload.dispersion == 1
    assert workload.slo_percentile == 95
    assert workload.slo_ms is None
    assert workload.tokens_cv == 0.6
    assert workload.request_bytes == 10 * 80 * 4.5
    assert workload.length_moments() == pytest.approx(Distribution(mean=80, cv=0.6).moments())


def test_the_default_is_a_small_search_box():
    workload = read_workload()

    assert (workload.requests_per_second, workload.max_p95_ms, workload.slo_ms) == (1, 500, 500)
    assert workload.describe() == (
        "default workload: 1 request/s, 25 documents of 150 tokens (pair, mean), busy at most 70%, p95 ≤ 500 ms"
    )


def test_everything_that_a_file_may_say(tmp_path):
    workload = read_workload(write(tmp_path, EVERYTHING))

    assert workload.hourly_rates.mean() == pytest.approx(20)
    assert workload.peak_rate / workload.hourly_rates.min() == pytest.approx(10)
    assert workload.dispersion == 3
    assert (workload.slo_percentile, workload.slo_ms) == (99, 800)
    assert workload.max_monthly_cost == Decimal("1234.56")
    assert workload.software_usd_per_hour == Decimal("0.08")
    assert workload.savings_plan == SavingsPlan(discount=Decimal("0.3"))
    assert workload.regions == ("us-east-1", "eu-west-1")
    assert workload.documents_per_request == 25
    assert workload.documents_cv == 0.5
    assert workload.quality_name == "nDCG of ours"
    assert [workload.quality_of(find_model(name)) for name in ("tiny", "turbo", "base")] == [0.41, 0.44, None]
    assert workload.in_month(6).mean_rate == pytest.approx(20 * 1.05**6)
    assert "in bursts (dispersion 3)" in workload.describe()
    assert "p99 ≤ 800 ms, nDCG of ours ≥ 0.4, at most $1,234.56 a month" in workload.describe()


def test_json_says_the_same_as_toml(tmp_path):
    as_json = write(tmp_path, json.dumps(tomllib.loads(EVERYTHING)), "workload.json")

    assert read_workload(as_json) == read_workload(write(tmp_path, EVERYTHING))


@pytest.mark.parametrize("text", [FLAT, EVERYTHING])
def test_a_workload_survives_being_written(tmp_path, text):
    workload = read_workload(write(tmp_path, text))

    again = documents.convert(msgspec.to_builtins(workload), Workload, name="again")
    through_json = msgspec.json.decode(msgspec.json.encode(workload), type=Workload)

    assert again == workload == through_json
    assert hash(again) == hash(workload)
    assert hash(workload) != hash(msgspec.structs.replace(workload, requests_per_second=3))


def test_rates_by_the_hour_are_the_mean_where_no_other_is_given(tmp_path):
    hours = [1.0] * 84 + [3.0] * 84
    text = f"documents_per_request = 5\ntokens_per_document = 80\narrivals = {{ hours = {hours} }}\n"

    workload = read_workload(write(tmp_path, text))

    assert workload.mean_rate == pytest.approx(2)
    assert workload.hourly_rates.tolist() == pytest.approx(hours)
    assert workload.busiest_hour == 84


def test_query_and_document_make_a_pair(tmp_path):
    flat = "requests_per_second = 1\ndocuments_per_request = 5\n"
    text = flat + "tokens = { query = { mean = 12 }, document = { mean = 100, cv = 0.5 } }\n"

    workload = read_workload(write(tmp_path, text))

    assert workload.tokens_per_document == pytest.approx(115)
    assert workload.tokens_cv == pytest.approx(50 / 115)
    drawn = workload.draw(np.random.default_rng(0), 4000)
    assert drawn.tokens.mean() == pytest.approx(115, rel=0.02)
    assert drawn.tokens.min() > 15


def test_a_trace_and_a_sample_are_measured(tmp_path):
    trace(tmp_path)
    sample(tmp_path)

    reading = read_workload_measured(write(tmp_path, 'sample = "requests.jsonl"\narrivals.trace = "trace.csv"\n'))

    workload = reading.workload
    assert workload.mean_rate == pytest.approx(1, rel=0.01)
    assert workload.documents_per_request == 8
    assert workload.tokens_per_document == pytest.approx(9 / 4.5 + 90 / 4.5 + 3)
    basis = {one.field: one.text for one in workload.basis}
    assert basis["requests_per_second"].startswith("measured: trace.csv, 2026-11-02 08:00 to 2026-11-02 08:30 UTC")
    assert basis["dispersion"].startswith("measured: 0.00 over 60 s")  # one a second is no Poisson process
    assert basis["tokens_per_document"] == "assumed: 4.5 characters a token, of requests.jsonl, 3 requests"
    assert basis["bytes_per_token"].startswith("measured")
    assert workload.dispersion == 1
    assert len(workload.arrivals(np.random.default_rng(0), 600)) == 600
    assert any("whole seconds" in note for note in reading.notes)


def test_a_stated_mean_scales_what_a_trace_measured(tmp_path):
    trace(tmp_path)

    workload = read_workload(write(tmp_path, FLAT + 'arrivals.trace = "trace.csv"\n'))

    assert workload.mean_rate == 2
    assert workload.hourly_rates.mean() == pytest.approx(2)
    assert len(workload.arrivals(np.random.default_rng(0), 600)) == pytest.approx(1200, abs=2)


def test_faults_of_file_trace_and_sample_are_told_at_once(tmp_path):
    write(tmp_path, "2026-11-02T08:00:00Z\nnoon\n", "trace.csv")
    write(tmp_path, '{"query": 1, "documents": ["a"]}\nnothing\n', "requests.jsonl")
    text = (
        'max_p95_ms = -5\nfree_tear = true\nsample = "requests.jsonl"\n'
        'arrivals = { trace = "trace.csv", dispersion = 0 }\n'
    )

    told = faults_of(write(tmp_path, text))

    assert "max_p95_ms: is -5" in told
    assert "arrivals.dispersion: is 0" in told
    assert "free_tear: is not a known field" in told
    assert "arrivals.trace, trace.csv, line 2: column 1 is 'noon'" in told
    assert "sample, requests.jsonl, line 1: query is 1; expected a text" in told
    assert "sample, requests.jsonl, line 2: is not JSON" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "requests_per_second: is missing; give it, or arrivals with hours, week or a trace"),
        ("", "documents_per_request: is missing; give it, documents, or a sample"),
        ("", "tokens_per_document: is missing; give it, tokens, or a sample"),
        (FLAT + "documents.mean = 9", "documents_per_request: is said by documents too; leave one"),
        (FLAT + "tokens = {query.mean = 9, document.mean = 9}", "tokens_per_document: is said by tokens too"),
        (FLAT + 'tokenizer = "t.json"', "tokenizer: is for measuring a sample, and there is none"),
        (FLAT + 'arrivals.trace_column = "at"', "arrivals.trace_column: is for reading a trace"),
        (FLAT + 'arrivals = { trace = "none.csv", week = { mon-sun = 1 } }', "arrivals: has week and trace; leave one"),
        (FLAT + 'arrivals.trace = "none.csv"', "arrivals.trace, none.csv: can't be read"),
        (FLAT + "arrivals.week = { mon = 1 }", "arrivals: week: tue, wed, thu, fri, sat, sun are missing"),
        (FLAT + "arrivals.hours = [1, 2]", "arrivals: hours has 2 numbers; expected 168"),
        (FLAT + "arrivals.dispersion = 0.5", "arrivals.dispersion: is 0.5"),
        (FLAT + "arrivals.dispersion_seconds = 7", "dispersion_seconds is 7; expected a divisor of 3600"),
        (FLAT + "max_p95_ms = 5\nslo.limit_ms = 5", "max_p95_ms is the short form of slo; leave one out"),
        (FLAT + "slo = {percentile = 99.95, limit_ms = 5}", "slo.percentile: is 99.95"),
        (FLAT + "slo.percentile = 99", "slo.limit_ms: is missing"),
        (FLAT + 'quality.metric = "own"', "metric is own, without values"),
        (FLAT + "quality.values.tiny = 0.4", "values and name go with metric own"),
        (FLAT + 'quality = {metric = "own", values.huge = 1}', "no model is called 'huge'"),
        (FLAT + 'min_quality = 84\nquality.metric = "hit-rate"', "min_quality is 84; hit rates are between 0 and 1"),
        (FLAT + "max_monthly_cost = 0", "max_monthly_cost is 0; expected dollars above 0"),
        (FLAT + "software_usd_per_hour = -1", "software_usd_per_hour is -1; expected dollars of at least 0"),
        (FLAT + "savings_plan.discount = 0.9", "discount is 0.9; expected a share above 0 and up to 0.64"),
        (FLAT + "max_monthly_cost = nan", "max_monthly_cost"),
        (FLAT + "growth.percent_a_month = 1000", "growth.percent_a_month: is 1000"),
        (FLAT.replace("= 80", "= 1e9"), "tokens_per_document: is 1000000000.0"),
    ],
)
def test_what_a_file_may_not_say(tmp_path, text, told):
    assert told in faults_of(write(tmp_path, text))


def test_a_newer_file_is_refused_with_both_versions(tmp_path):
    with pytest.raises(NewerSchema, match="schema_version is 9, this toolkit reads up to 1"):
        read_workload(write(tmp_path, FLAT + "schema_version = 9"))


@pytest.mark.parametrize(("name", "text"), [("w.toml", "a = = 1"), ("w.json", "{"), ("w.json", "[1]"), ("w.json", "3")])
def test_what_is_no_workload_at_all(tmp_path, name, text):
    assert faults_of(write(tmp_path, text, name))


def test_means_and_distributions_dont_contradict_each_other():
    with pytest.raises(ValueError, match="documents_per_request is 9, and documents has a mean of 10; change both"):
        Workload(
            requests_per_second=1, documents_per_request=9, tokens_per_document=80, documents=Distribution(mean=10)
        )
    with pytest.raises(ValueError, match="tokens_per_document is 80, and tokens has pairs of 33 on average"):
        Workload(
            requests_per_second=1,
            documents_per_request=9,
            tokens_per_document=80,
            tokens=Tokens(query=Distribution(mean=10), document=Distribution(mean=20)),
        )


def test_quality_by_each_metric():
    flat = {"requests_per_second": 1, "documents_per_request": 9, "tokens_per_document": 80}
    base, bge = find_model("base"), find_model("bge-reranker-base")

    beir = Workload(**flat)
    hits = Workload(**flat, quality=QualityMetric(metric="hit-rate"))

    assert (beir.quality_of(base), beir.quality_name) == (52.45, "BEIR nDCG@10")
    assert (hits.quality_of(base), hits.quality_name) == (0.8439, "RAG hit rate")
    assert {model.id for model in load_models().values() if beir.quality_of(model) is None} == {
        model.id for model in load_models().values() if model.quality is None
    }
    assert bge.quality is None or beir.quality_of(bge) == bge.quality.beir_ndcg_at_10


# The guide.


def toml_blocks() -> list[str]:
    return re.findall(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", toml_blocks())
def test_every_example_of_the_guide_is_a_workload(tmp_path, block):
    trace(tmp_path)
    sample(tmp_path)

    assert read_workload(write(tmp_path, block)).mean_rate > 0


@pytest.mark.parametrize(
    "struct", [WorkloadFile, Arrivals, Distribution, Tokens, Slo, QualityMetric, Growth, SavingsPlan]
)
def test_the_guide_has_every_field(struct):
    guide = GUIDE.read_text(encoding="utf-8")

    missing = [field.encode_name for field in msgspec.structs.fields(struct) if f"`{field.encode_name}`" not in guide]

    assert not missing


# The command.


def test_the_command_shows_what_was_measured(tmp_path, snapshot):
    trace(tmp_path)
    sample(tmp_path)
    path = write(tmp_path, 'name = "mine"\nsample = "requests.jsonl"\narrivals.trace = "trace.csv"\nmax_p95_ms = 300\n')

    done = rerank_cost("workload", str(path))

    assert done.returncode == 0
    assert done.stdout == snapshot
    assert "note: trace: its times are whole seconds" in done.stderr


def test_the_command_as_json(tmp_path):
    done = rerank_cost("workload", str(write(tmp_path, EVERYTHING)), "--month", "3", "--json")

    document: dict[str, Any] = json.loads(done.stdout)
    assert set(document) == {"version", "generated_at", "month", "workload", "figures", "trace", "sample", "notes"}
    figures = {(figure["name"], figure["unit"]): figure["value"] for figure in document["figures"]}
    assert figures["requests, mean", "a second"] == pytest.approx(20 * 1.05**3)
    assert figures["index of dispersion", "over 60 s"] == 3
    assert figures["budget", "$ a month at most"] == 1234.56
    drawn = [figures["documents", f"a request, p{share}"] for share in (50, 95, 99)]
    assert drawn == sorted(drawn)
    assert document["trace"] is None


def test_the_command_tells_faults(tmp_path):
    done = rerank_cost("workload", str(write(tmp_path, "requests_per_second = 0\n")))

    assert done.returncode == 2
    assert done.stdout == ""
    assert "requests_per_second: is 0" in done.stderr
    assert "tokens_per_document: is missing" in done.stderr


@pytest.mark.parametrize(("month", "told"), [("2", "the workload doesn't grow"), ("99", "expected 0 for now to 60")])
def test_a_month_that_makes_no_sense(month, told):
    done = rerank_cost("workload", "--month", month)

    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())


def test_reading_a_workload_needs_no_numpy():
    code = "import sys; from cost_model.workload import read_workload; read_workload(); print('numpy' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "False"
