"""How far a head sees: what is left out weighs nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_container.alibi import slopes
from inference_container.graphs.bert import nearness
from inference_container.graphs.long import reach


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(1, 400), heads=st.sampled_from([1, 8, 12]), gain=st.floats(0, 3))
def test_keys_beyond_the_reach_of_a_head_weigh_next_to_nothing(seed: int, length: int, heads: int, gain: float) -> None:
    random = np.random.default_rng(seed)
    q, k = (gain * random.standard_normal((2, heads, length, 16))).astype(np.float32)
    near = nearness(range(length), range(length))[0, 0]
    scores = q @ k.transpose(0, 2, 1) / 4 + np.array(slopes(heads))[:, None, None] * near
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    for head, distance in enumerate(reach(q, k, bits=16)):
        assert (weights[head] * (-near > distance)).sum(axis=-1).max() <= 2.0**-16


def test_steep_heads_see_a_part_and_flat_heads_all() -> None:
    q, k = np.random.default_rng(0).standard_normal((2, 12, 4000, 32)).astype(np.float32)
    distances = reach(q, k, bits=16)
    assert distances[0] < 200
    assert distances[7] == 4000


def test_a_number_that_is_none_is_not_hidden() -> None:
    q, k = np.random.default_rng(0).standard_normal((2, 8, 500, 16)).astype(np.float32)
    q[3, 400, 0] = np.nan
    assert reach(q, k, bits=16)[3] == 500
