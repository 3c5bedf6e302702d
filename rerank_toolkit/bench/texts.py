"""Text of a wanted number of tokens, without knowing the model's tokenizer.

Two requests tell how many tokens a word costs and how many come with every pair; the rest is arithmetic. The
exact numbers are read from each answer, so an approximate text does no harm to a measurement.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Common English words, one token each in the vocabularies of BERT and its kin.
_COMMON = (
    "the of and to in is was for on that by with as at from his it an are were which this also be has or had first "
    "one their its after new who they two her she been other when time during there into all may years more school "
    "over only world would where later up such used many can state about national out known some university united "
    "most under made early part then while between no area including film age season south team since city against "
    "second house number war people games company member line music group river music town public club book water "
    "road street church north government law power family day president service station field court building land"
)
WORDS = tuple(_COMMON.split())

SHORT_PROBE_WORDS = 8
LONG_PROBE_WORDS = 104


@dataclass(frozen=True, slots=True)
class TextRuler:
    """Turns tokens into words: a pair of q and d words has `overhead + tokens_per_word * (q + d)` tokens."""

    tokens_per_word: float
    overhead: float

    @classmethod
    def calibrate(cls, count_tokens: Callable[[str, Sequence[str]], int]) -> TextRuler:
        """Asks `count_tokens(query, documents)` twice."""
        short, long = SHORT_PROBE_WORDS, LONG_PROBE_WORDS
        few = count_tokens(words(1), [words(short)])
        many = count_tokens(words(1), [words(long)])
        tokens_per_word = max((many - few) / (long - short), 0.01)
        return cls(tokens_per_word, max(few - tokens_per_word * (short + 1), 0.0))

    def text(self, tokens: float, *, start: int = 0) -> str:
        """Words worth about `tokens`, one at least; another `start` gives another text."""
        return words(max(1, round(tokens / self.tokens_per_word)), start=start)


def words(count: int, *, start: int = 0) -> str:
    """`count` words, the same on every machine: the list above shuffled by a seed, over and over."""
    return " ".join(random.Random(start).choices(WORDS, k=count))
