"""The report in a browser without a network: how it looks, sorts and prints, and that nothing leaves it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from cost_model.report.html import draw_figures, page
from cost_model.report.view import View

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    "--proxy-server=http://127.0.0.1:9",  # nobody listens there: no network
    "--window-size=1000,6000",
)


@pytest.fixture(scope="module")
def report(view: View, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page(view, draw_figures(view)), encoding="utf-8")
    return path


def browse(path: Path, profile: Path, *options: str) -> str:
    """What chromium prints, with a profile of its own."""
    done = subprocess.run(
        [str(CHROMIUM), *QUIET, f"--user-data-dir={profile}", *options, path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def probe(report: Path, tmp_path: Path, script: str, *options: str) -> Any:
    """What `script`, a function's body, returns on the page once its own script has run."""
    html = report.read_text(encoding="utf-8")
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)  # it forbids the probe
    found = f"<script>const found = (() => {{ {script} }})();"
    found += "const out = document.createElement('pre'); out.id = 'probe';"
    found += "out.textContent = JSON.stringify(found); document.body.append(out);</script>"
    copy = tmp_path / "probed.html"
    copy.write_text(html.replace("</body>", f"{found}</body>"), encoding="utf-8")
    dom = browse(copy, tmp_path / "profile", "--dump-dom", *options)
    answer = re.search(r'<pre id="probe">(.*?)</pre>', dom, flags=re.DOTALL)
    assert answer, dom[-500:]
    return json.loads(unescape(answer[1]))


def requests_of(path: Path, tmp_path: Path, *options: str) -> list[str]:
    """The addresses that the page asked for, as the browser's own log of the network has them.

    What the browser asks for itself, such as its updates, has no origin there; the page's has.
    """
    log = tmp_path / "net.json"
    browse(path, tmp_path / "profile", f"--log-net-log={log}", *options)
    found = []
    for event in log.read_text(encoding="utf-8").splitlines():  # an event a line
        origin, url = re.search(r'"initiator":"([^"]*)"', event), re.search(r'"url":"([^"]*)"', event)
        if origin and url and origin[1] != "not an origin":
            found.append(url[1])
    return found


def test_no_request_leaves_the_page(report, tmp_path):
    picture = tmp_path / "page.png"

    assert requests_of(report, tmp_path, f"--screenshot={picture}") == []
    assert picture.stat().st_size > 100_000


def test_a_request_would_be_seen(tmp_path):
    path = tmp_path / "leaky.html"
    path.write_text('<img src="http://example.invalid/pixel.png">', encoding="utf-8")

    assert requests_of(path, tmp_path, "--dump-dom") == ["http://example.invalid/pixel.png"]


def test_an_injected_script_would_not_run(report, tmp_path):
    """The page's policy lets its own script run alone, should a text ever get through unescaped."""
    copy = tmp_path / "injected.html"
    injected = "<script>document.title = 'taken over'</script><img src=x onerror=\"document.title = 'taken over'\">"
    copy.write_text(report.read_text(encoding="utf-8").replace("</body>", f"{injected}</body>"), encoding="utf-8")

    dom = browse(copy, tmp_path / "profile", "--dump-dom")

    assert "<title>What reranking costs" in dom
    assert "<th" in dom
    assert "<button" in dom  # while the page's own has run


LEGIBLE = """
const light = (colour) => {
  const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const paper = getComputedStyle(document.body).backgroundColor;
const faults = [];
let texts = 0;
for (const svg of document.querySelectorAll("figure svg")) {
  const name = svg.closest("section").id, frame = svg.getBoundingClientRect();
  const labels = [...svg.querySelectorAll("text")].filter((label) => label.textContent.trim());
  const boxes = labels.map((label) => label.getBoundingClientRect());
  labels.forEach((label, at) => {
    texts += 1;
    const box = boxes[at], what = `${name}: ${label.textContent}`;
    if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1
        || box.bottom > frame.bottom + 1) faults.push(`${what} leaves the picture`);
    if (box.height < 9 || parseFloat(getComputedStyle(label).fontSize) < 9) faults.push(`${what} is tiny`);
    const pair = [light(getComputedStyle(label).fill), light(paper)].sort((a, b) => b - a);
    if ((pair[0] + 0.05) / (pair[1] + 0.05) < 4.5) faults.push(`${what} is hard to read`);
    for (let other = 0; other < at; other += 1) {
      const wide = Math.min(box.right, boxes[other].right) - Math.max(box.left, boxes[other].left);
      const high = Math.min(box.bottom, boxes[other].bottom) - Math.max(box.top, boxes[other].top);
      if (wide > 1 && high > 4) faults.push(`${what} lies on ${labels[other].textContent}`);
    }
  });
}
return { paper, texts, faults };
"""


@pytest.mark.parametrize(("options", "dark"), [((), False), (("--force-dark-mode",), True)], ids=["light", "dark"])
def test_every_label_is_inside_its_picture_on_no_other_and_legible(report, tmp_path, options, dark):
    found = probe(report, tmp_path, LEGIBLE, *options)

    assert found["texts"] > 100
    assert found["faults"] == []
    assert (found["paper"] == "rgb(255, 255, 255)") != dark


def test_a_click_on_a_head_sorts_by_value_and_keeps_the_unknown_last(report, tmp_path):
    orders = probe(
        report,
        tmp_path,
        """
        const table = document.querySelector("#options table"), heads = [...table.tHead.rows[0].cells];
        const sorted = (name) => {
          const at = heads.findIndex((head) => head.textContent.startsWith(name));
          const click = () => {
            heads[at].querySelector("button").click();
            return [...table.tBodies[0].rows].map((row) => row.cells[at].dataset.key ?? null);
          };
          return { up: click(), said: heads[at].getAttribute("aria-sort"), down: click() };
        };
        return { cost: sorted("$ a month"), quality: sorted("BEIR"), model: sorted("Model") };
        """,
    )

    for name in ("cost", "quality"):
        up = [float(key) for key in orders[name]["up"] if key is not None]
        assert len(set(up)) > 1
        assert up == sorted(up)
        assert [float(key) for key in orders[name]["down"] if key is not None] == sorted(up, reverse=True)
        assert orders[name]["said"] == "ascending"
    unknown = orders["quality"]["up"].count(None)
    assert unknown > 0
    for way in ("up", "down"):
        assert orders["quality"][way][-unknown:] == [None] * unknown
    assert orders["model"]["up"] == sorted(orders["model"]["up"])


def test_a_mark_tells_what_it_stands_for(report, tmp_path):
    titles = probe(
        report,
        tmp_path,
        "return [...document.querySelectorAll('#cost-quality path > title')].map((t) => t.textContent)",
    )

    assert len(titles) > 20
    assert any(re.search(r"tiny on .*: \$[\d,.]+ a month, p95 [\d,]+ ms", title) for title in titles)


def test_it_is_read_without_script_and_on_a_narrow_screen(report, tmp_path):
    found = probe(
        report,
        tmp_path,
        """
        return { wide: document.documentElement.scrollWidth, screen: document.documentElement.clientWidth,
                 tables: document.querySelectorAll("table tbody tr").length };
        """,
        "--window-size=500,900",
    )
    assert found["wide"] <= found["screen"]

    bare = re.sub(r"<script>.*?</script>", "", report.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert bare.count("<tr>") >= found["tables"]


def test_it_prints_on_few_pages(report, tmp_path):
    out = tmp_path / "report.pdf"

    browse(report, tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={out}")

    pages = re.findall(rb"/Type\s*/Page\b", out.read_bytes())
    assert 5 <= len(pages) <= 20
