"""What an OpenVINO worker holds of a model: one copy of its weights, as the kernels want them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from inference_container.artifact import Artifact, write_artifact
from inference_container.conversion import cast
from inference_container.graphs.compiled import reduced_precision
from inference_container.graphs.weights import map_weights
from inference_container.memory import MIB
from inference_container.seeded import seeded_tensors, seeded_tokenizer
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.manifest import Dtype, Manifest

SHAPE = Shape(
    family="bert", layers=8, hidden=768, heads=12, intermediate=3072, vocabulary=320, positions=512, token_types=2
)
BESIDES = 80 * MIB
"""What any model takes: activations, kernels, the library's pages."""


class Held(NamedTuple):
    parameters: int
    own: int
    peak: int
    mapped: int


def write(folder: Path, dtype: Dtype) -> Artifact:
    manifest = Manifest(
        model_id="eight-layers",
        revision="0",
        source="seeded:0",
        seeded=True,
        license="Apache-2.0",
        shape=SHAPE,
        max_tokens=512,
        engine="openvino",
        dtype=dtype,
        toolkit_version="0",
        files={},
    )
    tensors = cast(seeded_tensors(SHAPE, 0), dtype)
    return write_artifact(folder, manifest, tensors=tensors, tokenizer=seeded_tokenizer(SHAPE).to_str())


def held(artifact: Artifact) -> Held:
    script = Path(__file__).with_name("held_memory.py")
    told = subprocess.run([sys.executable, script, artifact.path], capture_output=True, check=True).stdout
    parameters = sum(weight.data.size for weight in map_weights(artifact).values())
    return Held(parameters, **msgspec.json.decode(told))


@pytest.mark.skipif(reduced_precision() != "bf16", reason="this CPU does not multiply bf16")
def test_weights_in_bf16_are_held_once(tmp_path: Path) -> None:
    found = held(write(tmp_path / "bf16", "bf16"))
    weights = 2 * found.parameters

    assert weights > BESIDES, "so that a second copy would show"
    assert weights < found.own < weights + BESIDES
    assert found.peak < found.own + BESIDES, "nor is the file held while kernels take their copies"
    assert found.mapped < 10 * MIB


def test_pages_that_were_given_back_come_from_the_file_again(tmp_path: Path) -> None:
    artifact = write(tmp_path / "fp32", "fp32")
    weights = map_weights(artifact)
    before = {name: weight.data.copy() for name, weight in weights.items()}

    with weights.passing():
        sums = [float(weight.widened().sum()) for weight in weights.values()]
    weights.release()

    assert sums == [float(array.sum()) for array in before.values()]
    for name, array in before.items():
        np.testing.assert_array_equal(weights[name].data, array)
