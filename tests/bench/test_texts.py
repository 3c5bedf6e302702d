from __future__ import annotations

import pytest

from rerank_toolkit.bench.texts import WORDS, TextRuler, words


@pytest.mark.parametrize(("tokens_per_word", "overhead"), [(1, 3), (1.5, 4), (4, 0)])
def test_two_answers_tell_what_a_word_costs(tokens_per_word, overhead):
    def count_tokens(query, documents):
        return tokens_per_word * (len(query.split()) + len(documents[0].split())) + overhead

    ruler = TextRuler.calibrate(count_tokens)

    assert ruler.tokens_per_word == pytest.approx(tokens_per_word)
    assert ruler.overhead == pytest.approx(overhead)
    assert len(ruler.text(120).split()) * tokens_per_word == pytest.approx(120, abs=tokens_per_word / 2)


def test_a_text_is_never_empty():
    assert TextRuler(2.0, 3.0).text(0.1) in WORDS


def test_the_same_words_every_time_and_others_for_another_start():
    assert words(50, start=3) == words(50, start=3)
    assert words(50, start=3) != words(50, start=4)
