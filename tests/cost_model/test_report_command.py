"""`rerank cost report`, and results in notebooks, as a user meets them."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from cost_model.billing.estimate import estimate
from cost_model.prices.book import load_prices
from rerank_toolkit.contracts.usage import Data, Realtime, Usage

FEW = ("--model", "tiny", "--mode", "realtime", "--instance", "ml.c7i.*")


def rerank(*words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """The command as its console script runs it, after the statement `before`."""
    program = f"{before}\nfrom rerank_toolkit.cli import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", program, "cost", "report", *words], capture_output=True, text=True, check=False
    )


def test_it_writes_the_page_and_its_pictures(tmp_path):
    out, pictures = tmp_path / "deep" / "report.html", tmp_path / "pictures"

    done = rerank("--out", str(out), "--pictures", str(pictures), *FEW)

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert str(out) in done.stderr
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {path.name for path in pictures.iterdir()} >= {"cost-quality.svg", "bill.svg", "latency-load.svg"}
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def test_nothing_within_the_limits_ends_with_3_and_still_writes_the_page(tmp_path):
    out = tmp_path / "report.html"

    done = rerank("--out", str(out), *FEW, "--max-p95-ms", "0.5")

    assert done.returncode == 3
    assert "0.5 ms" in done.stderr
    assert "Nothing meets the limits" in out.read_text(encoding="utf-8")


def test_all_faults_are_told_before_anything_is_written(tmp_path):
    (tmp_path / "file").write_text("")

    folders = rerank("--out", str(tmp_path), "--pictures", str(tmp_path / "file"))
    unknown = rerank("--out", str(tmp_path / "report.html"), "--model", "x", "--region", "mars-1")

    assert (folders.returncode, unknown.returncode) == (2, 2)
    assert "--out" in folders.stderr
    assert "--pictures" in folders.stderr
    assert "'x'" in unknown.stderr
    assert "'mars-1'" in unknown.stderr
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("package", ["altair", "vl_convert"])
def test_without_what_draws_it_says_what_to_install(tmp_path, package):
    done = rerank("--out", str(tmp_path / "report.html"), *FEW, before=f"import sys; sys.modules['{package}'] = None")

    assert done.returncode == 1
    assert package in done.stderr
    assert "pip install 'rerank-toolkit[report]'" in done.stderr


def test_results_show_themselves_in_notebooks(comparison):
    bill = estimate(
        Usage(region="us-east-1", items=[Realtime(instance="ml.m5.xlarge", hours=730), Data(gb_in=10, gb_out=8)]),
        load_prices(),
    )
    chosen = comparison.chosen
    assert chosen is not None

    for result, words in (
        (comparison, (chosen.label, "ml.g4dn.xlarge")),
        (chosen, (chosen.label, "AWS Price List")),
        (bill, ("$168.19", "ml.m5.xlarge", "Data in")),
    ):
        shown = result._repr_mimebundle_()
        assert shown["text/html"] == result._repr_html_()
        assert shown["text/html"].count("<table>") == 1
        assert len(shown["text/plain"].splitlines()) == 1
        for word in words:
            assert word in shown["text/html"], word


def test_a_notebook_gets_no_markup_out_of_a_name(question, comparison):
    hostile = msgspec.structs.replace(
        comparison, workload=msgspec.structs.replace(question.workload, name="<script>alert(1)</script>")
    )

    assert "<script" not in hostile._repr_html_()
    assert "&lt;script&gt;" in hostile._repr_html_()
