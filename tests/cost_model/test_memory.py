"""What a server needs of memory, and which sizes hold it."""

from __future__ import annotations

import math

import pytest

from cost_model.memory import (
    memory_of,
    memory_on,
    serverless_step,
    tokenizer_kind,
    workers_started,
)
from cost_model.memory_bill import memory_bills, saved
from cost_model.prices.book import load_prices
from cost_model.service_time import Speed, find_speed, load_profiles
from cost_model.workload import Workload
from inference_container.workers.plan import plan_workers
from rerank_toolkit.catalog.models import find_model, load_models
from rerank_toolkit.catalog.worker_memory import FRONT_MIB, worker_mib
from rerank_toolkit.contracts.manifest import Dtype, Manifest
from rerank_toolkit.contracts.profile import Hardware
from rerank_toolkit.contracts.settings import Settings


def mib(model: str, engine: str = "openvino", dtype: str = "bf16", **options: float) -> float:
    return memory_of(find_model(model), engine, dtype, **options).mib


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_more_of_anything_needs_no_less(engine):
    dtype = "bf16" if engine == "openvino" else "fp32"

    assert mib("tiny", engine, dtype) < mib("turbo", engine, dtype) < mib("base", engine, dtype)
    by_workers = [mib("tiny", engine, dtype, workers=workers) for workers in (1, 2, 8)]
    by_length = [mib("tiny", engine, dtype, longest_tokens=tokens) for tokens in (16, 512, 2048, 3071, 3072, 8192)]
    assert by_workers == sorted(by_workers)
    assert by_length == sorted(by_length)


@pytest.mark.parametrize(("engine", "dtype", "mapped"), [("openvino", "bf16", 0), ("torch", "fp32", 434)])
def test_workers_share_what_is_mapped_and_the_front(engine, dtype, mapped):
    one, two = (memory_of(find_model("base"), engine, dtype, workers=workers) for workers in (1, 2))
    parts = {part.name: part.mib for part in one.parts}
    assert parts["weights, mapped once"] == pytest.approx(mapped, abs=1)

    shared = parts["front"] + parts["tokenizer"] + parts["weights, mapped once"]
    assert two.mib == pytest.approx(2 * one.mib - shared)
    assert sum(parts.values()) == pytest.approx(one.mib)
    assert one.basis.startswith("by parts measured on 2026-11-22, 1 worker: front 59, tokenizer 6, ")
    assert ("mapped once" in one.basis) == bool(mapped)


def test_int8_needs_less_than_bf16_and_fp32_more():
    assert mib("base", dtype="int8") < mib("base", dtype="bf16") < mib("base", dtype="fp32")


def test_a_seeded_model_has_no_tokenizer_to_speak_of():
    assert mib("bge-base") - mib("bge-base", seeded=True) == pytest.approx(250, abs=0.1)


def test_the_families_have_their_tokenizers():
    kinds = {model.alias: tokenizer_kind(model.shape) for model in load_models().values()}

    assert (kinds["base"], kinds["turbo"], kinds["minilm-l6"], kinds["bge-base"], kinds["mxbai-base"]) == (
        "wordpiece",
        "bpe",
        "wordpiece",
        "unigram",
        "unigram",
    )


@pytest.mark.parametrize(("need", "step"), [(1, 1024), (1024, 1024), (1025, 2048), (6144, 6144), (6145, None)])
def test_the_serverless_step_is_the_least_that_holds_it(need, step):
    assert serverless_step(need) == step


COMPUTED: list[tuple[Dtype, str, Dtype]] = [
    ("bf16", "amx", "bf16"),
    ("bf16", "avx512_bf16", "bf16"),
    ("bf16", "avx512_vnni", "fp32"),
    ("bf16", "avx2", "fp32"),
    ("bf16", "sve_bf16", "fp16"),
    ("bf16", "neon", "fp16"),
    ("fp32", "amx", "fp32"),
    ("int8", "avx512_vnni", "int8"),
]


@pytest.mark.parametrize("alias", ["tiny", "base", "bge-base", "mxbai-base"])
@pytest.mark.parametrize("machine", [(1, 1024), (2, 2048), (2, 4096), (8, 16384), (48, 98304)])
@pytest.mark.parametrize(("stored", "instruction_set", "computed"), COMPUTED)
def test_workers_are_as_many_as_the_container_starts(alias, machine, stored, instruction_set, computed):
    cores, memory_mb = machine
    model = find_model(alias)
    manifest = Manifest(
        model_id=model.id,
        revision="0",
        source="seeded:0",
        seeded=True,
        license=model.license,
        shape=model.shape,
        max_tokens=model.max_tokens,
        engine="openvino",
        dtype=stored,
        toolkit_version="0",
        files={},
    )
    hardware = Hardware(
        cpu_model="any",
        instruction_set=instruction_set,
        architecture="x86_64",
        logical_cpus=2 * cores,
        physical_cores=cores,
        memory_mib=memory_mb,
    )

    planned = plan_workers(Settings(), manifest, hardware, []).workers

    assert workers_started(model, "openvino", computed, cores=cores, memory_mb=memory_mb) == planned


@pytest.mark.parametrize("alias", [model.alias for model in load_models().values()])
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32", "int8"])
@pytest.mark.parametrize("workers", [1, 2, 8, 48])
def test_the_container_starts_no_more_workers_than_memory_carries(alias, dtype, workers):
    model = find_model(alias)
    just_enough = math.ceil(FRONT_MIB + workers * worker_mib(model.shape, dtype))

    assert workers_started(model, "openvino", dtype, cores=workers, memory_mb=just_enough) == workers
    assert memory_of(model, "openvino", dtype, workers=workers).mib <= just_enough


def test_where_memory_has_no_room_fewer_workers_are_reckoned_with():
    asked = {"cores": 48, "longest_tokens": 8192}

    plenty, scarce, none = (
        memory_on(find_model("base"), "openvino", "bf16", memory_mb=memory, **asked) for memory in (10**6, 30_000, 1024)
    )

    assert plenty.workers == 48
    assert 1 < scarce.workers < 48
    assert scarce.mib <= 30_000 < scarce.mib + plenty.mib / 48
    assert none.workers == 1
    assert none.mib > 1024


def test_what_a_workload_needs_grows_with_its_longest_documents():
    measured, _ = load_profiles()
    needs = []
    for tokens in (150, 2000):
        workload = Workload(requests_per_second=1, documents_per_request=4, tokens_per_document=tokens)
        speed = find_speed(find_model("tiny"), workload, measured, instance=None, gpu=False)
        assert isinstance(speed, Speed)
        needs.append(mib("tiny", longest_tokens=speed.longest_tokens))
    assert needs[1] > 1.5 * needs[0]


def test_the_claims_of_memory_hold_for_weights_and_by_the_byte_but_not_in_steps():
    models = [find_model(alias) for alias in ("base", "turbo", "tiny")]
    base, turbo, tiny = memory_bills(models, "openvino", "fp32", load_prices(), "us-east-1")

    assert saved(base.weights_mib, tiny.weights_mib) == pytest.approx(0.76, abs=0.005)
    assert saved(turbo.weights_mib, tiny.weights_mib) == pytest.approx(0.126, abs=0.005)
    assert saved(base.serverless, tiny.serverless) == pytest.approx(0.5)
    assert saved(turbo.serverless, tiny.serverless) == 0
    on_azure = saved(turbo.azure_functions, tiny.azure_functions)
    assert on_azure == pytest.approx(saved(turbo.need.mib, tiny.need.mib), abs=1e-4)
    assert on_azure is not None
    assert 0.05 < on_azure < 0.13


def test_nothing_is_saved_where_a_price_or_a_size_is_missing():
    (bill,) = memory_bills([find_model("tiny")], "openvino", "bf16", load_prices(), "nowhere-1")

    assert bill.serverless is None
    assert saved(bill.serverless, 1.0) is None
