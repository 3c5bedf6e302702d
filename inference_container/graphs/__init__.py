"""Model graphs for OpenVINO, made in memory from an artifact's tensors: one file a family, no model file.

A graph takes three inputs, of B sequences that are padded to L tokens:

    embeddings  f32 (B, L, hidden)  rows of the word table; the table itself is in no graph
    type_ids    i32 (B, L)          only where the model tells token types apart
    lengths     i32 (B,)            tokens of each sequence, the rest is padding

and gives the last layer's output for each sequence's first token, f32 (B, hidden). `head` makes logits of these.
"""

from __future__ import annotations

# OpenVINO's package imports its model converter, and that reports each import to Google Analytics. The container
# converts nothing and calls nobody: where this module can't be imported, OpenVINO does without.
import sys

sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
