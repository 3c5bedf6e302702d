"""How much of a machine's arithmetic a model's speed is."""

from __future__ import annotations

from rerank_toolkit.catalog.shapes import Shape


def necessary_flops(shape: Shape, *, documents: int, tokens: int, sum_squared_tokens: float) -> float:
    """Operations that scoring can't do without, a multiply-add counted as two: no padding, and in the last layer
    keys and values of all tokens but query, output projection and feed-forward of [CLS] alone.

    For the families without relative positions, embeddings and head left out: both are nothing beside the layers.
    """
    hidden = shape.hidden
    up = 2 if shape.family == "jinabert" else 1  # GEGLU: two projections up
    feed_forward = (up + 1) * hidden * shape.intermediate
    whole_layer = 2 * tokens * (4 * hidden * hidden + feed_forward) + 4 * sum_squared_tokens * hidden
    last_layer = (
        2 * tokens * 2 * hidden * hidden + 2 * documents * (2 * hidden * hidden + feed_forward) + 4 * tokens * hidden
    )
    return (shape.layers - 1) * whole_layer + last_layer
