"""Laws fitted to profiles, and their way to other models and machines."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cost_model.hardware import (
    Peak,
    cpu_peak,
    effective_cores,
    instance_peak,
    load_hardware,
    profile_peak,
    serverless_peak,
)
from cost_model.prices.book import Unknown
from cost_model.service_time import Law, Speed, find_speed, fit, length_moments, load_profiles, request_moments
from cost_model.workload import Workload
from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.models import find_model
from rerank_toolkit.catalog.shapes import flops
from rerank_toolkit.contracts.documents import read, write
from rerank_toolkit.contracts.errors import InvalidInput
from rerank_toolkit.contracts.profile import Cell, Hardware, Profile

PROFILES = Path(__file__).with_name("profiles")
TINY = PROFILES / "jina-reranker-v1-tiny-en-torch-fp32-made-up.json"
TINY_LAW = (0.002, 0.0004, 0.00015, 4e-8)

WORKLOAD = Workload(requests_per_second=1, documents_per_request=25, tokens_per_document=150)


def tiny_profile() -> Profile:
    return read(TINY, Profile)


def coefficients(law: Law) -> tuple[float, ...]:
    return law.per_request, law.per_sequence, law.per_token, law.per_squared_token


def with_noise(cells: list[Cell], share: float) -> list[Cell]:
    generator = np.random.default_rng(3)
    return [
        msgspec.structs.replace(cell, inference_ms=cell.inference_ms * generator.normal(1, share)) for cell in cells
    ]


def test_the_fit_finds_a_known_law_again():
    law = fit(tiny_profile().cells)

    assert coefficients(law) == pytest.approx(TINY_LAW, rel=1e-6)
    assert (law.around_per_request, law.around_per_token) == pytest.approx((0.0015, 0.000002), rel=1e-6)
    assert law.error < 1e-9


def test_noise_of_five_percent_shows_as_the_error_and_moves_predictions_little():
    law = fit(with_noise(tiny_profile().cells, 0.05))

    work = np.array([1, 25, 25 * 150, 25 * 150**2])
    assert 0.02 < law.error < 0.08
    assert work @ coefficients(law) == pytest.approx(work @ TINY_LAW, rel=0.05)


def test_no_coefficient_is_negative_however_odd_the_figures():
    cells = [
        msgspec.structs.replace(cell, inference_ms=1000 / cell.tokens) for cell in tiny_profile().cells
    ]  # more work, less time

    assert min(coefficients(fit(cells))) >= 0


def test_too_few_cells_are_refused():
    with pytest.raises(ValueError, match="has 3 cells; a law of 4 terms needs at least 4"):
        fit(tiny_profile().cells[:3])


def test_moments_of_a_request_against_drawn_lengths():
    law = fit(tiny_profile().cells)
    workload = msgspec.structs.replace(WORKLOAD, tokens_cv=0.6)

    moments = request_moments(law, workload, 8192)

    sigma = math.sqrt(math.log(1 + 0.6**2))
    lengths = np.random.default_rng(5).lognormal(math.log(150) - sigma**2 / 2, sigma, (200_000, 25))
    drawn = (TINY_LAW[1] + TINY_LAW[2] * lengths + TINY_LAW[3] * lengths**2).sum(axis=1)
    assert moments.compute_s == pytest.approx(TINY_LAW[0] + drawn.mean(), rel=0.005)
    assert moments.deviation_s == pytest.approx(drawn.std(), rel=0.02)


def test_what_a_request_costs_once_is_compute_as_well():
    law = fit(tiny_profile().cells)
    dearer = msgspec.structs.replace(law, per_request=law.per_request + 0.5)

    more, less = (request_moments(one, WORKLOAD, 8192) for one in (dearer, law))

    assert more.compute_s - less.compute_s == pytest.approx(0.5)
    assert more.around_s == less.around_s


def test_documents_of_one_length_have_no_spread():
    moments = request_moments(fit(tiny_profile().cells), msgspec.structs.replace(WORKLOAD, tokens_cv=0.0), 8192)

    assert moments.deviation_s == pytest.approx(0, abs=1e-12)


def test_a_model_reads_no_more_than_its_maximum():
    law = fit(tiny_profile().cells)
    long = msgspec.structs.replace(WORKLOAD, tokens_per_document=5000)

    assert request_moments(law, long, 512).compute_s < request_moments(law, long, 8192).compute_s


@pytest.mark.parametrize(("mean", "cv", "most"), [(150, 0.6, 512), (400, 1.0, 512), (5000, 0.6, 512), (100, 1.5, 1000)])
def test_moments_of_lengths_that_are_cut_against_drawn_ones(mean, cv, most):
    sigma = math.sqrt(math.log(1 + cv**2))
    drawn = np.random.default_rng(9).lognormal(math.log(mean) - sigma**2 / 2, sigma, 2_000_000).clip(max=most)

    moments = length_moments(mean, cv, most)

    assert moments[0] == pytest.approx(1)
    assert moments[1:] == pytest.approx([(drawn**k).mean() for k in (1, 2, 3, 4)], rel=0.03)


def test_lengths_without_spread_are_the_mean_or_the_cut():
    assert length_moments(100, 0, 512) == [1, 100, 1e4, 1e6, 1e8]
    assert length_moments(1000, 0, 512) == [512**k for k in range(5)]


def speed(model: str, *, gpu: bool = False) -> Speed:
    measured, unusable = load_profiles([PROFILES])
    assert not unusable
    found = find_speed(find_model(model), WORKLOAD, measured, instance=None, gpu=gpu)
    assert isinstance(found, Speed)
    return found


def test_a_profiled_model_stands_on_its_own_profile():
    assert speed("tiny").work_ratio == 1
    assert speed("tiny").measured.profile.model_id == "jina-reranker-v1-tiny-en"


@pytest.mark.parametrize(
    ("model", "nearest"),
    [("turbo", "jina-reranker-v1-tiny-en"), ("minilm-l6", "ms-marco-MiniLM-L-12-v2")],
)
def test_a_model_without_a_profile_is_scaled_from_its_family_by_flops(model, nearest):
    found = speed(model)

    assert found.measured.profile.model_id == nearest
    assert found.work_ratio == pytest.approx(
        flops(find_model(model).shape, 150) / flops(find_model(nearest).shape, 150)
    )


def test_what_lies_beyond_the_measured_cells_is_said():
    measured, _ = load_profiles([PROFILES])
    long = msgspec.structs.replace(WORKLOAD, tokens_per_document=4000)

    found = find_speed(find_model("tiny"), long, measured, instance=None, gpu=False)

    assert isinstance(found, Speed)
    assert "4,000 tokens a document are beyond the measured 16 to 512" in found.beyond


def test_a_profile_of_the_very_instance_is_preferred(tmp_path):
    here = msgspec.structs.replace(
        tiny_profile(),
        hardware=Hardware(
            cpu_model="Intel Xeon Platinum 8375C CPU @ 2.90GHz",
            instruction_set="avx512_vnni",
            architecture="x86_64",
            logical_cpus=4,
            physical_cores=2,
            memory_mib=8192,
            instance="ml.c6i.xlarge",
        ),
        measured_at=datetime(2020, 1, 1, tzinfo=UTC),
    )
    write(tmp_path / "c6i.json", here)
    measured, unusable = load_profiles([PROFILES, tmp_path])
    assert not unusable

    found = find_speed(find_model("tiny"), WORKLOAD, measured, instance="ml.c6i.xlarge", gpu=False)

    assert isinstance(found, Speed)
    assert found.measured.profile.hardware.instance == "ml.c6i.xlarge"


def test_profiles_that_cannot_be_scaled_from_say_why(tmp_path):
    profile = tiny_profile()
    odd_machine = msgspec.structs.replace(profile.hardware, cpu_model="Abacus", instruction_set="beads")
    write(tmp_path / "a.json", msgspec.structs.replace(profile, hardware=odd_machine))
    write(tmp_path / "b.json", msgspec.structs.replace(profile, cells=profile.cells[:2]))
    write(tmp_path / "c.json", msgspec.structs.replace(profile, model_id="nobody-knows"))
    write(tmp_path / "d.json", msgspec.structs.replace(profile, engine="openvino", dtype="int8"))

    measured, unusable = load_profiles([tmp_path])

    assert not measured
    assert unusable == [
        "profile a.json: no clock is known of the CPU Abacus (beads)",
        "profile b.json: has 2 cells; a law of 4 terms needs at least 4",
        "profile c.json: the catalogue has no model nobody-knows",
        "profile d.json: openvino int8 is not among what is compared",
    ]


def test_a_missing_place_or_a_file_that_is_no_profile_is_an_error(tmp_path):
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        load_profiles([tmp_path / "nowhere"])
    (tmp_path / "broken.json").write_text('{"model_id": 3}')
    with pytest.raises(InvalidInput, match=r"broken\.json"):
        load_profiles([tmp_path])


def test_every_profile_that_ships_is_used_and_its_law_fits():
    measured, unusable = load_profiles()

    assert unusable == []
    assert [one.profile.model_id for one in measured if one.law.error > 0.35] == []


def test_a_gpu_goes_by_a_profile_of_a_gpu_even_of_another_model(tmp_path):
    profile = tiny_profile()
    on_gpu = msgspec.structs.replace(profile.hardware, gpu="Tesla T4")
    write(tmp_path / "t4.json", msgspec.structs.replace(profile, hardware=on_gpu, dtype="fp16"))
    measured, unusable = load_profiles([PROFILES, tmp_path])
    assert not unusable

    found = find_speed(find_model("minilm-l12"), WORKLOAD, measured, instance=None, gpu=True)

    assert isinstance(found, Speed)
    assert found.measured.machine == "Tesla T4"
    assert found.work_ratio > 1


def test_a_gpu_is_not_taken_for_one_whose_name_begins_alike(tmp_path):
    hardware = msgspec.structs.replace(tiny_profile().hardware, gpu="NVIDIA L40S")

    peak = profile_peak(hardware, 1)

    assert isinstance(peak, Peak)
    assert "L40S × 362" in peak.formula


def test_without_profiles_a_speed_is_unknown():
    assert isinstance(find_speed(find_model("tiny"), WORKLOAD, [], instance=None, gpu=False), Unknown)


def test_amdahl_goes_through_the_two_measured_points_and_levels_off():
    assert effective_cores(1) == 1
    assert effective_cores(2) == pytest.approx(load_hardware().assumed.two_thread_speedup)
    assert effective_cores(0.5) == 0.5
    worth = [effective_cores(cores) for cores in (1, 2, 4, 8, 16, 96)]
    assert worth == sorted(worth)
    serial = 2 / load_hardware().assumed.two_thread_speedup - 1
    assert worth[-1] < 1 / serial


def test_a_peak_is_cores_times_clock_times_operations():
    assert cpu_peak(1, 3500, "avx512_vnni").gflops == pytest.approx(224)
    assert cpu_peak(2, 3500, "avx512_vnni").gflops == pytest.approx(1.7 * 224)
    assert cpu_peak(1, 2500, "neon").gflops == pytest.approx(40)


def test_every_instruction_set_of_the_catalogue_has_a_width():
    used = {instance.instruction_set for instance in load_instances().values()}

    assert used <= set(load_hardware().flops_per_cycle)


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        ("ml.inf2.xlarge", "no engine here runs on inferentia2"),
        ("ml.t2.medium", "burstable"),
        ("ml.p6-b200.48xlarge", "no fp16 peak is known"),
    ],
)
def test_types_without_a_known_speed_say_why(instance, reason):
    peak = instance_peak(load_instances()[instance])

    assert isinstance(peak, Unknown)
    assert reason in peak.reason


def test_a_gpu_is_its_derated_fp16_peak_once_however_many_there_are():
    one, four = (instance_peak(load_instances()[name]) for name in ("ml.g4dn.xlarge", "ml.g4dn.12xlarge"))

    assert isinstance(one, Peak)
    assert isinstance(four, Peak)
    assert one.gflops == four.gflops == 65_000 * load_hardware().assumed.gpu_derating


def test_serverless_grows_with_memory():
    peaks = [serverless_peak(size).gflops for size in (1024, 2048, 4096, 6144)]

    assert peaks == sorted(peaks)
    assert peaks[1] == pytest.approx(2 * peaks[0])


def test_the_measuring_machine_counts_the_cores_that_were_used():
    hardware = tiny_profile().hardware

    one, two = profile_peak(hardware, 1), profile_peak(hardware, 2)

    assert isinstance(one, Peak)
    assert isinstance(two, Peak)
    assert (one.gflops, two.gflops) == pytest.approx((285, 285 * 1.7))
