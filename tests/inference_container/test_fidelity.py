"""What packaging measures of an artifact before it puts it in place, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.stats import spearmanr

from inference_container.artifact import Artifact, open_artifact, write_folder
from inference_container.calibration import candidates, load_calibration
from inference_container.fidelity import GATES, FidelityTooLow, find_losses, measure, spearman, why_unknown
from inference_container.packaging import package
from inference_container.seeded import seeded_tensors, seeded_tokenizer
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.manifest import Fidelity


@pytest.fixture
def real(two_layers: Model, checkpoint: Path) -> Model:
    """A model whose weights pass for real ones: they come from a folder. Of a byte a token, short questions fit."""
    _scale(checkpoint, 0.3, ".query.", ".key.")  # as even as trained attention
    _scale(checkpoint, 3, ".value.", "word_embeddings")  # texts that differ differ in score by more than rounding does
    return msgspec.structs.replace(two_layers, max_tokens=44, weights=(f"dir:{checkpoint}",))


def _scale(checkpoint: Path, factor: float, *parts: str) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    for name, tensor in tensors.items():
        if any(part in name for part in parts):
            tensors[name] = tensor * np.float32(factor)
    save_file(tensors, checkpoint / "model.safetensors")


def _figures(**changes: object) -> Fidelity:
    figures = Fidelity(
        reference="torch 2, fp32",
        measured_with="openvino 2026, int8",
        hardware="some CPU",
        calibration="words",
        calibration_sha256="0" * 64,
        queries=100,
        pairs=800,
        spearman=0.9951,
        top_1_agreement=0.99,
        max_logit_difference=0.5,
    )
    return msgspec.structs.replace(figures, **changes)


def test_bf16_is_measured_against_fp32(real: Model, tmp_path: Path) -> None:
    made = package(real, tmp_path / "out", engine="torch", dtype="bf16", progress=print)
    fidelity = open_artifact(tmp_path / "out").manifest.fidelity
    assert fidelity == made.artifact.manifest.fidelity
    assert fidelity is not None
    assert fidelity.reference.startswith("torch")
    assert fidelity.reference.endswith("fp32")
    assert fidelity.measured_with.endswith("bf16")
    assert 5 < fidelity.queries < 100
    assert fidelity.pairs > 7 * fidelity.queries
    assert 0.999 <= fidelity.spearman < 1
    assert 0 < fidelity.max_logit_difference < 1
    assert not fidelity.loss_accepted


def test_the_same_weights_give_the_same_manifest(real: Model, tmp_path: Path) -> None:
    package(real, tmp_path / "out", engine="torch", dtype="bf16", progress=print)
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    package(real, tmp_path / "out", engine="torch", dtype="bf16", force=True, progress=print)
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before


def test_of_seeded_weights_a_few_pairs_are_measured(two_layers: Model, tmp_path: Path) -> None:
    model = msgspec.structs.replace(two_layers, max_tokens=64)
    fidelity = package(model, tmp_path / "out", engine="torch", dtype="bf16", progress=print).artifact.manifest.fidelity
    assert fidelity is not None
    assert 0 < fidelity.pairs < 40


def test_the_reference_says_that_it_is_one(two_layers: Model, tmp_path: Path) -> None:
    manifest = package(two_layers, tmp_path / "out", engine="torch", progress=print).artifact.manifest
    assert manifest.fidelity is None
    assert manifest.fidelity_unknown == "it is the fp32 reference itself"


def test_a_loss_is_refused_with_its_figures_unless_accepted(real: Model, checkpoint: Path, tmp_path: Path) -> None:
    # GIVEN weights that bf16 is too coarse for: documents hardly move the score, so rounding decides the order
    _scale(checkpoint, 1e-3, ".attention.output.dense.")
    # WHEN they are packaged, THEN it is refused, and nothing is left behind
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FidelityTooLow) as caught:
        package(real, tmp_path / "out", engine="torch", dtype="bf16", progress=print)
    text = str(caught.value)
    assert "Spearman correlation: is 0." in text
    assert "expected at least 0.999" in text
    assert "--accept-fidelity-loss" in text
    assert sorted(tmp_path.iterdir()) == before
    # AND accepted in so many words it is packaged, and says so
    made = package(real, tmp_path / "out", engine="torch", dtype="bf16", accept_loss=True, progress=print)
    assert made.artifact.manifest.fidelity is not None
    assert made.artifact.manifest.fidelity.loss_accepted
    assert package(real, tmp_path / "out", engine="torch", dtype="bf16", accept_loss=True, progress=print).reused
    # AND who doesn't say so isn't given it
    with pytest.raises(FidelityTooLow):
        package(real, tmp_path / "out", engine="torch", dtype="bf16", progress=print)
    assert open_artifact(tmp_path / "out").manifest == made.artifact.manifest


def test_an_artifact_measured_on_other_texts_is_measured_anew(real: Model, tmp_path: Path) -> None:
    made = package(real, tmp_path / "out", engine="torch", dtype="bf16", progress=print)
    manifest = made.artifact.manifest
    assert manifest.fidelity is not None
    other = msgspec.structs.replace(manifest.fidelity, calibration_sha256="0" * 64)
    altered = msgspec.json.encode(msgspec.structs.replace(manifest, fidelity=other))
    (tmp_path / "out" / "manifest.json").write_bytes(altered)
    again = package(real, tmp_path / "out", engine="torch", dtype="bf16", progress=print)
    assert not again.reused
    assert again.artifact.manifest == manifest


def test_scores_that_are_not_finite_are_no_fidelity(two_layers: Model, tmp_path: Path) -> None:
    artifacts = []
    for name, bias in (("sound", 0.0), ("broken", np.nan)):
        tensors = dict(seeded_tensors(two_layers.shape, 1))
        tensors["classifier.bias"] = np.array([bias], np.float32)
        tokenizer = seeded_tokenizer(two_layers.shape).to_str()
        manifest = package(two_layers, tmp_path / "out", engine="torch", progress=print).artifact.manifest
        artifacts.append(write_folder(tmp_path / name, manifest, tensors=tensors, tokenizer=tokenizer))
    with pytest.raises(ToolkitError, match=r"in fp32 on torch gives \d+ pairs no finite score"):
        measure(artifacts[1], artifacts[0], load_calibration())


def test_a_model_too_short_for_any_question_says_so(two_layers: Model, tmp_path: Path) -> None:
    made = package(two_layers, tmp_path / "out", engine="torch", progress=print).artifact
    short = Artifact(made.path, msgspec.structs.replace(made.manifest, max_tokens=8))
    with pytest.raises(ToolkitError, match="takes 8 tokens; no calibration question fits"):
        measure(short, made, load_calibration())


@pytest.mark.parametrize(
    ("changes", "losses"),
    [
        ({}, []),
        ({"spearman": 0.9949}, ["Spearman correlation: is 0.99490; expected at least 0.995"]),
        ({"top_1_agreement": 0.98}, ["same text first: in 98.0% of 100 queries; expected at least 99%"]),
    ],
)
def test_int8_has_to_keep_the_first_text_too(changes: dict[str, float], losses: list[str]) -> None:
    assert find_losses(_figures(**changes), "int8") == losses


def test_every_dtype_has_a_gate() -> None:
    assert GATES["fp32"].spearman > GATES["bf16"].spearman > GATES["int8"].spearman


def test_what_keeps_fidelity_from_being_measured() -> None:
    assert why_unknown("torch", "bf16") == ""
    assert why_unknown("torch", "fp32") == "it is the fp32 reference itself"


def test_spearman_is_scipys() -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 20, 200)  # with ties
    second = first + random.normal(0, 5, 200)
    assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)
    with pytest.raises(ToolkitError, match="all pairs get the same score"):
        spearman(np.ones(4), np.arange(4))


def test_the_texts_are_varied_and_each_question_has_hard_ones() -> None:
    calibration = load_calibration()
    assert len(calibration.judged) >= 100
    assert len({question for question, _ in [*calibration.judged, *calibration.fitted]}) == len(
        calibration.judged
    ) + len(calibration.fitted)
    words = sorted(len(text.split()) for _, texts in calibration.judged for text in texts)
    assert words[0] < 10
    assert words[-1] > 120
    for _, texts in calibration.judged:
        assert len(texts) in (7, 8)
        assert len(set(texts)) == len(texts)


def test_candidates_are_of_the_subject_and_of_others() -> None:
    class Subject(msgspec.Struct):
        texts: list[str]

    subjects = [Subject([f"{letter}{number}" for number in range(2)]) for letter in "abcdef"]
    for index in range(12):
        own, others = candidates(subjects, 2, index)[:2], candidates(subjects, 2, index)[2:5]
        assert own == ["c0", "c1"]
        assert not any(text.startswith("c") for text in others)


def test_nothing_of_the_reference_stays_in_the_artifact(real: Model, tmp_path: Path) -> None:
    package(real, tmp_path / "out", engine="torch", dtype="bf16", progress=print)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "NOTICE",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
    }
