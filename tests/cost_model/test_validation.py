"""Predictions are as good as docs/validation.md says, and it says what is computed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cost_model.service_time import load_profiles
from cost_model.validation.errors import Errors
from cost_model.validation.gpu_forms import CHOSEN, PRECISIONS, alternate, carried, held_out
from cost_model.validation.leave_one_out import nearest, of_a_model, of_long_documents, of_the_second_engine
from cost_model.validation.memory import load_servers, predicted
from cost_model.validation.published import load_published

ROOT = Path(__file__).parents[2]
MEASURED = {one.profile.model_id: one for one in load_profiles()[0]}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("first", [True, False])
def test_published_figures_that_were_held_out_are_predicted_within_a_fifth(precision, first):
    cells = alternate(precision, CHOSEN, first=first)

    assert sum(cell.fitted for cell in cells) == 10
    assert held_out(cells).count == 10
    assert held_out(cells).median <= 0.20


def test_the_law_of_one_precision_carries_to_the_other_by_peak_and_bandwidth():
    assert Errors.of([cell.error for cell in carried()]).median <= 0.20


def test_every_published_row_is_predicted_or_says_what_it_lacks():
    document = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")

    assert len(load_published()) == 57
    for row in load_published():
        if row.lacks:
            assert f"{row.model} on {row.hardware} | {row.runtime} | {row.value:g}" in document
        elif row.metric == "seq_per_s":
            assert f"| {row.batch} × {row.seq_len} |" in document
        else:
            assert f"{row.model} on {row.hardware}, {row.runtime}, {row.batch} × {row.seq_len}" in document


def test_turbo_follows_from_tiny_and_base():
    tiny, turbo, base = (MEASURED[f"jina-reranker-v1-{name}-en"] for name in ("tiny", "turbo", "base"))

    assert of_a_model(turbo, [tiny]).errors.median <= 0.10
    assert of_a_model(turbo, [base]).errors.median <= 0.15
    assert of_a_model(turbo, [tiny, base]).errors.median <= 0.10


@pytest.mark.parametrize("model", sorted(MEASURED))
def test_what_was_left_out_of_our_profiles_is_predicted(model):
    one = MEASURED[model]
    second = of_the_second_engine(one)

    assert of_a_model(one, [nearest(one, list(MEASURED.values()))]).errors.median <= 0.30
    assert second is not None
    assert second.errors.median <= 0.10
    assert of_long_documents(one).errors.median <= 0.10


def test_the_memory_of_real_servers_is_predicted_within_a_tenth():
    servers = load_servers().servers

    kinds = {(one.model_id, one.engine) for one in servers if one.workers == 1}
    names = [f"jina-reranker-v1-{name}-en" for name in ("base", "turbo", "tiny")] + ["ms-marco-MiniLM-L-6-v2"]
    assert {(name, engine) for name in names for engine in ("openvino", "torch")} <= kinds
    for server in servers:
        error = predicted(server).mib / server.peak_rss_mib - 1
        assert abs(error) <= 0.10, f"{server.model_id} {server.engine}: {error:+.1%}"


@pytest.mark.parametrize("section", ["published", "profiles", "memory", "theory"])
def test_the_document_is_as_computed(section):
    done = subprocess.run(
        [sys.executable, "-m", "tools.validate", "--check", section],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]


def test_a_section_that_there_is_not_is_named():
    done = subprocess.run(
        [sys.executable, "-m", "tools.validate", "astrology"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "no section is called astrology; docs/validation.md has published, profiles, memory" in done.stderr
