"""Throughput predicted in virtual time beside every profile's own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cost_model.service_time import load_profiles
from cost_model.validation.leave_one_out import nearest
from tools.validate import live
from tools.validate.document import DOCUMENT, renewed_text
from tools.validate.saturation import saturated

ROOT = Path(__file__).parents[2]
MEASURED = {one.profile.model_id: one for one in load_profiles()[0] if one.profile.saturation}


@pytest.mark.parametrize("model", sorted(MEASURED))
def test_the_policy_in_virtual_time_is_saturated_where_the_server_was(model):
    one = MEASURED[model]

    assert saturated(one, one.engine_share) == pytest.approx(one.profile.documents_per_second, rel=0.03)


@pytest.mark.parametrize("model", sorted(MEASURED))
def test_the_share_of_another_model_is_not_far_off(model):
    one = MEASURED[model]
    other = nearest(one, list(MEASURED.values()))

    assert saturated(one, other.engine_share) == pytest.approx(one.profile.documents_per_second, rel=0.06)


def test_half_as_many_engines_do_half_as_much():
    one = MEASURED["jina-reranker-v1-tiny-en"]
    halved = msgspec.structs.replace(
        one, profile=msgspec.structs.replace(one.profile, workers=one.profile.workers // 2)
    )

    assert saturated(halved, 1.0) == pytest.approx(saturated(one, 1.0) / 2, rel=0.02)


def test_the_document_says_what_is_computed():
    text = (ROOT / DOCUMENT).read_text(encoding="utf-8")

    assert renewed_text(text, {"live": lambda: live.section(ROOT / "benchmarks")}) == text
