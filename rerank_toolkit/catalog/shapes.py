"""The shape of an encoder, and what follows from it alone: parameters and arithmetic."""

from __future__ import annotations

from typing import Literal

import msgspec

Family = Literal["bert", "jinabert", "xlm-roberta", "deberta-v2"]

DEBERTA_DISTANCES = 512
"""Distances that DeBERTa-v3's checkpoints tell apart (max_relative_positions), far ones only roughly."""


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes of an encoder with a classification head, in the words of its config.json."""

    family: Family
    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int = 0
    """Rows of the learned position table; 0 where positions are relative (ALiBi, disentangled attention)."""
    token_types: int = 0
    relative_positions: int = 0
    """Rows of the relative position table of disentangled attention."""
    labels: int = 1
    layer_norm_eps: float = 1e-12

    @property
    def first_position(self) -> int:
        """Row of the position table for a sequence's first token.

        XLM-RoBERTa counts from the row after its padding token's, whose id is 1.
        """
        return 2 if self.family == "xlm-roberta" else 0

    @property
    def longest(self) -> int | None:
        """Tokens of the longest sequence that the model tells all positions of; None without such a bound (ALiBi)."""
        if self.family == "deberta-v2":
            return DEBERTA_DISTANCES
        return self.positions - self.first_position if self.positions else None


def count_parameters(shape: Shape) -> int:
    """Weights of the module, head and pooler included, tied or constant buffers not."""
    hidden, intermediate = shape.hidden, shape.intermediate
    square, norm = hidden * hidden + hidden, 2 * hidden

    embeddings = (shape.vocabulary + shape.positions + shape.token_types) * hidden + norm
    if shape.relative_positions:
        embeddings += shape.relative_positions * hidden + norm

    attention = 4 * square + norm
    if shape.family == "jinabert":  # GEGLU: two projections up, without bias
        feed_forward = 2 * intermediate * hidden + intermediate * hidden + hidden + norm
    else:
        feed_forward = intermediate * hidden + intermediate + intermediate * hidden + hidden + norm

    # XLM-RoBERTa's head is two layers without a pooler: as many weights as a pooler and a projection.
    head = square + shape.labels * (hidden + 1)
    return embeddings + shape.layers * (attention + feed_forward) + head


def encoder_parameters(shape: Shape) -> int:
    """Weights that a batch reads: all but the embeddings, of which it reads rows."""
    return count_parameters(shape) - (shape.vocabulary + shape.positions + shape.token_types) * shape.hidden


def flops(shape: Shape, tokens: int) -> int:
    """Floating-point operations to score one sequence of `tokens`, a multiply-add counted as two.

    All layers over all tokens; an engine that computes the last layer for [CLS] alone does less.
    """
    hidden = shape.hidden
    up = 2 if shape.family == "jinabert" else 1
    projections = 4 * hidden * hidden + (up + 1) * hidden * shape.intermediate
    per_layer = 2 * tokens * projections + 4 * tokens * tokens * hidden
    if shape.relative_positions:  # content-to-position and position-to-content products, with each distance there is
        per_layer += 4 * tokens * min(shape.relative_positions, 2 * tokens - 1) * hidden
    return shape.layers * per_layer


def flops_terms(shape: Shape, tokens: float) -> tuple[float, float]:
    """`flops` of a sequence of about `tokens` as so many a token and so many a pair of tokens."""
    of_pair = 4.0 * shape.layers * shape.hidden
    whole = max(1, round(tokens))
    return flops(shape, whole) / whole - of_pair * whole, of_pair
