"""Laws fitted to profiles, and their way to other models and machines."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.optimize import nnls

from cost_model.prices.book import Unknown
from cost_model.service_time import (
    Law,
    Speed,
    find_speed,
    fit,
    load_profiles,
    request_moments,
)
from cost_model.service_time.law import TELLING_TOKENS, cross_errors, solve
from cost_model.service_time.lengths import length_exceeded_by, share_longer
from cost_model.service_time.passes import Load
from cost_model.workload import Distribution, Tokens, Workload
from cost_model.workload.distribution import lognormal_moments
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
    return law.per_pass, law.per_sequence, law.per_token, law.per_squared_token


def fitted(cells: list[Cell]) -> Law:
    return fit(cells, shape=find_model("tiny").shape, engines=1, token_budget=2048, padded=False)


def with_noise(cells: list[Cell], share: float) -> list[Cell]:
    generator = np.random.default_rng(3)
    return [
        msgspec.structs.replace(cell, inference_ms=cell.inference_ms * generator.normal(1, share)) for cell in cells
    ]


def test_the_fit_finds_a_known_law_again():
    law = fitted(tiny_profile().cells)

    assert coefficients(law) == pytest.approx(TINY_LAW, rel=1e-6)
    assert (law.around_per_request, law.around_per_token) == pytest.approx((0.0015, 0.000002), rel=1e-6)
    assert law.error < 1e-9


def test_noise_of_five_percent_shows_as_the_error_and_moves_predictions_little():
    law = fitted(with_noise(tiny_profile().cells, 0.05))

    assert 0.02 < law.error < 0.08
    assert law.seconds(Load(1, 25, 25 * 150, 25 * 150**2)) == pytest.approx(
        np.array([1, 25, 25 * 150, 25 * 150**2]) @ TINY_LAW, rel=0.05
    )


def test_what_was_left_out_is_predicted_as_well_as_the_noise_allows():
    profile = tiny_profile()
    asked = {"shape": find_model("tiny").shape, "engines": 1, "token_budget": 2048, "padded": False}

    assert max(map(abs, cross_errors(profile.cells, **asked))) < 1e-6
    assert 0.01 < np.median(np.abs(cross_errors(with_noise(profile.cells, 0.05), **asked))) < 0.1


def test_no_coefficient_is_negative_however_odd_the_figures():
    cells = [
        msgspec.structs.replace(cell, inference_ms=1000 / cell.tokens) for cell in tiny_profile().cells
    ]  # more work, less time

    assert min(coefficients(fitted(cells))) >= 0


@pytest.mark.parametrize("seed", range(20))
def test_the_solution_is_that_of_non_negative_least_squares(seed):
    generator = np.random.default_rng(seed)
    features, seconds = generator.lognormal(0, 2, (12, 4)), generator.lognormal(0, 1, 12)

    coefficients, residuals = solve(features, seconds)

    expected, norm = nnls(features / seconds[:, None], np.ones(12))
    assert coefficients == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert np.linalg.norm(residuals) == pytest.approx(norm)


def test_too_few_cells_are_refused():
    with pytest.raises(ValueError, match="has 3 cells; a law of 4 terms needs at least 4"):
        fitted(tiny_profile().cells[:3])


def test_short_documents_alone_do_not_tell_attention_and_do_not_guess_it():
    profile = tiny_profile()
    short = [cell for cell in profile.cells if cell.tokens_per_document < TELLING_TOKENS]
    longest = max(profile.cells, key=lambda cell: (cell.tokens_per_document, cell.documents))

    law = fitted(with_noise(short, 0.02))

    predicted = law.request_seconds(longest, engines=1, token_budget=2048)
    assert predicted == pytest.approx(longest.inference_ms / 1000, rel=0.25)


def test_moments_of_a_request_against_drawn_lengths():
    law = fitted(tiny_profile().cells)
    workload = msgspec.structs.replace(WORKLOAD, tokens_cv=0.6)

    moments = request_moments(law, workload, 8192, token_budget=2048)

    sigma = math.sqrt(math.log(1 + 0.6**2))
    lengths = np.random.default_rng(5).lognormal(math.log(150) - sigma**2 / 2, sigma, (200_000, 25))
    drawn = (TINY_LAW[1] + TINY_LAW[2] * lengths + TINY_LAW[3] * lengths**2).sum(axis=1)
    assert moments.passes == pytest.approx(2, rel=0.15)
    assert moments.compute_s == pytest.approx(2 * TINY_LAW[0] + drawn.mean(), rel=0.005)
    assert moments.alone.deviation_s == pytest.approx(drawn.std(), rel=0.02)


def test_several_engines_share_a_request_and_a_single_document_keeps_one_of_them_busy():
    law = fitted(tiny_profile().cells)
    one_document = msgspec.structs.replace(WORKLOAD, documents_per_request=1)

    many, few = (request_moments(law, asked, 8192, engines=4, token_budget=1024) for asked in (WORKLOAD, one_document))

    assert many.compute_s <= many.alone.mean_s < 1.5 * many.compute_s
    assert few.alone.mean_s == pytest.approx(4 * few.compute_s)


def test_what_a_batch_costs_is_compute_as_well():
    law = fitted(tiny_profile().cells)
    dearer = msgspec.structs.replace(law, per_pass=law.per_pass + 0.5)

    more, less = (request_moments(one, WORKLOAD, 8192, token_budget=8192) for one in (dearer, law))

    assert more.compute_s - less.compute_s == pytest.approx(0.5)
    assert more.around_s == less.around_s


def test_documents_of_one_length_have_no_spread():
    alike = msgspec.structs.replace(WORKLOAD, tokens_cv=0.0)

    assert request_moments(
        fitted(tiny_profile().cells), alike, 8192, token_budget=2048
    ).alone.deviation_s == pytest.approx(0, abs=1e-12)


def test_a_model_reads_no_more_than_its_maximum():
    law = fitted(tiny_profile().cells)
    long = msgspec.structs.replace(WORKLOAD, tokens_per_document=5000)

    least, most = (request_moments(law, long, most, token_budget=2048).compute_s for most in (512, 8192))

    assert least < most


@pytest.mark.parametrize(("mean", "cv", "most"), [(150, 0.6, 512), (400, 1.0, 512), (5000, 0.6, 512), (100, 1.5, 1000)])
def test_moments_of_lengths_that_are_cut_against_drawn_ones(mean, cv, most):
    sigma = math.sqrt(math.log(1 + cv**2))
    drawn = np.random.default_rng(9).lognormal(math.log(mean) - sigma**2 / 2, sigma, 2_000_000).clip(max=most)

    moments = lognormal_moments(mean, cv, most)

    assert moments[0] == pytest.approx(1)
    assert moments[1:] == pytest.approx([(drawn**k).mean() for k in (1, 2, 3, 4)], rel=0.03)


def test_lengths_without_spread_are_the_mean_or_the_cut():
    assert lognormal_moments(100, 0, 512) == [1, 100, 1e4, 1e6, 1e8]
    assert lognormal_moments(1000, 0, 512) == [512**k for k in range(5)]


@pytest.mark.parametrize(("mean", "cv", "most"), [(150, 0.6, 512), (400, 1.0, 512), (2000, 1.5, 8192)])
def test_the_share_of_longer_ones_against_drawn_ones(mean, cv, most):
    sigma = math.sqrt(math.log(1 + cv**2))
    drawn = np.random.default_rng(9).lognormal(math.log(mean) - sigma**2 / 2, sigma, 1_000_000)

    workload = msgspec.structs.replace(WORKLOAD, tokens_per_document=mean, tokens_cv=cv)
    assert share_longer(workload, most) == pytest.approx((drawn > most).mean(), abs=0.002)
    longest = length_exceeded_by(workload, 0.01, 100_000)
    assert share_longer(workload, longest + 1) <= 0.01 <= share_longer(workload, longest - 2)


def test_documents_of_one_length_are_all_as_long_as_the_longest():
    alike = msgspec.structs.replace(WORKLOAD, tokens_cv=0.0)

    assert share_longer(alike, 512) == 0
    assert share_longer(alike, 100) == 1
    assert length_exceeded_by(alike, 0.0001, 8192) == pytest.approx(150, abs=1)


def test_the_longest_of_a_histogram_is_its_longest_and_at_most_what_the_model_reads():
    sampled = Workload(
        requests_per_second=1,
        documents_per_request=25,
        tokens_per_document=313,
        tokens=Tokens(query=Distribution(mean=10), document=Distribution(histogram=((100, 8), (1100, 2))), special=3),
    )

    assert share_longer(sampled, 512) == pytest.approx(0.2)
    assert length_exceeded_by(sampled, 0.0001, 8192) == pytest.approx(1113, abs=1)
    assert length_exceeded_by(sampled, 0.0001, 512) == 512


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
    assert found.beyond_ratio == pytest.approx(4000 / 512)


def test_a_mean_document_beyond_what_the_model_reads_leaves_it_out():
    measured, _ = load_profiles([PROFILES])
    long = msgspec.structs.replace(WORKLOAD, tokens_per_document=600)

    short, longer = (
        find_speed(find_model(name), long, measured, instance=None, gpu=False) for name in ("minilm-l12", "tiny")
    )

    assert isinstance(short, Unknown)
    assert short.reason == "reads 512 tokens, and the mean document has 600"
    assert isinstance(longer, Speed)


def test_what_a_model_cuts_of_the_longer_documents_is_said():
    measured, _ = load_profiles([PROFILES])
    some = msgspec.structs.replace(WORKLOAD, tokens_per_document=400)

    found, usual = (
        find_speed(find_model("minilm-l12"), asked, measured, instance=None, gpu=False) for asked in (some, WORKLOAD)
    )

    assert isinstance(found, Speed)
    assert isinstance(usual, Speed)
    assert found.part == "cuts 24% of the documents to 512 tokens"
    assert usual.part == ""


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
    assert [one.profile.model_id for one in measured if one.law.error > 0.1] == []


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


def test_without_profiles_a_speed_is_unknown():
    assert isinstance(find_speed(find_model("tiny"), WORKLOAD, [], instance=None, gpu=False), Unknown)
