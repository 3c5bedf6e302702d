"""Peaks of machines, and what they leave uncertain."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cost_model.hardware import (
    Peak,
    accelerator_peak,
    cpu_peak,
    effective_cores,
    engine_worth,
    engines_on,
    in_dtype,
    instance_peak,
    load_hardware,
    many_cores,
    profile_peak,
    serverless_peak,
)
from cost_model.prices.book import Unknown
from rerank_toolkit.catalog.instances import VNNI_INSTRUCTION_SETS, load_instances
from rerank_toolkit.contracts.documents import read
from rerank_toolkit.contracts.profile import Hardware, Profile

TINY = Path(__file__).with_name("profiles") / "jina-reranker-v1-tiny-en-torch-fp32-made-up.json"


def peak_of(name: str) -> Peak:
    peak = instance_peak(load_instances()[name])
    assert isinstance(peak, Peak)
    return peak


def measuring_machine() -> Hardware:
    return read(TINY, Profile).hardware


def test_amdahl_goes_through_the_two_measured_points_and_levels_off():
    assert effective_cores(1) == 1
    assert effective_cores(2) == pytest.approx(load_hardware().assumed.two_thread_speedup)
    assert effective_cores(0.5) == 0.5
    worth = [effective_cores(cores) for cores in (1, 2, 4, 8, 16, 96)]
    assert worth == sorted(worth)
    serial = 2 / load_hardware().assumed.two_thread_speedup - 1
    assert worth[-1] < 1 / serial


def test_openvino_has_an_engine_a_core_and_torch_one_for_all():
    assert (engines_on(8, "openvino"), engines_on(8, "torch"), engines_on(0.5, "openvino")) == (8, 1, 1)
    assert 2 * engine_worth(2, 2) == pytest.approx(load_hardware().assumed.two_process_speedup)
    assert engine_worth(2, 1) == pytest.approx(load_hardware().assumed.two_thread_speedup)
    assert engine_worth(0.5, 1) == 0.5


def test_more_engines_than_were_measured_may_each_lose_more():
    (of_four,), (of_many,) = many_cores(4), many_cores(48)

    assert many_cores(2) == []
    assert 1 < of_four.slow < of_many.slow
    assert of_four.fast == of_many.fast == pytest.approx(0.95)


def test_a_peak_is_cores_times_clock_times_operations():
    assert cpu_peak(1, 3500, "avx512_vnni").gflops == pytest.approx(224)
    assert cpu_peak(2, 3500, "avx512_vnni").gflops == pytest.approx(1.9 * 224)
    assert cpu_peak(1, 2500, "neon").gflops == pytest.approx(40)


def test_hyper_threads_are_not_cores():
    instance = load_instances()["ml.c6i.xlarge"]

    assert instance.vcpu == 4
    assert peak_of("ml.c6i.xlarge").cores == 2


def test_every_instruction_set_of_the_catalogue_has_a_width():
    used = {instance.instruction_set for instance in load_instances().values()}

    table = load_hardware()
    assert used <= set(table.flops_per_cycle)
    assert set(table.gain_of_16_bits) == set(table.gain_of_16_bits_interval)
    assert set(table.gain_of_8_bits) == VNNI_INSTRUCTION_SETS


def test_the_clock_under_load_is_read_off_the_cpus_name_or_assumed():
    told, assumed, arm = (peak_of(f"ml.{family}.xlarge").causes for family in ("c6i", "c7i", "c7g"))

    assert [cause.slow for cause in told] == [pytest.approx(3500 / 2900)]
    assert [cause.slow for cause in assumed] == [load_hardware().assumed.clock_under_load]
    assert arm == ()


def test_a_dtype_that_was_not_measured_says_so():
    measured, on_paper = (
        in_dtype(cpu_peak(1, 3000, instruction_set), "bf16", instruction_set)
        for instruction_set in ("avx512_bf16", "amx")
    )

    assert measured.gflops == on_paper.gflops == pytest.approx(1.65 * 3 * 64)
    assert measured.causes == ()
    (cause,) = on_paper.causes
    assert cause.name == "bf16 on amx, which was not measured"
    assert 0.18 < cause.fast < 0.5
    assert cause.slow == 1


def test_int8_needs_vnni():
    assert in_dtype(cpu_peak(1, 3000, "avx512_vnni"), "int8", "avx512_vnni").gflops == pytest.approx(2.48 * 3 * 64)
    with pytest.raises(KeyError):
        in_dtype(cpu_peak(1, 3000, "avx512"), "int8", "avx512")


def test_bandwidth_is_a_share_of_the_memory_channels_or_of_the_socket():
    xeon, graviton, unknown = (peak_of(name).bandwidth for name in ("ml.c6i.xlarge", "ml.c7g.xlarge", "ml.c4.xlarge"))

    assert xeon is not None
    assert graviton is not None
    assert xeon.gb_s == pytest.approx(3200 * 8 / 1000 / 8)
    assert xeon.low < xeon.gb_s < xeon.high
    assert graviton.gb_s == pytest.approx(307 / 64)
    assert unknown is None


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        ("ml.inf2.xlarge", "no engine here runs on one inferentia2: 190 fp16 TFLOPS"),
        ("ml.t2.medium", "burstable"),
        ("ml.p6-b200.48xlarge", "no fp16 peak is known"),
    ],
)
def test_types_without_a_known_speed_say_why(instance, reason):
    peak = instance_peak(load_instances()[instance])

    assert isinstance(peak, Unknown)
    assert reason in peak.reason


def test_every_accelerator_of_the_catalogue_has_a_peak_that_an_engine_could_reach():
    for name in {instance.accelerator for instance in load_instances().values() if instance.accelerator}:
        peak = accelerator_peak(name)
        assert isinstance(peak, Peak)
        assert peak.bandwidth is not None
    assert isinstance(accelerator_peak("abacus"), Unknown)


def test_a_gpu_counts_once_however_many_there_are():
    assert peak_of("ml.g4dn.xlarge") == peak_of("ml.g4dn.12xlarge")
    assert peak_of("ml.g4dn.xlarge").gflops == 65_000


def test_a_gpu_is_not_taken_for_one_whose_name_begins_alike():
    peak = profile_peak(msgspec.structs.replace(measuring_machine(), gpu="NVIDIA L40S"), 1)

    assert isinstance(peak, Peak)
    assert "L40S: 362" in peak.formula


def test_serverless_grows_with_memory_and_its_share_of_a_cpu_is_an_interval():
    peaks = [serverless_peak(size) for size in (1024, 2048, 4096, 6144)]

    assert [peak.gflops for peak in peaks] == sorted(peak.gflops for peak in peaks)
    assert peaks[1].gflops == pytest.approx(2 * peaks[0].gflops)
    (cause,) = peaks[0].causes
    assert (cause.fast, cause.slow) == (pytest.approx(1 / 1.5), 2)


def test_the_measuring_machine_counts_the_cores_that_were_used():
    one, two = (profile_peak(measuring_machine(), cores) for cores in (1, 2))

    assert isinstance(one, Peak)
    assert isinstance(two, Peak)
    assert (one.gflops, two.gflops) == pytest.approx((285, 285 * 1.9))
