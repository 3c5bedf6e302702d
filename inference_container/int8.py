"""Linear layers in int8: 8-bit activations, one scale for the whole layer, times 8-bit weights, one scale an output.

A layer's y = W x + b becomes, with codes q from 0 to 255 for activations and w from -127 to 127 for weights,

    x[k] = low[k] + step[k] * q[k]        W[r, k] * step[k] = scale[r] * w[r, k]
    y[r] = scale[r] * sum_k w[r, k] * q[k]  +  sum_k scale[r] * w[r, k] * low[k] / step[k]  +  b[r]

so that the sum over k is one of integers, and what depends on the feature k is gone from it: into the codes on one
side and the weights on the other. Steps of their own for features with a wide range are what keeps the ranking.
With one step for all, a few features of LayerNorm's output, ten times as wide as the rest, take all of the codes:
Spearman's correlation with fp32 falls from 0.998 to 0.987 on a small encoder.

How much of a feature's range its step takes up, and how much is left to the weights, goes by an exponent (Xiao et
al., SmoothQuant, arXiv:2211.10438); each feature's range is centred first (Wei et al., Outlier Suppression+,
arXiv:2304.09145). Layers are static: their ranges come from texts at packaging, so that the codes are made in the
kernel before and no pass over the activations is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_container.checkpoints import LOW, SCALE, STEP, WEIGHT, Tensors, linear_layers
from rerank_toolkit.catalog.shapes import Shape

Range = tuple[NDArray[np.float32], NDArray[np.float32]]
"""The lowest and the highest value of each feature that goes into a layer, (inputs,) each."""

SMOOTHING = 0.8
"""Exponent of a feature's range in its step. 0 gives all features the same step, 1 gives each the whole of its
range and leaves the weights with rows as uneven. Of 0.5 to 1 the best on two small encoders are 0.75 to 0.85."""

_CODES = 255
_HIGHEST_WEIGHT = 127
_NARROWEST = np.float32(1e-5)
"""A feature that is always the same has no range to divide by."""


def quantise(tensors: Tensors, ranges: Mapping[str, Range], shape: Shape) -> dict[str, NDArray[Any]]:
    """Of each linear layer of the encoder its weights as int8, with scale, low and step; fp32 in, `ranges` by layer."""
    made: dict[str, NDArray[Any]] = {}
    for layers in _by_input(linear_layers(shape)):
        weights = [tensors[f"{name}{WEIGHT}"].astype(np.float32) for name in layers]
        seen = [ranges[name] for name in layers]  # a last layer's query sees first tokens alone
        lowest, highest = (np.min([low for low, _ in seen], axis=0), np.max([high for _, high in seen], axis=0))
        low, step = _codes((lowest, highest), np.abs(np.concatenate(weights)).max(axis=0))
        for name, weight in zip(layers, weights, strict=True):
            scaled = weight * step  # (outputs, inputs)
            scale = np.maximum(np.abs(scaled).max(axis=1), np.finfo(np.float32).tiny) / _HIGHEST_WEIGHT
            made[f"{name}{WEIGHT}"] = np.rint(scaled / scale[:, None]).astype(np.int8)
            made |= {f"{name}{SCALE}": scale, f"{name}{LOW}": low, f"{name}{STEP}": step}
    return made


def _codes(seen: Range, weight: NDArray[np.float32]) -> Range:
    """`low` and `step`, (inputs,) each, for features of the range `seen` and the largest weights `weight`."""
    lowest, highest = seen
    half = np.maximum((highest - lowest) / 2, _NARROWEST)
    share = half**SMOOTHING / np.maximum(weight, _NARROWEST) ** (1 - SMOOTHING)
    step = share * (2 * (half / share).max() / _CODES)
    return ((lowest + highest) / 2 - step * (_CODES / 2)).astype(np.float32), step.astype(np.float32)


def _by_input(layers: Iterable[str]) -> list[list[str]]:
    """Query, key and value of a layer read the same input, so engines may code it once for the three."""
    groups: dict[str, list[str]] = {}
    for name in layers:
        groups.setdefault(name.rpartition(".")[0] if ".attention.self." in name else name, []).append(name)
    return list(groups.values())
