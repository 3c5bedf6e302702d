"""Memory of real servers, predicted beside measured, and what the published claims come to on a bill."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from cost_model.memory import load_memory
from cost_model.memory_bill import MemoryBill, memory_bills, saved
from cost_model.prices.book import load_prices
from cost_model.validation.memory import MeasuredServer, load_servers, predicted
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.contracts.manifest import Dtype, Engine
from tools.reference import markdown

TARGET = 0.10
REGION = "us-east-1"
WAYS: tuple[tuple[Engine, Dtype], ...] = (("openvino", "fp32"), ("openvino", "bf16"), ("torch", "fp32"))


def section(_: Path) -> str:
    measured = load_servers()
    hardware = measured.conditions["hardware"]
    return markdown.join(
        f"`{measured.conditions['command']}` on {measured.conditions['measured_at'][:10]}: {hardware['cpu_model']} "
        f"({hardware['instruction_set']}), {hardware['physical_cores']} cores; {measured.conditions['workload']}. "
        f"The parts (`cost_model/memory.toml`) were read on {load_memory().measured} off the first eight and the two "
        "mxbai; MiniLM-L-4 and L-12, bge and the servers of two workers had no part in them. In MiB; RSS is the sum of "
        "each process's own peak.",
        markdown.table(
            [
                "model",
                "engine",
                "workers",
                "idle RSS",
                "peak PSS",
                "peak RSS",
                "predicted",
                "error",
                "of which weights",
            ],
            [_row(server) for server in measured.servers],
        ),
        _verdict(measured.servers),
        "What that does to a bill, for the time of one request being the same (a faster model saves besides). On "
        "serverless a CPU is assumed that computes in fp32; Azure is billed by what is held, whatever the steps of "
        "its sizes.",
        *(_claims(*way) for way in WAYS),
        _says(),
    )


def _row(server: MeasuredServer) -> list[str]:
    need = predicted(server)
    weights = sum(part.mib for part in need.parts if part.name.startswith("weights"))
    return [
        server.model_id + ("" if server.seeded else " (genuine tokenizer)"),
        f"{server.engine} {server.dtype}",
        str(server.workers),
        f"{server.idle_rss_mib:,.0f}",
        f"{server.peak_pss_mib:,.0f}",
        f"{server.peak_rss_mib:,.0f}",
        f"{need.mib:,.0f}",
        f"{need.mib / server.peak_rss_mib - 1:+.1%}",
        f"{weights:,.0f}",
    ]


def _verdict(servers: Sequence[MeasuredServer]) -> str:
    errors = [abs(predicted(server).mib / server.peak_rss_mib - 1) for server in servers]
    within = sum(error <= TARGET for error in errors)
    return f"{within} of {len(errors)} are within {TARGET:.0%}; the largest error is {max(errors):.1%}."


def _bills(engine: Engine, dtype: Dtype) -> list[MemoryBill]:
    models = [find_model(alias) for alias in ("base", "turbo", "tiny")]
    return memory_bills(models, engine, dtype, load_prices(), REGION)


def _claims(engine: Engine, dtype: Dtype) -> str:
    rows = [
        [
            f"{bill.model.alias}, {engine} {dtype}",
            f"{bill.model.parameters / 1e6:.1f} M",
            f"{bill.weights_mib:,.0f}",
            f"{bill.need.mib:,.0f}",
            f"{bill.need.step_mb:,} MB" if bill.need.step_mb else "none",
            _dollars(bill.serverless),
            _dollars(bill.azure_functions),
            _dollars(bill.azure_container_apps),
        ]
        for bill in _bills(engine, dtype)
    ]
    heads = ["model", "parameters", "weights, MiB", "server, MiB", "serverless step", "serverless, $ per 1,000 s"]
    heads += ["Azure Functions, $ per 1,000 s", "Container Apps, memory alone, $ per 1,000 s"]
    return markdown.table(heads, rows)


def _says() -> str:
    lines = []
    for engine, dtype in WAYS:
        base, turbo, tiny = _bills(engine, dtype)
        for larger, smaller, claim in ((base, tiny, "about 75 %"), (turbo, tiny, "13 %")):
            lines.append(
                f"- {larger.model.alias} to {smaller.model.alias}, {engine} {dtype}: published {claim} less memory. "
                f"Weights {_share(saved(larger.weights_mib, smaller.weights_mib))} less, the server "
                f"{_share(saved(larger.need.mib, smaller.need.mib))}. The bill: SageMaker serverless "
                f"{_share(saved(larger.serverless, smaller.serverless))} less, Azure Functions "
                f"{_share(saved(larger.azure_functions, smaller.azure_functions))}, the memory line of Container Apps "
                f"{_share(saved(larger.azure_container_apps, smaller.azure_container_apps))}."
            )
    return "\n".join(
        [
            *lines,
            "",
            "So the claim holds for the weights. A server is more than its weights (interpreter, library, tokenizer, "
            "activations), so where the byte is billed, as on Azure, a little less is saved in OpenVINO's fp32, which "
            "holds the weights twice, and far less in its bf16 or with torch, which hold them once. On serverless, "
            "whose sizes go in steps of 1 GB, a saving there is only where two models fall on different steps: from "
            "base in OpenVINO's fp32, and never from turbo to tiny.",
        ]
    )


def _dollars(usd: Decimal | None) -> str:
    return "" if usd is None else f"{usd * 1000:.5f}"


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.0%}"
