"""A cross-encoder of any family: an encoder, and a head of two dense layers on the first token.

The head computes projection(activation(dense(first token))); where its tensors stand in a checkpoint differs:

                     encoder    dense               activation   projection
    BERT, JinaBERT   bert       bert.pooler.dense   tanh         classifier
    XLM-RoBERTa      roberta    classifier.dense    tanh         classifier.out_proj
    DeBERTa-v2       deberta    pooler.dense        GELU         classifier

The forward pass is plain differentiable torch: engines wrap it in inference mode, training does not have to.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inference_container.models import bert, deberta
from rerank_toolkit.catalog.shapes import Shape


class CrossEncoder(nn.Module):
    """Pairs in, logits out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        dense, projection = nn.Linear(shape.hidden, shape.hidden), nn.Linear(shape.hidden, shape.labels)
        encoder: nn.Module
        match shape.family:
            case "bert" | "jinabert":
                self.bert = encoder = bert.Encoder(shape)
                encoder.pooler = nn.ModuleDict({"dense": dense})
                self.classifier: nn.Module = projection
            case "xlm-roberta":
                self.roberta = encoder = bert.Encoder(shape)
                self.classifier = nn.ModuleDict({"dense": dense, "out_proj": projection})
            case "deberta-v2":
                self.deberta = encoder = deberta.Encoder(shape)
                self.pooler = nn.ModuleDict({"dense": dense})
                self.classifier = projection
        self._activation = F.gelu if shape.family == "deberta-v2" else torch.tanh
        self._parts = (encoder, dense, projection)  # in a tuple: no second set of names for the same tensors

    def forward(self, ids: Tensor, type_ids: Tensor, offsets: list[int]) -> Tensor:
        """Logits (sequences, labels), fp32, of `ids` and `type_ids`, both (tokens,).

        `offsets` has sequences + 1 entries; sequence i is `ids[offsets[i]:offsets[i + 1]]`, [CLS] or <s> first.
        """
        encoder, dense, projection = self._parts
        first = encoder(ids, type_ids, offsets)  # (sequences, hidden)
        logits: Tensor = projection(self._activation(dense(first.float())))  # (sequences, labels)
        return logits

    def convert(self, dtype: torch.dtype) -> CrossEncoder:
        """Encoder in `dtype`, the head in fp32: it is a few rows only, and a bf16 logit near 9 has steps of 1/16."""
        _, dense, projection = self._parts
        self.to(dtype)
        dense.float()
        projection.float()
        return self
