from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rerank_toolkit.bench import tables
from rerank_toolkit.bench.fairness import measure_fairness
from rerank_toolkit.bench.footprint import measure_footprint
from rerank_toolkit.bench.models import compare_models
from rerank_toolkit.contracts import documents

ROOT = Path(__file__).parents[2]


def quiet(line):
    """Progress that nobody reads."""


def test_models_beside_each_other(small_bert, small_jinabert, tmp_path):
    found = compare_models([small_bert, small_jinabert], rounds=2, progress=quiet)

    assert [side.name for side in found.models] == ["small-bert", "small-jinabert"]
    assert found.times_slowest[found.slowest] == 1
    assert all(ratio >= 1 for ratio in found.times_slowest.values())
    assert all(len(side.samples_ms) == 2 and side.peak_rss_mib > 50 for side in found.models)
    assert all(0 < one.share < 1 for one in found.efficiency)
    documents.write(tmp_path / "models.json", found)
    assert "| small-jinabert |" in tables.render(tmp_path, "models")


def test_footprint(small_jinabert, tmp_path):
    found = measure_footprint(small_jinabert, workers=(1,), starts=2, progress=quiet)

    (one,) = found.footprints
    assert one.workers == 1
    assert len(one.ready_s) == 2
    assert 0 < one.idle_pss_mib <= one.peak_pss_mib
    assert one.peak_rss_mib > one.idle_pss_mib
    assert one.long_tokens == 8192
    documents.write(tmp_path / "footprint.json", found)
    assert f"{one.long_tokens:,} tokens: peak PSS" in tables.render(tmp_path, "footprint")


def test_fairness(small_jinabert, tmp_path):
    found = measure_fairness(small_jinabert, samples=10, progress=quiet)

    assert len(found.idle_ms) == len(found.loaded_ms) == 10
    assert found.times_idle == pytest.approx(found.loaded_p95_ms / found.idle_p95_ms, abs=0.01)
    assert found.large_ms
    documents.write(tmp_path / "fairness.json", found)
    assert "1,000 documents in service" in tables.render(tmp_path, "fairness")


def test_the_document_shows_what_the_files_hold():
    text = (ROOT / tables.DOCUMENT).read_text(encoding="utf-8")

    assert tables.renewed_text(text, ROOT / "benchmarks") == text, "run: rerank bench tables"
    assert text.count("<!-- figures:") == text.count("<!-- end of figures -->") == len(tables.NAMES)


def test_every_file_of_results_is_shown():
    shown_beside_its_prediction = "replay"  # in docs/validation.md
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.json")} <= {*tables.NAMES, shown_beside_its_prediction}


def test_a_document_is_renewed_and_then_stands(tmp_path):
    document = shutil.copy(ROOT / tables.DOCUMENT, tmp_path / "benchmarks.md")
    (tmp_path / "results").mkdir()

    tables.renew(document, tmp_path / "results")
    assert document.read_text(encoding="utf-8").count("Not measured yet.") == len(tables.NAMES)
    assert not tables.renew(document, tmp_path / "results")
