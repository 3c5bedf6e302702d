"""Faults of every kind: each is told, each ends with 1, and the snapshot in hand stays byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cost_model.prices.bulk import OFFER_INDEX
from cost_model.prices.download import ATTEMPTS, Downloader, check_base_url
from cost_model.prices.errors import RefreshFailed
from rerank_toolkit.contracts.errors import InvalidInput

from .server import PriceServer, send
from .shapes import HOSTING, PriceList, plan_file, us_east_1
from .stores import digest


def refresh(server: PriceServer | None, store: Path, *words: str) -> subprocess.CompletedProcess[str]:
    address = ["--base-url", server.url] if server else []
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "rerank_toolkit.cli",
            "cost",
            "prices",
            "refresh",
            "--out",
            str(store),
            *address,
            *words,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"NO_COLOR": "1", "RERANK_PRICES": os.devnull},
    )


def path_of(server: PriceServer, region: str) -> str:
    (path,) = [path for path in server.files if path.endswith(f"/{region}/index.json")]
    return path


def listed(change: Callable[[PriceList], Any]) -> Callable[[PriceServer], None]:
    """Serves the good list, changed."""

    def serve(server: PriceServer) -> None:
        prices = us_east_1()
        change(prices)
        server.serve(prices)

    return serve


def replaced(body: Callable[[bytes], bytes]) -> Callable[[PriceServer], None]:
    def serve(server: PriceServer) -> None:
        path = path_of(server, "us-east-1")
        whole = server.files[path]
        assert isinstance(whole, bytes)
        server.files[path] = body(whole)

    return serve


def answered(status: int) -> Callable[[PriceServer], None]:
    def serve(server: PriceServer) -> None:
        server.files[path_of(server, "us-east-1")] = lambda handler: send(handler, b"no", status=status)

    return serve


def cut(server: PriceServer) -> None:
    """The answer announces the whole file, and the connection ends after half of it."""
    path = path_of(server, "us-east-1")
    whole = server.files[path]
    assert isinstance(whole, bytes)
    server.files[path] = lambda handler: send(handler, whole[: len(whole) // 2], length=len(whole))


def moved(server: PriceServer) -> None:
    def redirect(handler: Any) -> None:
        handler.send_response(302)
        handler.send_header("Location", "http://127.0.0.1:9/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.files[path_of(server, "us-east-1")] = redirect


def leading_away(url: str) -> Callable[[PriceServer], None]:
    return lambda server: server.index({"us-east-1": {"regionCode": "us-east-1", "currentVersionUrl": url}})


def lose(prices: PriceList) -> None:
    """Two of the five instance types."""
    gone = {"ml.m5.large", "ml.g5.xlarge"}
    prices.products = {
        sku: product
        for sku, product in prices.products.items()
        if product["attributes"].get("instanceName") not in gone
    }


def reprice(sku_of: str, usd: str | dict[str, str], unit: str = "Hrs") -> Callable[[PriceList], None]:
    def change(prices: PriceList) -> None:
        sku = next(
            sku for sku, product in prices.products.items() if product["attributes"].get("instanceName") == sku_of
        )
        del prices.on_demand[sku]
        prices.offer(sku, unit, usd)

    return change


def publish(text: str | None) -> Callable[[PriceList], None]:
    def change(prices: PriceList) -> None:
        prices.published = text

    return change


FAULTS: dict[str, tuple[Callable[[PriceServer], None], str]] = {
    "no index": (lambda server: server.files.pop(OFFER_INDEX), "region_index.json: answers 404"),
    "an index that is no JSON": (
        lambda server: server.files.update({OFFER_INDEX: b"<html>"}),
        "is no index of regions",
    ),
    "an index of another shape": (lambda server: server.index([1, 2]), "is no index of regions"),
    "a path to another host": (leading_away("//127.0.0.1:9/x"), "is no path on the server"),
    "an address of another host": (leading_away("https://example.org/x"), "is no path on the server"),
    "a redirect": (moved, "answers 302"),
    "forbidden": (answered(403), "answers 403"),
    "busy for good": (answered(503), f"tried {ATTEMPTS} times: it answers 503"),
    "a connection that is cut": (cut, f"tried {ATTEMPTS} times"),
    "a file that ends early": (replaced(lambda whole: whole[: len(whole) // 2]), "not whole or not JSON"),
    "a file cut inside a name": (replaced(lambda whole: whole[:40]), "not whole or not JSON"),
    "an empty file": (replaced(lambda _: b""), "not whole or not JSON"),
    "HTML": (replaced(lambda _: b"<html>sorry</html>"), "not whole or not JSON"),
    "no UTF-8": (replaced(lambda whole: whole.replace(b"somewhere", b"\xff\xfe")), "not whole or not JSON"),
    "a list": (replaced(lambda _: b"[1, 2, 3]"), "publicationDate: is missing"),
    "no products": (replaced(lambda _: json.dumps(PriceList("us-east-1").bulk()).encode()), "holds no price"),
    "no date": (listed(publish(None)), "publicationDate: is missing"),
    "a date that is none": (listed(publish("yesterday")), "publicationDate: is 'yesterday'"),
    "an older list": (listed(publish("2026-09-30T00:00:00Z")), "older than the prices in hand (2026-10-01)"),
    "an ambiguous SKU": (
        listed(lambda prices: prices.instance("ml.m5.large", "0.1160000000", sku="ANOTHERONE")),
        "us-east-1, hosting ml.m5.large: the list names several prices: 0.115 (SKU SKU0000000000000) and 0.116 (SKU "
        "ANOTHERONE); which one holds? --leave-out-ambiguous",
    ),
    "two offers that differ": (
        listed(lambda prices: prices.offer("SKU0000000000000", "Hrs", "0.2", code="OTHERTERMS")),
        "the list names several prices",
    ),
    "a price that is no number": (listed(reprice("ml.m5.large", "about 1")), "has the price 'about 1'"),
    "a price below zero": (listed(reprice("ml.m5.large", "-0.1")), "has the price '-0.1'"),
    "a price that is NaN": (listed(reprice("ml.m5.large", "NaN")), "has the price 'NaN'"),
    "another currency": (listed(reprice("ml.m5.large", {"CNY": "1.1"})), "has no price in USD, only in CNY"),
    "another unit": (listed(reprice("ml.m5.large", "0.115", "Days")), "is priced by 'Days'; expected 'Hrs'"),
    "a price that is an object": (listed(reprice("ml.m5.large", {"USD": {"a": "b"}})), "hosting ml.m5.large (SKU"),  # type: ignore[dict-item]
    "eleven times the price": (
        listed(reprice("ml.g5.xlarge", "15.5")),
        "was 1.408 and would be 15.5: more than tenfold",
    ),
    "a twelfth of the price": (listed(reprice("ml.g5.xlarge", "0.117")), "more than tenfold"),
    "a lost fifth": (listed(lose), "2 of 5 prices are gone: ml.m5.large, ml.g5.xlarge"),
}


@pytest.mark.parametrize(("spoil", "told"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_told_and_changes_nothing(spoil, told, server, store, capsys):
    spoil(server)
    before = digest(store)

    with pytest.raises(RefreshFailed) as caught:
        _run("--base-url", server.url, "--out", str(store), "--region", "us-east-1")

    assert told in str(caught.value)
    assert caught.value.exit_code == 1
    assert digest(store) == before
    assert capsys.readouterr().out == ""


def _run(*words: str) -> None:
    """The command in this process: quicker by a second than one of its own, thirty times."""
    from cost_model.cli_prices import app

    app(["refresh", *words], exit_on_error=False, print_error=False, result_action="return_value")


def test_all_doubts_are_told_at_once(server, store):
    prices = us_east_1()
    reprice("ml.g5.xlarge", "99")(prices)
    reprice("ml.m5.2xlarge", "0.001")(prices)
    prices.instance("ml.m5.large", "0.2", sku="X")
    server.serve(prices)

    done = refresh(server, store, "--region", "us-east-1")

    assert done.returncode == 1
    assert done.stdout == ""
    assert "no price was changed" in done.stderr
    for part in ("ml.g5.xlarge: was 1.408", "ml.m5.2xlarge: was 0.461", "ml.m5.large: the list names several"):
        assert part in done.stderr


def test_a_fault_in_the_last_region_keeps_the_first_as_it_was(server, store):
    server.files[path_of(server, "us-east-1")] = b"{"
    before = digest(store)

    done = refresh(server, store, "--region", "eu-west-1", "--region", "us-east-1")

    assert done.returncode == 1
    assert "us-east-1: its file is not whole" in done.stderr
    assert digest(store) == before


def test_a_server_that_is_not_there_is_told(store):
    before = digest(store)

    done = refresh(None, store, "--base-url", "http://127.0.0.1:9", "--region", "us-east-1")

    assert done.returncode == 1
    assert "http://127.0.0.1:9" in done.stderr
    assert "can't be fetched" in done.stderr
    assert digest(store) == before


def test_a_file_beyond_the_limit_is_not_read_on(server, tmp_path):
    with Downloader(server.url, most_bytes=100) as downloader, pytest.raises(RefreshFailed, match="is larger than"):
        downloader.fetch(path_of(server, "us-east-1"), tmp_path / "file")


@pytest.mark.parametrize(
    "address",
    ["http://example.org", "http://10.0.0.1", "ftp://127.0.0.1", "pricing", "https://", "http://[::1", "file:///etc"],
)
def test_an_address_that_anyone_could_answer_for_is_refused(address, store):
    with pytest.raises(InvalidInput, match="--base-url"):
        check_base_url(address)


@pytest.mark.parametrize(
    "address", ["https://example.org", "http://127.0.0.1:80", "http://localhost:1/", "http://[::1]:8"]
)
def test_https_and_this_machine_are_fine(address):
    assert check_base_url(address) == address.rstrip("/")


PLAN_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no covered usage": (plan_file("us-east-1", {"USE1-Train:ml.m5.xlarge": "0.1"}), "holds no price"),
    "another unit": (plan_file("us-east-1", {"USE1-Host:ml.m5.xlarge": "0.1"}, unit="Days"), "'Days'"),
    "a price that is none": (plan_file("us-east-1", {"USE1-Host:ml.m5.xlarge": "0"}), "expected dollars above 0"),
    "no date": (plan_file("us-east-1", {"USE1-Host:ml.m5.xlarge": "0.1"}, publicationDate=""), "publicationDate"),
    "a term without a length": (
        plan_file(
            "us-east-1",
            {},
            terms={
                "savingsPlan": [{"description": "?", "leaseContractLength": {"duration": 1, "unit": "x"}, "rates": []}]
            },
        ),
        "doesn't say for how many years",
    ),
    "a term of another shape": (plan_file("us-east-1", {}, terms={"savingsPlan": [{"sku": "A"}]}), "a term: "),
}


@pytest.mark.parametrize(("document", "told"), PLAN_FAULTS.values(), ids=PLAN_FAULTS.keys())
def test_a_fault_in_the_savings_plans_changes_nothing(document, told, server, store):
    server.serve_plans("us-east-1", document)
    before = digest(store)

    with pytest.raises(RefreshFailed) as caught:
        _run("--base-url", server.url, "--out", str(store), "--region", "us-east-1", "--savings-plans")

    assert told in str(caught.value)
    assert digest(store) == before


def test_the_list_that_the_faults_spoil_is_a_good_one(server, store):
    done = refresh(server, store, "--region", "us-east-1", "--json")

    assert done.returncode == 0, done.stderr
    (change,) = json.loads(done.stdout)["regions"]
    assert change["changed"] == 1
    assert change["new"] == 2 + 2 * 5
    assert len(HOSTING) == 5
