from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cost_model.service_time import load_profiles
from tools.validate import live
from tools.validate.document import DOCUMENT, renewed_text
from tools.validate.saturation import by_law, engine_share

ROOT = Path(__file__).parents[2]
MEASURED = {one.profile.model_id: one for one in load_profiles()[0] if one.profile.saturation}


@pytest.mark.parametrize("model", sorted(MEASURED))
def test_the_law_of_lone_requests_tells_throughput_but_for_what_surrounds_the_batches(model):
    assert 0.85 < engine_share(MEASURED[model]) < 1.05


def test_half_as_many_engines_do_half_as_much():
    one = MEASURED["jina-reranker-v1-tiny-en"]
    halved = msgspec.structs.replace(
        one, profile=msgspec.structs.replace(one.profile, workers=one.profile.workers // 2)
    )

    assert by_law(halved) == pytest.approx(by_law(one) / 2, rel=0.02)


def test_the_document_says_what_is_computed():
    text = (ROOT / DOCUMENT).read_text(encoding="utf-8")

    assert renewed_text(text, {"live": lambda: live.section(ROOT / "benchmarks")}) == text
