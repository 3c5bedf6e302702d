"""The corpus keeps the rule that its README states."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.collection import FOLDER, load_passages, load_questions
from demo.corpus.build import MANUALS, MAX_WORDS, MIN_WORDS, build, licence, write

PASSAGES = {passage.id: passage.text for passage in load_passages()}
QUESTIONS = load_questions()

PAGE = """<html><body><nav><section id="menu"><h2>Menu</h2></section></nav><div role="main">
<section id="top"><h1>Frequently asked<a class="headerlink" href="#top">¶</a></h1>
<div class="contents"><ul><li>How long?</li></ul></div>
<p>{opening}</p>
<section id="how-long"><h2><a class="toc-backref" href="#id1">How long is <code>x&amp;y</code>?</a>
<a class="headerlink" href="#how-long">¶</a></h2>
<p>Very <em>un</em>usual: <br>{words}</p><pre>if x:
    y</pre><table><tr><td>one</td><td>two</td></tr></table></section>
<section id="short"><h2>How short?</h2><p>Too short.</p></section>
</section></div></body></html>"""


def test_it_is_as_large_as_promised() -> None:
    assert len(PASSAGES) >= 500
    assert len(QUESTIONS) >= 50
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"{len(PASSAGES)} passages and {len(QUESTIONS)} questions" in readme


def test_ids_are_unique() -> None:
    assert len(load_passages()) == len(PASSAGES)
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)


def test_each_question_has_its_passage_from_the_faq() -> None:
    assert {question.right for question in QUESTIONS} <= PASSAGES.keys()
    assert len({question.right for question in QUESTIONS}) == len(QUESTIONS)
    assert all(question.right.startswith("faq/") for question in QUESTIONS)


def test_no_passage_holds_the_question_that_it_answers() -> None:
    def plain(text: str) -> str:
        return " ".join(re.findall(r"\w+", text.casefold()))

    assert not [question.text for question in QUESTIONS if plain(question.text) in plain(PASSAGES[question.right])]


def test_passages_have_the_stated_lengths_and_no_markup() -> None:
    lengths = [len(text.split()) for text in PASSAGES.values()]
    assert min(lengths) >= MIN_WORDS
    assert max(lengths) == MAX_WORDS
    assert not [text for text in PASSAGES.values() if "\n" in text or "¶" in text]
    assert len(set(PASSAGES.values())) == len(PASSAGES)


def test_the_licence_lies_beside_the_data() -> None:
    text = (FOLDER / "LICENSE.txt").read_text(encoding="utf-8")
    assert "PSF LICENSE AGREEMENT FOR PYTHON 3.11.2" in text
    assert "Python Software Foundation. All rights reserved" in " ".join(text.split())
    assert "PSF hereby" in text


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    for manual in MANUALS:
        (tmp_path / manual).mkdir()
    words = " ".join(f"w{number}" for number in range(150))
    (tmp_path / "faq" / "small.html").write_text(PAGE.format(opening=words, words=words[:100]), encoding="utf-8")
    return tmp_path


def test_a_section_becomes_a_passage_without_heading_and_subsections(pages: Path) -> None:
    corpus = build(pages)

    assert [identifier for identifier, _ in corpus.passages] == ["faq/small.html#top", "faq/small.html#how-long"]
    opening, answer = (text for _, text in corpus.passages)
    assert opening.split() == [f"w{number}" for number in range(MAX_WORDS)]
    assert answer.startswith("Very unusual: w0 w1 ")
    assert answer.endswith("if x: y one two")


def test_only_a_faq_section_without_subsections_is_a_question(pages: Path) -> None:
    assert build(pages).questions == [("q001", "How long is x&y?", "faq/small.html#how-long")]


def test_the_same_pages_give_the_same_bytes(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outs = [tmp_path_factory.mktemp("corpus") for _ in range(2)]
    for out in outs:
        write(build(pages), out)
    names = ["passages.jsonl", "qrels.tsv", "questions.jsonl"]
    assert sorted(path.name for path in outs[0].iterdir()) == names
    assert [(outs[0] / name).read_bytes() for name in names] == [(outs[1] / name).read_bytes() for name in names]


def test_what_is_written_is_read_back(pages: Path, tmp_path: Path) -> None:
    corpus = build(pages)
    write(corpus, tmp_path)

    assert [(passage.id, passage.text) for passage in load_passages(tmp_path)] == corpus.passages
    assert [(q.id, q.text, q.right) for q in load_questions(tmp_path)] == corpus.questions


def test_a_folder_without_a_faq_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no FAQ found; expected the folder that holds extending, faq"):
        build(tmp_path)


def test_two_sections_with_one_anchor_are_refused(pages: Path) -> None:
    page = pages / "faq" / "small.html"
    page.write_text(page.read_text(encoding="utf-8").replace('id="top"', 'id="how-long"'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"faq/small\.html#how-long: two sections"):
        build(pages)


def test_the_licence_page_loses_its_markup_and_no_words(tmp_path: Path) -> None:
    sources = tmp_path / "_sources"
    sources.mkdir()
    (sources / "copyright.rst.txt").write_text("Copyright © Us.\n\n-------\n\nSee elsewhere.\n", encoding="utf-8")
    (sources / "license.rst.txt").write_text(
        "History\n\nTerms and conditions for accessing\n===\n\nUnder :ref:`the terms <anchor>` of |release|.\n\n"
        ".. _anchor:\n\nThe terms\n\nLicenses and Acknowledgements for Incorporated Software\n",
        encoding="utf-8",
    )
    assert licence(tmp_path) == (
        "Copyright © Us.\n\n\nTerms and conditions for accessing\n===\n\nUnder the terms of 3.11.2.\n\nThe terms\n"
    )
