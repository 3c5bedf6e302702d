"""Random weights that behave: for tests, and for measuring speed, which depends on shapes alone.

Weights as small as a training run starts from would give every pair the same score, and then no comparison of
two computations can fail. These are scaled so that scores differ between inputs by far more than any tolerance,
and so that each part of the model (attention slopes, gates, token types, pooler) moves them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from inference_container.checkpoints import Sizes, published_tensors
from rerank_toolkit.catalog.shapes import Family, Shape
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.faults import Fault

_ATTENTION_GAIN = 3.0
"""Query and key entries of this deviation give attention scores of its square: peaked, but not one-hot."""
_VALUE_GAIN = 4.0
"""Values averaged over many tokens shrink; this keeps their part beside the residual."""
_CLASSIFIER_GAIN = 4.0


def seeded_tensors(shape: Shape, seed: int) -> dict[str, NDArray[np.float32]]:
    """Weights of this shape by published tensor name, fp32; the same seed gives the same weights.

    (With the same numpy: a new one may draw other numbers, see numpy's compatibility policy for Generator.)
    """
    random = np.random.Generator(np.random.PCG64(seed))
    return {name: _draw(random, name, sizes) for name, sizes in published_tensors(shape).items()}


def _draw(random: np.random.Generator, name: str, sizes: Sizes) -> NDArray[np.float32]:
    values = random.standard_normal(sizes, dtype=np.float32)
    if name.lower().endswith("layernorm.weight"):
        return 1 + values * np.float32(0.2)
    if name.endswith(".bias"):
        return values * np.float32(0.2)
    if "embeddings" in name:
        return values
    return values * np.float32(_gain(name) / np.sqrt(sizes[-1]))


def _gain(name: str) -> float:
    if ".query" in name or ".key" in name:
        return _ATTENTION_GAIN
    if ".value" in name or ".attention.output" in name:
        return _VALUE_GAIN
    if name in ("classifier.weight", "classifier.out_proj.weight"):
        return _CLASSIFIER_GAIN
    return 1.0


class _Specials(NamedTuple):
    tokens: tuple[str, ...]  # in the order of their ids, from 0
    first: str
    last: str
    between: tuple[str, ...]
    """What stands between query and document."""


_BERT_SPECIALS = _Specials(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), "[CLS]", "[SEP]", ("[SEP]",))
_SPECIALS: dict[Family, _Specials] = {
    "bert": _BERT_SPECIALS,
    "jinabert": _BERT_SPECIALS,
    "deberta-v2": _BERT_SPECIALS,
    "xlm-roberta": _Specials(("<s>", "<pad>", "</s>", "<unk>", "<mask>"), "<s>", "</s>", ("</s>", "</s>")),
}


def seeded_tokenizer(shape: Shape) -> Tokenizer:
    """A byte-level tokenizer whose ids fit the shape's vocabulary, with the family's special tokens and pair template.

    One token a byte, without merges: a word costs about five times the tokens of a trained tokenizer, so compare
    speeds at equal tokens, never at equal text. Truncates and pads nothing. Raises InvalidInput for a vocabulary
    too small for the bytes.
    """
    specials = _SPECIALS[shape.family]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    needed = len(specials.tokens) + len(alphabet)
    if shape.vocabulary < needed:
        fault = Fault("vocabulary", f"is {shape.vocabulary}; a byte-level tokenizer needs {needed}")
        raise InvalidInput("shape", [fault])
    ids = {token: index for index, token in enumerate([*specials.tokens, *alphabet])}

    tokenizer = Tokenizer(BPE(vocab=ids, merges=[]))
    tokenizer.add_special_tokens(list(specials.tokens))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    second = 1 if shape.token_types > 1 else 0
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{specials.first} $A {specials.last}",
        pair=f"{specials.first} $A {' '.join(specials.between)} $B:{second} {specials.last}:{second}",
        special_tokens=[(token, ids[token]) for token in (specials.first, specials.last)],
    )
    return tokenizer
