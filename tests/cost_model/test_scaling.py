"""Speeds carried to other machines, and how far they may be off."""

from __future__ import annotations

import msgspec
import pytest

from cost_model.gpu import load_gpu_law
from cost_model.hardware import (
    Peak,
    accelerator_peak,
    gpu_peak,
    in_dtype,
    instance_peak,
    load_hardware,
    serverless_peak,
)
from cost_model.scaling import Scaled, measured_here, scale
from cost_model.service_time import Speed, find_speed, load_profiles
from cost_model.service_time.passes import Load
from cost_model.validation.gpu_forms import fit_gpu_law
from cost_model.workload import Workload
from rerank_toolkit.catalog.instances import Instance, load_instances
from rerank_toolkit.catalog.models import find_model, load_models
from rerank_toolkit.catalog.shapes import flops

WORKLOAD = Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150)
MEASURED, _ = load_profiles()


def speed_of(model: str, workload: Workload = WORKLOAD) -> Speed:
    found = find_speed(find_model(model), workload, MEASURED, instance=None, gpu=False)
    assert isinstance(found, Speed)
    return found


def on(peak: object, model: str = "tiny", workload: Workload = WORKLOAD, dtype: str = "fp32", **options: int) -> Scaled:
    assert isinstance(peak, Peak)
    return scale(speed_of(model, workload), find_model(model), workload, peak, dtype=dtype, **options)


def at(name: str, model: str = "tiny", workload: Workload = WORKLOAD, dtype: str = "fp32") -> Scaled:
    instance = load_instances()[name]
    peak = instance_peak(instance)
    assert isinstance(peak, Peak)
    return on(peak if peak.on_gpu else in_dtype(peak, dtype, instance.instruction_set), model, workload, dtype)


def cpus() -> list[Instance]:
    return [one for one in load_instances().values() if isinstance(instance_peak(one), Peak) and one.kind == "cpu"]


def test_every_ratio_lies_in_its_interval_and_says_why_it_has_one():
    for instance in cpus():
        scaled = at(instance.instance)

        assert scaled.ratio_low < scaled.ratio < scaled.ratio_high
        assert "the share of its peak" in scaled.interval
        assert scaled.basis.startswith("scaled: ")


def test_the_very_machine_is_read_off_its_law():
    scaled = measured_here(speed_of("tiny"))

    assert scaled.ratio == 1
    assert scaled.law == speed_of("tiny").measured.law
    assert scaled.interval.endswith("of it: the law's own error")
    assert scaled.basis.startswith("interpolated: the law of jina-reranker-v1-tiny-en")


def test_more_cores_take_more_requests_but_one_document_no_faster():
    one_document = msgspec.structs.replace(WORKLOAD, documents_per_request=1)
    few, many = (at(f"ml.c6i.{size}", workload=one_document) for size in ("xlarge", "8xlarge"))

    assert few.engines == 2
    assert many.engines == 16
    assert many.ratio == pytest.approx(few.ratio / 8)
    assert many.alone_s == pytest.approx(few.alone_s)


def test_a_large_request_is_shared_by_the_cores():
    few, many = (at(f"ml.c6i.{size}") for size in ("xlarge", "8xlarge"))

    assert many.alone_s < few.alone_s / 3
    assert many.alone_s > many.ratio * speed_of("tiny").moments.compute_s


def test_the_scaled_law_gives_the_scaled_time():
    scaled = at("ml.c6i.xlarge")
    speed = speed_of("tiny")

    assert scaled.law is not None
    here = scaled.law.seconds(Load(1, 1, 150, 150**2)) / scaled.engines
    there = speed.measured.law.seconds(Load(1, 1, 150, 150**2)) / speed.measured.profile.workers
    assert here / there == pytest.approx(scaled.ratio)


def test_memory_bandwidth_bounds_small_batches_of_a_large_model_on_many_cores():
    one_document = msgspec.structs.replace(WORKLOAD, documents_per_request=1, tokens_per_document=16, tokens_cv=0)
    small, large = (at("ml.c5.18xlarge", "base", workload) for workload in (one_document, WORKLOAD))

    assert small.streaming > 1
    assert "(reading the weights)" in small.basis
    assert large.streaming == 1


def test_fewer_engines_of_more_threads_lose_what_threads_lose():
    peak = instance_peak(load_instances()["ml.c6i.8xlarge"])

    few = on(peak, engines=8)

    assert few.engines == 8
    assert few.ratio == pytest.approx(2 / load_hardware().assumed.two_thread_speedup * on(peak).ratio)


def test_far_beyond_what_was_measured_the_interval_widens_and_is_told():
    within, beyond = (
        at("ml.c6i.xlarge", workload=msgspec.structs.replace(WORKLOAD, documents_per_request=documents))
        for documents in (64, 64_000)
    )

    assert beyond.ratio_high / beyond.ratio > 5 * within.ratio_high / within.ratio
    assert "beyond what was measured" in beyond.interval
    assert beyond.basis.startswith("scaled, extrapolated: ")


def test_serverless_says_that_its_share_of_a_cpu_is_assumed():
    scaled = on(serverless_peak(2048))

    assert "0.5 to 1.5 vCPU per GB" in scaled.interval
    assert scaled.ratio_low < scaled.ratio / 1.4
    assert scaled.ratio_high > scaled.ratio * 1.9


def test_a_gpu_goes_by_the_law_of_published_figures_with_torch_at_half_of_them():
    scaled = at("ml.g5.xlarge", dtype="fp16")

    assert scaled.engines == 1
    assert scaled.law is None
    assert "by a roofline over one NVIDIA A10G: 70 fp16 TFLOPS" in scaled.basis
    assert "at 0.5 of that speed (assumed of torch)" in scaled.basis
    assert scaled.ratio_low == pytest.approx(scaled.ratio / 2, rel=0.02)


def test_no_gpu_beats_its_peak():
    assumed = load_hardware().assumed
    for name in ("tiny", "base", "bge-base"):
        model = find_model(name)
        for gpu in load_hardware().gpu:
            peak = gpu_peak(gpu.name)
            assert isinstance(peak, Peak)
            seconds = load_gpu_law().seconds(
                model.shape, sequences=64, tokens=64 * 128, squared_tokens=64 * 128**2, peak=peak
            )
            assert seconds / assumed.gpu_derating > 64 * flops(model.shape, 128) / (gpu.fp16_tflops * 1e12)


def test_an_accelerator_can_be_scaled_to_though_no_engine_runs_there():
    peak = accelerator_peak("inferentia2")

    assert 0 < on(peak, dtype="fp16").ratio < 1


def test_the_law_of_gpus_is_the_fit_to_the_published_figures():
    fitted, kept = fit_gpu_law(), load_gpu_law()

    for term in ("launch_s", "serial_s", "token_passes", "score_passes", "error"):
        assert getattr(kept, term) == pytest.approx(getattr(fitted, term), rel=0.005), term


def test_from_one_gpu_to_another_launches_stay():
    speed = speed_of("tiny")
    t4, h100 = gpu_peak("NVIDIA T4 Tensor Core"), gpu_peak("NVIDIA H100")
    assert isinstance(t4, Peak)
    on_t4 = msgspec.structs.replace(speed, measured=msgspec.structs.replace(speed.measured, peak=t4))

    assert isinstance(h100, Peak)
    scaled = scale(on_t4, find_model("tiny"), WORKLOAD, h100, dtype="fp16")

    assert 65 / 989 < scaled.ratio < 0.3
    assert "by memory bandwidth instead of by peak" in scaled.interval


def test_every_model_has_a_speed_everywhere():
    for model in load_models().values():
        assert at("ml.c7g.xlarge", model.alias, dtype="fp16").ratio > 0
