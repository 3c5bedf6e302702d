"""What OpenVINO computes of a batch: its own passes, padding and all, but for a hundredth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.service_time import passes
from cost_model.service_time.passes import PASS_COST, Load, load_of
from inference_container.engines import openvino


def by_the_engine(lengths: list[int]) -> Load:
    load = Load()
    for places in openvino.passes(np.array(lengths)):
        width = int(openvino.padded(np.array(lengths)[places]).max())
        load = load.plus(Load(1, len(places), len(places) * width, len(places) * width * width))
    return load


def cost(load: Load) -> float:
    """In tokens, as the engine reckons."""
    return load.tokens + PASS_COST * load.passes


def test_the_engine_reckons_with_the_same_figures():
    assert (passes.TOKENS_AT_ONCE, passes.PASS_COST, passes.STEP) == (
        openvino.TOKENS_AT_ONCE,
        openvino.PASS_COST,
        openvino.STEP,
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=40))
def test_no_document_is_lost_and_no_way_is_cheaper_than_the_engines(lengths):
    found, least = load_of(sorted(lengths), padded=True), by_the_engine(lengths)

    assert found.sequences == len(lengths)
    assert cost(least) <= cost(found) <= 1.5 * cost(least)


@pytest.mark.parametrize(("tokens", "cv"), [(150, 0.6), (150, 1.0), (40, 0.6), (300, 0.3)])
@pytest.mark.parametrize("budget", [256, 1024])
def test_of_usual_batches_it_is_within_a_hundredth_of_the_engines(tokens, cv, budget):
    generator = np.random.default_rng(6)
    sigma = np.sqrt(np.log1p(cv * cv))
    found = least = 0.0
    for _ in range(300):
        drawn = np.clip(np.rint(generator.lognormal(np.log(tokens) - sigma**2 / 2, sigma, 60)), 3, 512)
        batch = drawn[: max(1, int((np.cumsum(drawn) <= budget).sum()))].astype(int).tolist()
        found += cost(load_of(sorted(batch), padded=True))
        least += cost(by_the_engine(batch))

    assert least <= found <= 1.015 * least


def test_documents_of_one_length_are_padded_to_the_next_step_alone():
    assert load_of([125.0] * 4, padded=True) == Load(1, 4, 4 * 128, 4 * 128**2)


def test_a_long_one_goes_apart_from_short_ones():
    assert load_of([16, 16, 512], padded=True) == Load(2, 3, 2 * 16 + 512, 2 * 16**2 + 512**2)


def test_more_than_fit_at_once_take_passes_of_their_own():
    assert load_of([128] * 20, padded=True) == Load(3, 20, 20 * 128, 20 * 128**2)


def test_what_torch_computes_is_ragged():
    assert load_of([10, 500], padded=False) == Load(1, 2, 510, 10**2 + 500**2)
