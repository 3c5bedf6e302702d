"""Builds the corpus from the HTML of Debian's package python3.11-doc.

    apt-get download python3.11-doc && dpkg-deb -x python3.11-doc_*.deb unpacked
    python -m demo.corpus.build unpacked/usr/share/doc/python3.11/html

The same pages give the same bytes. README.md states the rule that this file carries out.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from demo.corpus.sections import Section, read_sections

MANUALS = ("extending", "faq", "howto", "reference", "tutorial", "using")
MIN_WORDS = 20
MAX_WORDS = 40
RELEASE = "3.11.2"


@dataclass(frozen=True)
class Corpus:
    passages: list[tuple[str, str]]
    """(id, text); the id is page#anchor within the documentation."""
    questions: list[tuple[str, str, str]]
    """(id, text, id of the passage that answers it)."""


def build(html: Path) -> Corpus:
    """The corpus of the pages under `html`, in the order of manual, page and section.

    Raises ValueError where the pages break what the rule relies on.
    """
    passages: dict[str, str] = {}
    questions: list[tuple[str, str, str]] = []
    for manual in MANUALS:
        for page in sorted((html / manual).glob("*.html")):
            for section in read_sections(page.read_text(encoding="utf-8")):
                words = section.text.split()
                if len(words) < MIN_WORDS:
                    continue
                passage = f"{manual}/{page.name}#{section.anchor}"
                if passage in passages:
                    raise ValueError(f"{passage}: two sections of one page share this anchor")
                passages[passage] = " ".join(words[:MAX_WORDS])
                if _is_question(manual, section):
                    questions.append((f"q{len(questions) + 1:03}", section.heading, passage))
    if not questions:
        raise ValueError(f"{html}: no FAQ found; expected the folder that holds {', '.join(MANUALS)}")
    return Corpus(list(passages.items()), questions)


def _is_question(manual: str, section: Section) -> bool:
    return manual == "faq" and not section.has_subsections


def licence(html: Path) -> str:
    """The licences under which the documentation comes, as its own licence page words them."""
    sources = html / "_sources"
    notice = (sources / "copyright.rst.txt").read_text(encoding="utf-8").split("-------")[0]
    page = (sources / "license.rst.txt").read_text(encoding="utf-8")
    start = page.index("Terms and conditions for accessing")
    end = page.index("Licenses and Acknowledgements for Incorporated Software")
    terms = re.sub(r"^\.\. (_\S+:|parsed-literal::)\n+", "", page[start:end], flags=re.MULTILINE)
    terms = re.sub(r":ref:`(.+?)( <\S+>)?`", r"\1", terms.replace("|release|", RELEASE))
    return f"{notice.strip()}\n\n\n{terms.strip()}\n"


def write(corpus: Corpus, out: Path) -> None:
    """Writes BEIR's three files into `out`."""
    _write_jsonl(out / "passages.jsonl", corpus.passages)
    _write_jsonl(out / "questions.jsonl", [(identifier, text) for identifier, text, _ in corpus.questions])
    table = io.StringIO()
    rows = csv.writer(table, delimiter="\t", lineterminator="\n")
    rows.writerow(["query-id", "corpus-id", "score"])
    rows.writerows([identifier, passage, 1] for identifier, _, passage in corpus.questions)
    (out / "qrels.tsv").write_text(table.getvalue(), encoding="utf-8")


def _write_jsonl(path: Path, rows: list[tuple[str, str]]) -> None:
    lines = (json.dumps({"_id": identifier, "text": text}, ensure_ascii=False) + "\n" for identifier, text in rows)
    path.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m demo.corpus.build FOLDER_OF_HTML_PAGES")
    html = Path(sys.argv[1])
    out = Path(__file__).parent
    try:
        corpus = build(html)
        text = licence(html)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    write(corpus, out)
    (out / "LICENSE.txt").write_text(text, encoding="utf-8")
    print(f"{len(corpus.passages)} passages, {len(corpus.questions)} questions in {out}")


if __name__ == "__main__":
    main()
