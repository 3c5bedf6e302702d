from __future__ import annotations

from itertools import pairwise

import pytest

from rerank_toolkit import __version__
from rerank_toolkit.bench.grid import DOCUMENTS, ESSENTIAL, TOKENS
from rerank_toolkit.bench.recorder import record
from rerank_toolkit.bench.server_process import serve
from rerank_toolkit.client import RerankClient
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.profile import Profile


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def profile(jinabert, told):
    return record(jinabert, seconds=6, progress=told.append, instance="ml.c7i.xlarge")


def test_a_profile_says_what_was_measured_on_what(profile):
    assert profile.model_id == "small-jinabert"
    assert profile.seeded
    assert (profile.engine, profile.dtype) == ("torch", "fp32")
    assert profile.hardware.instance == "ml.c7i.xlarge"
    assert profile.hardware.logical_cpus >= 1
    assert profile.hardware.memory_mib > 100
    assert profile.toolkit_version == __version__
    assert profile.startup_s > 0
    assert 0 < profile.memory.idle_mib <= profile.memory.peak_mib


def test_cells_vary_in_documents_and_lengths(profile):
    wanted = [(documents, tokens) for documents in DOCUMENTS for tokens in TOKENS]
    shapes = {
        min(wanted, key=lambda shape: abs(shape[0] - cell.documents) + abs(shape[1] / cell.tokens_per_document - 1))
        for cell in profile.cells
    }

    assert len(shapes) == len(profile.cells)
    assert shapes >= ESSENTIAL


def test_a_cell_is_counted_by_the_server(profile):
    for cell in profile.cells:
        assert cell.tokens_per_document == pytest.approx(cell.tokens / cell.documents, abs=0.01)
        assert cell.sum_squared_tokens >= cell.tokens**2 / cell.documents * 0.999  # Cauchy–Schwarz
        assert 0 < cell.inference_ms < cell.latency_ms <= cell.latency_p95_ms
        assert cell.samples >= 1


def test_throughput_is_that_of_the_named_workload(profile):
    assert profile.documents_per_second > 0
    assert profile.documents_per_50_ms > 0
    assert profile.workload.startswith("100 documents, lengths lognormal")
    how = profile.saturation
    assert how.requests >= 1
    assert how.refused == 0
    assert profile.documents_per_second == pytest.approx(
        how.requests * how.documents_per_request / how.seconds, rel=0.05
    )
    assert 100 < how.tokens_per_document < 200
    assert 1.1 < how.squared_tokens_per_document / how.tokens_per_document**2 < 1.6


def test_a_profile_survives_its_file(profile, tmp_path):
    documents.write(tmp_path / "profile.json", profile)

    assert documents.read(tmp_path / "profile.json", Profile) == profile


def test_progress_is_told(profile, told):
    assert any("seeded random weights" in line for line in told)
    assert any("shapes of request" in line for line in told)
    assert any("saturating" in line for line in told)


def test_no_time_at_all_still_gives_what_a_law_needs(jinabert):
    profile = record(jinabert, seconds=0.01, progress=lambda line: None)

    assert len(profile.cells) >= len(ESSENTIAL)
    assert profile.documents_per_second > 0


def test_no_text_is_longer_than_the_model_reads(small_bert):
    with serve(small_bert) as server, RerankClient(server.url) as client:
        cells = record(client, seconds=3, progress=lambda line: None).cells

    alone = sorted(cell.tokens_per_document for cell in cells if cell.documents == 1)
    assert max(cell.tokens_per_document for cell in cells) <= 512
    assert all(longer > shorter * 1.1 for shorter, longer in pairwise(alone))
