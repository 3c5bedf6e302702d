"""int8 layers: their arithmetic, and the engine that runs them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset15 as op

from inference_container.artifact import open_artifact
from inference_container.checkpoints import int8_tensors, linear_layers, normalise
from inference_container.engines import RaggedBatch
from inference_container.engines.loading import load_engine
from inference_container.engines.torch_ranges import input_ranges
from inference_container.fidelity import FidelityUnknown
from inference_container.graphs.layers import linears
from inference_container.graphs.weights import Weight, map_weights
from inference_container.int8 import quantise
from inference_container.packaging import package
from inference_container.seeded import seeded_tensors
from rerank_toolkit.catalog.models import Model
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.errors import InvalidInput

SHAPE = Shape(family="bert", layers=1, hidden=64, heads=4, intermediate=128, vocabulary=300, positions=64)
ATTENTION = [f"bert.encoder.layer.0.attention.self.{name}" for name in ("query", "key", "value")]
UP = "bert.encoder.layer.0.intermediate.dense"


def _features(rows: int) -> np.ndarray:
    """What LayerNorm gives in trained models: a few features far wider than the rest, some far from 0."""
    random = np.random.default_rng(5)
    spread, centre = np.ones(64), np.zeros(64)
    spread[7], centre[20] = 20, 30
    return (random.normal(size=(rows, 64)) * spread + centre).astype(np.float32)


def _ranges(x: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    wide = np.zeros(128, np.float32), np.ones(128, np.float32)
    return {name: wide if inputs == 128 else (x.min(0), x.max(0)) for name, (_, inputs) in linear_layers(SHAPE).items()}


@pytest.mark.parametrize("names", [ATTENTION, [UP]], ids=["three at once", "one"])
def test_codes_times_weights_give_the_layers_product(names: list[str]) -> None:
    # GIVEN layers over features of very different ranges
    x, tensors = _features(400), seeded_tensors(SHAPE, 3)
    made = quantise(tensors, _ranges(x), SHAPE)
    kinds = {np.dtype(np.int8): "I8", np.dtype(np.float32): "F32"}
    weights = {name: Weight(array, kinds[array.dtype]) for name, array in {**tensors, **made}.items()}
    # WHEN a graph multiplies in int8
    parameter = op.parameter([-1, 64], openvino.Type.f32, name="x")
    model = openvino.Model([op.result(y) for y in linears(parameter, weights, *names)], [parameter], "layer")
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = np.concatenate(list(compiled(x).values()), axis=1)
    # THEN it is the sum over integers that int8.py gives
    codes = np.rint((x - made[f"{names[0]}.input_low"]) / made[f"{names[0]}.input_step"]).clip(0, 255)
    restored = codes * made[f"{names[0]}.input_step"] + made[f"{names[0]}.input_low"]
    step = made[f"{names[0]}.input_step"]
    rounded = [restored @ (made[f"{n}.weight"] * made[f"{n}.weight_scale"][:, None] / step).T for n in names]
    expected = np.concatenate([part + tensors[f"{n}.bias"] for part, n in zip(rounded, names, strict=True)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.std())
    # AND the exact product, but for the rounding of 8 bits
    exact = np.concatenate([x @ tensors[f"{n}.weight"].T + tensors[f"{n}.bias"] for n in names], axis=1)
    assert np.abs(found - exact).mean() < 0.02 * exact.std()


def test_every_layer_gets_its_scales_and_those_of_one_input_share_them() -> None:
    x, tensors = _features(50), seeded_tensors(SHAPE, 3)
    made = quantise(tensors, _ranges(x), SHAPE)
    assert {**tensors, **made}.keys() == int8_tensors(SHAPE).keys()
    for name in linear_layers(SHAPE):
        assert made[f"{name}.weight"].dtype == np.int8
        assert np.abs(made[f"{name}.weight"]).max() == 127
    query, *others = ATTENTION
    for other in others:
        np.testing.assert_array_equal(made[f"{query}.input_step"], made[f"{other}.input_step"])
        np.testing.assert_array_equal(made[f"{query}.input_low"], made[f"{other}.input_low"])


def test_codes_cover_what_was_seen() -> None:
    x = _features(400)
    made = quantise(seeded_tensors(SHAPE, 3), _ranges(x), SHAPE)
    codes = (x - made[f"{UP}.input_low"]) / made[f"{UP}.input_step"]
    assert codes.min() > -0.01
    assert codes.max() < 255.01


def test_ranges_are_those_of_the_tokens(small_bert: Path) -> None:
    artifact = open_artifact(small_bert)
    sequences = [np.array([2, 70, 71, 3]), np.array([2, 99, 3])]
    batch = RaggedBatch.of(sequences, [np.zeros(len(ids), int) for ids in sequences])
    ranges = input_ranges(artifact, batch, threads=1)
    assert linear_layers(artifact.manifest.shape).keys() < ranges.keys()
    for name, (_, inputs) in linear_layers(artifact.manifest.shape).items():
        lowest, highest = ranges[name]
        assert lowest.shape == highest.shape == (inputs,)
        assert (lowest < highest).all()


def test_an_int8_artifact_is_packaged_and_scored(two_layers: Model, tmp_path: Path) -> None:
    made = package(two_layers, tmp_path / "out", dtype="int8", progress=print)
    fidelity = made.artifact.manifest.fidelity
    assert fidelity is not None
    assert fidelity.measured_with.endswith("int8")
    assert fidelity.spearman > 0.9
    stored = map_weights(open_artifact(tmp_path / "out"))
    assert stored[f"{ATTENTION[0]}.weight"].dtype == "I8"
    assert stored["classifier.weight"].dtype == "F32"
    before = (tmp_path / "out.tar.gz").read_bytes()
    package(two_layers, tmp_path / "out", dtype="int8", force=True, progress=print)
    assert (tmp_path / "out.tar.gz").read_bytes() == before


def test_batches_do_not_change_int8_scores(two_layers: Model, tmp_path: Path) -> None:
    artifact = package(two_layers, tmp_path / "out", dtype="int8", progress=print).artifact
    engine = load_engine(artifact, threads=1)
    random = np.random.default_rng(0)
    ids = [random.integers(5, 200, length) for length in (9, 64, 30)]
    types = [np.zeros(len(sequence), int) for sequence in ids]
    together = engine.score(RaggedBatch.of(ids, types))
    alone = [engine.score(RaggedBatch.of([one], [kind]))[0] for one, kind in zip(ids, types, strict=True)]
    np.testing.assert_allclose(together, alone, atol=0.02 * np.ptp(together))


def test_a_layer_without_its_scales_is_named(two_layers: Model) -> None:
    tensors = seeded_tensors(two_layers.shape, 1)
    with pytest.raises(InvalidInput, match=r"query.weight_scale: is missing; expected sizes \[24\]"):
        normalise(tensors, two_layers.shape, name="somewhere", int8=True)


def test_int8_that_nobody_can_measure_is_refused_unless_accepted(
    two_layers: Model, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # as where it isn't installed
    with pytest.raises(FidelityUnknown, match="can't be measured here: the engine openvino wasn't installed"):
        package(two_layers, tmp_path / "out", source=f"dir:{checkpoint}", dtype="int8", progress=print)
    made = package(
        two_layers, tmp_path / "out", source=f"dir:{checkpoint}", dtype="int8", accept_loss=True, progress=print
    )
    assert made.artifact.manifest.fidelity is None
