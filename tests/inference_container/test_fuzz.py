"""Whatever comes, the server answers it, and never with 500.

`make fuzz` sends 100,000 generated requests, with a seed of its own each time; a plain test run 5,000, always the same.
A request is made from its seed and number alone: a failure names both, and the request.
"""

from __future__ import annotations

import asyncio
import copy
import csv
import io
import json
import math
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inference_container.application import Application
from inference_container.dialects import DIALECTS, PATHS
from inference_container.metrics import Metrics
from inference_container.served import ServedModel
from inference_container.service import RerankService
from inference_container.workers.pool import WorkerPool
from rerank_toolkit.contracts.settings import Settings
from rerank_toolkit.contracts.wire import CUSTOM_ATTRIBUTES

COUNT = int(os.environ.get("FUZZ_COUNT", "5000"))
SEED = os.environ.get("FUZZ_SEED", "a plain test run")
AT_ONCE = 16
ANSWERS = {200, 400, 413, 415, 422}

TEXTS = (
    "what is a reranker", "", " ", "\n", "\x00", "a\x00b", "\ufeff", "\u200b", "\u2028", "é" * 50, "e\u0301" * 50,
    "\U0010ffff", "日本語のテキスト", "مرحبا", "🏴‍☠️" * 20, "[CLS] [SEP] [PAD] [UNK]", "<s> </s> <mask>", "x" * 700,
    "word " * 200, "ﷺ" * 30, "\t" * 300, "null", "{}", '"', "\\", "\\u0000", "a,b", 'a"b', "=1+1", "%s%d", "{index}",
    "../..",
)  # fmt: skip
NUMBERS = (0, 1, -1, 3, 2**31, 2**63, 2**64, -(2**64), 10**400, 0.5, -0.0, 1e308, 1e-320)
NAMES = (
    "query", "documents", "model", "top_n", "top_k", "return_documents", "max_doc_length", "max_tokens_per_doc",
    "truncate", "truncation_direction", "data", "text_pairs", "inputs", "parameters", "function_to_apply", "text",
    "text_pair", "texts", "raw_scores", "return_text", "api_version", "rank_fields", "max_chunks_per_doc", "input",
    "id", "", "\x00",
)  # fmt: skip
CONTENT_TYPES = (
    "application/json", "application/json; charset=utf-8", "text/csv", "text/csv;charset=latin-1",
    "application/jsonlines", "application/x-ndjson", "", ";;;=", "\xff", "multipart/form-data",
    "application/x-www-form-urlencoded",
)  # fmt: skip
ACCEPTS = ("*/*", "application/json", "application/jsonlines", "text/csv", "", "\xff;q=x")


@dataclass(frozen=True)
class Sent:
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


def generate(seed: str, number: int) -> Sent:
    chance = random.Random(f"{seed}:{number}")
    rows = chance.random() < 0.1
    if rows:
        body, content_type = csv_body(chance), "text/csv"
    else:
        many = chance.random() < 0.1
        lines = [json_body(chance) for _ in range(chance.randint(2, 5) if many else 1)]
        body, content_type = b"\n".join(lines), "application/jsonlines" if many else "application/json"
    if chance.random() < 0.15:
        body = damage(chance, body)
    headers = {"content-type": content_type}
    if chance.random() < 0.1:
        headers["content-type"] = chance.choice(CONTENT_TYPES)
    if chance.random() < 0.2:
        headers["accept"] = chance.choice(ACCEPTS)
    if chance.random() < 0.1:
        name = chance.choice((*DIALECTS, "", "none", "\xff", "jina;jina", "x" * 2000))
        headers[CUSTOM_ATTRIBUTES] = f"{chance.choice(('', 'trace=1; ', ';=;'))}dialect={name}"
    if chance.random() < 0.03:
        headers["content-encoding"] = chance.choice(("identity", "gzip", "", "\xff"))
    if chance.random() < 0.03:
        headers["content-length"] = chance.choice(("0", "-1", "many", "9" * 30))
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return Sent(chance.choice((*PATHS,)), encoded, body)


def text(chance: random.Random) -> str:
    if chance.random() < 0.5:
        return " ".join(chance.choices(("cat", "dog", "snow", "in", "May", "the", "mat"), k=chance.randint(1, 8)))
    if chance.random() < 0.3:
        return chance.choice(TEXTS)
    # No surrogates: no JSON encoder writes them. Damaged bodies have them as escapes.
    point = chance.choice((chance.randint(0, 127), chance.randint(0, 0xD7FF), chance.randint(0xE000, 0x10FFFF)))
    return chr(point) * chance.randint(1, 5)


def texts(chance: random.Random, write: Callable[[str], Any] = lambda one: one) -> list[Any]:
    return [write(text(chance)) for _ in range(chance.choice((1, 1, 2, 3, 8)))]


def sound(chance: random.Random) -> dict[str, Any]:
    """A body as one of the clients would send it."""
    as_object: Callable[[str], Any] = lambda one: {"text": one} if chance.random() < 0.5 else one  # noqa: E731
    options: dict[str, Any] = {
        "model": chance.choice((None, "small-bert", "another")),
        "top_n": chance.choice((None, 1, 2, 100)),
        "return_documents": chance.choice((None, True, False)),
        "max_doc_length": chance.choice((None, 1, 10, 512)),
        "truncate": chance.choice((None, True, True, False)),
        "truncation_direction": chance.choice((None, "right", "left")),
    }
    options = {name: value for name, value in options.items() if chance.random() < 0.3}
    query = text(chance)
    match chance.choice((*DIALECTS,)):
        case "jina":
            return {"query": as_object(query), "documents": texts(chance, as_object), **options}
        case "jina-sagemaker":
            items = [{"query": query, "documents": texts(chance, as_object)} for _ in range(chance.randint(1, 3))]
            return {"data": chance.choice((items, items[0]))}
        case "langchain":
            return {"text_pairs": texts(chance, lambda one: [chance.choice((query, text(chance))), one])}
        case "huggingface":
            pairs = texts(chance, lambda one: {"text": query, "text_pair": one})
            function = chance.choice((None, "none", "sigmoid"))
            return {"inputs": chance.choice((pairs, pairs[0])), "parameters": {"function_to_apply": function}}
        case "tei":
            flags = {"raw_scores": chance.random() < 0.5, "return_text": chance.random() < 0.5}
            return {"query": query, "texts": texts(chance), **flags, **options}
        case "cohere":
            version = chance.choice((1, 2))
            return {"query": query, "documents": texts(chance, as_object), "api_version": version, **options}
        case _:
            return {"input": texts(chance)}


def junk(chance: random.Random, depth: int = 0) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: None,
        lambda: chance.choice((True, False)),
        lambda: chance.choice(NUMBERS),
        lambda: text(chance),
        lambda: [junk(chance, depth + 1) for _ in range(chance.randint(0, 4))],
        lambda: {chance.choice(NAMES): junk(chance, depth + 1) for _ in range(chance.randint(0, 4))},
    ]
    return chance.choice(kinds[: 4 if depth > 3 else 6])()


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in `node` with each of its keys."""
    keys: Any = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from places(node[key])


def json_body(chance: random.Random) -> bytes:
    body: Any = sound(chance)
    if chance.random() < 0.02:
        body = junk(chance)
    while chance.random() < 0.4:
        if not (found := [*places(body)]):
            break
        node, key = chance.choice(found)
        match chance.randint(0, 4):
            case 0:
                del node[key]
            case 1:
                node[key] = junk(chance)
            case 2:
                node[key] = [copy.deepcopy(node[key])] * chance.choice((0, 1, 2, 9))
            case 3 if isinstance(node, dict):
                node[chance.choice(NAMES)] = junk(chance)
            case _ if isinstance(node, dict):
                node[chance.choice(NAMES)] = node.pop(key)
    return json.dumps(body, ensure_ascii=chance.random() < 0.5).encode()


def csv_body(chance: random.Random) -> bytes:
    out = io.StringIO()
    escaping = chance.random() < 0.5
    quoting = csv.QUOTE_NONE if escaping else chance.choice((csv.QUOTE_ALL, csv.QUOTE_MINIMAL))
    writer = csv.writer(out, quoting=quoting, escapechar="\\" if escaping else None, lineterminator="\n")
    for _ in range(chance.randint(1, 4)):
        documents: Any = texts(chance, lambda one: {"text": one}) if chance.random() < 0.9 else junk(chance)
        columns = ["id", text(chance), json.dumps(documents), chance.choice(("2", "1", "0", "many", "9" * 50))]
        if chance.random() < 0.2:
            del columns[chance.randrange(len(columns))]
        writer.writerow(columns)
    return out.getvalue().encode()


def damage(chance: random.Random, body: bytes) -> bytes:
    at, end = sorted(chance.choices(range(len(body) + 1), k=2))
    pieces = (
        b"", b"\xff", b"\x00", b"\xed\xa0\x80", b"\\ud800", b"\\udc00\\ud800", b"\xef\xbb\xbf", b'"', b"\\", b"}", b"]",
        b",", b"\n", b"NaN", b"-Infinity", b"1e999", b"1" * 5000, b"[" * 5000, b'{"a":' * 5000,
        b'"query":"",', b'"documents":null,',
    )  # fmt: skip
    match chance.randint(0, 4):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + chance.choice(pieces) + body[at:]
        case 2:
            return body[:at] + body[end:]
        case 3:
            return body[:at] + chance.choice(pieces) + body[end:]
        case _:
            return body[:at] + chance.randbytes(chance.randint(1, 20)) + body[end:]


@pytest.fixture(scope="module")
def model(small_bert: Path) -> Iterator[ServedModel]:
    settings = Settings(model_dir=str(small_bert), threads=1, log_level="error")
    with WorkerPool.running(settings) as pool:
        yield ServedModel.load(settings, pool)


async def send(application: Application, sent: Sent) -> tuple[int, dict[bytes, bytes], bytes]:
    """The status, headers and body of the answer, by the ASGI protocol itself."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": sent.path, "raw_path": sent.path.encode(), "query_string": b"", "root_path": "",
        "headers": sent.headers,        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    incoming = [{"type": "http.request", "body": sent.body, "more_body": False}]
    said: list[Any] = []

    async def receive() -> Any:
        if not incoming:
            await asyncio.Event().wait()
        return incoming.pop()

    async def hear(message: Any) -> None:
        said.append(message)

    await application.asgi(scope, receive, hear)
    start, *parts = said
    return start["status"], dict(start["headers"]), b"".join(part["body"] for part in parts)


def wrong(status: int, headers: dict[bytes, bytes], body: bytes) -> str | None:
    """What must not be about an answer."""
    if status not in ANSWERS:
        return f"status {status}"
    lines = body.splitlines() if headers[b"content-type"] == b"application/jsonlines" else [body]
    answers = [msgspec.json.decode(line) for line in lines]
    if status != 200:
        [answer] = answers
        says = isinstance(answer, dict) and (answer.get("detail") or answer.get("error") or answer.get("message"))
        return None if says else "an error without words"
    return None if answers and all(math.isfinite(score) for score in scores(answers)) else "scores that are none"


def scores(answer: Any) -> Iterator[float]:
    for node, key in places(answer):
        if key in {"score", "relevance_score"}:
            yield node[key]
        elif key == "scores":
            yield from node[key]


def test_no_request_is_answered_with_500(model: ServedModel, capsys: pytest.CaptureFixture[str]) -> None:
    told: Counter[tuple[str, int]] = Counter()
    failures: list[str] = []

    async def run() -> None:
        metrics = Metrics()
        settings = Settings(time_limit_s=3600)
        application = Application(settings, metrics)
        service = RerankService(model, settings, metrics)
        application.open(service, startup_s=1)
        numbers = iter(range(COUNT))

        async def caller() -> None:
            for number in numbers:
                sent = generate(SEED, number)
                async with asyncio.timeout(120):
                    status, headers, body = await send(application, sent)
                fault = wrong(status, headers, body)
                told[sent.path, status] += 1
                if fault:
                    failures.append(f"seed {SEED!r} number {number}: {fault}\n  {sent}\n  {body!r}")

        try:
            await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        finally:
            service.close("the test is over", timeout_s=10)
        exposed = metrics.render().decode()
        for name in DIALECTS:  # each was met, and answered both ways
            assert f'rerank_requests_total{{dialect="{name}",outcome="invalid"}}' in exposed
            assert name == "embeddings" or f'rerank_requests_total{{dialect="{name}",outcome="ok"}}' in exposed

    asyncio.run(run())
    if COUNT > 5000:
        with capsys.disabled():
            statuses = Counter[int]()
            for (_, status), count in told.items():
                statuses[status] += count
            print(f"\nseed {SEED!r}, {COUNT:,} requests: {dict(sorted(statuses.items()))}")
    assert not failures, f"{len(failures)} of {COUNT}, the first:\n" + "\n".join(failures[:5])
