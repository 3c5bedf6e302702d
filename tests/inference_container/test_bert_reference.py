"""JinaBERT against a slow reference: numpy in float64, written from the papers, with each choice as a switch.

The reference knows nothing of the module but the published tensor names. Flipping any of its switches must move
the scores by far more than the tolerance: otherwise agreement would prove nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inference_container.models.cross_encoder import CrossEncoder
from inference_container.seeded import seeded_tensors
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.catalog.shapes import Shape

TOLERANCE = 1e-4
LENGTHS = [1, 2, 7, 33, 150]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Switches:
    slopes_in_order: bool = True
    slopes_of_two_series: bool = True
    symmetric: bool = True
    gate_first: bool = True
    exact_gelu: bool = True
    token_types: bool = True
    pooler: bool = True


class Reference:
    """One pair at a time, one head at a time, one query at a time."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]], shape: Shape, switches: Switches) -> None:
        self.weights = {name: tensor.astype(np.float64) for name, tensor in weights.items()}
        self.shape = shape
        self.switches = switches

    def score(self, ids: NDArray[np.int64], types: NDArray[np.int64]) -> float:
        x = self.weights["bert.embeddings.word_embeddings.weight"][ids]
        if self.switches.token_types:
            x = x + self.weights["bert.embeddings.token_type_embeddings.weight"][types]
        x = self.norm("bert.embeddings.LayerNorm", x)
        for number in range(self.shape.layers):
            layer = f"bert.encoder.layer.{number}"
            attended = self.dense(f"{layer}.attention.output.dense", self.attention(f"{layer}.attention.self", x))
            x = self.norm(f"{layer}.attention.output.LayerNorm", attended + x)
            x = self.norm(f"{layer}.mlp.layernorm", self.geglu(f"{layer}.mlp", x) + x)
        pooled = np.tanh(self.dense("bert.pooler.dense", x[0])) if self.switches.pooler else x[0]
        return float(self.dense("classifier", pooled)[0])

    def attention(self, name: str, x: Array) -> Array:
        query, key, value = (self.dense(f"{name}.{part}", x) for part in ("query", "key", "value"))
        size = self.shape.hidden // self.shape.heads
        out = np.zeros_like(x)
        for head, slope in enumerate(self.slopes()):
            columns = slice(head * size, (head + 1) * size)
            for i in range(len(x)):
                scores = np.array([query[i, columns] @ key[j, columns] / math.sqrt(size) for j in range(len(x))])
                distance = i - np.arange(len(x))
                scores -= slope * (np.abs(distance) if self.switches.symmetric else distance)
                weights = np.exp(scores - scores.max())
                out[i, columns] = weights / weights.sum() @ value[:, columns]
        return out

    def slopes(self) -> list[float]:
        """start = 2^(-2^-(log2 n - 3)), slope i = start^(i + 1); for other n, filled from the series of twice n."""
        heads = self.shape.heads
        lower = 1 << (heads.bit_length() - 1)
        values = series(lower)
        values += (series(2 * lower)[0::2] if self.switches.slopes_of_two_series else values)[: heads - lower]
        return values if self.switches.slopes_in_order else values[::-1]

    def geglu(self, name: str, x: Array) -> Array:
        up = x @ self.weights[f"{name}.gated_layers.weight"].T
        first, second = up[:, : self.shape.intermediate], up[:, self.shape.intermediate :]
        gate, passed = (first, second) if self.switches.gate_first else (second, first)
        return self.dense(f"{name}.wo", self.gelu(gate) * passed)

    def gelu(self, x: Array) -> Array:
        if self.switches.exact_gelu:
            return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
        return x / (1 + np.exp(-1.702 * x))

    def dense(self, name: str, x: Array) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name: str, x: Array) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.shape.layer_norm_eps)
        return centred / deviation * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def series(heads: int) -> list[float]:
    start = 2.0 ** (-(2.0 ** -(math.log2(heads) - 3)))
    return [start ** (i + 1) for i in range(heads)]


def shape_of(heads: int) -> Shape:
    return Shape(family="jinabert", layers=2, hidden=48, heads=heads, intermediate=96, vocabulary=320, token_types=2)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    random = np.random.default_rng(11)
    return [(random.integers(0, 320, n), (np.arange(n) > n // 3).astype(np.int64)) for n in LENGTHS]


def ours(shape: Shape, pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> NDArray[np.float32]:
    model = CrossEncoder(shape)
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in seeded_tensors(shape, 1).items()})
    ids, types = (torch.from_numpy(np.concatenate(values)) for values in zip(*pairs, strict=True))
    offsets = [0, *np.cumsum([len(ids) for ids, _ in pairs]).tolist()]
    with torch.inference_mode():
        logits: NDArray[np.float32] = model(ids, types, offsets)[:, 0].numpy()
    return logits


def reference(
    shape: Shape, pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]], switches: Switches
) -> NDArray[np.float64]:
    slow = Reference(seeded_tensors(shape, 1), shape, switches)
    return np.array([slow.score(ids, types) for ids, types in pairs])


@pytest.mark.parametrize("heads", [1, 8, 12])
def test_scores_are_those_of_the_reference(
    heads: int, pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> None:
    expected = reference(shape_of(heads), pairs, Switches())
    assert expected.std() > 0.3
    np.testing.assert_allclose(ours(shape_of(heads), pairs), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("alias", ["tiny", "base"])
def test_layers_as_published_score_as_the_reference(alias: str) -> None:
    shape = msgspec.structs.replace(find_model(alias).shape, layers=2, vocabulary=320)
    random = np.random.default_rng(12)
    short = [(random.integers(0, 320, n), (np.arange(n) > n // 3).astype(np.int64)) for n in (1, 9, 40)]
    expected = reference(shape, short, Switches())
    assert expected.std() > 0.3
    np.testing.assert_allclose(ours(shape, short), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("switch", Switches.__dataclass_fields__)
def test_flipping_a_switch_moves_the_scores(
    switch: str, pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> None:
    flipped = reference(shape_of(12), pairs, Switches(**{switch: False}))
    assert np.abs(flipped - ours(shape_of(12), pairs)).max() >= 100 * TOLERANCE
