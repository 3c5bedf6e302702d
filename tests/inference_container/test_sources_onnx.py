"""Weights out of a quantised ONNX file, against the arithmetic that made it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference_container.onnx_weights import UnreadableOnnx, read_onnx
from inference_container.packaging import package
from inference_container.seeded import seeded_tensors
from rerank_toolkit.catalog.models import Model


def _write_quantised(path: Path, tensors: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Writes `tensors` as onnxruntime's dynamic quantiser does; returns what they dequantise to."""
    initialisers: list[TensorProto] = [numpy_helper.from_array(np.zeros(3, np.float32), "/bert/Constant_output_0")]
    nodes = []
    expected = {}
    for count, (name, tensor) in enumerate(tensors.items()):
        if tensor.ndim == 1:
            initialisers.append(numpy_helper.from_array(tensor, name))
            expected[name] = tensor
            continue
        gathered = "embeddings" in name
        stem = name if gathered else f"onnx::MatMul_{1000 + count}"
        stored = tensor if gathered else np.ascontiguousarray(tensor.T)
        scale = np.float32((stored.max() - stored.min()) / 255)
        zero_point = np.uint8(np.round(-stored.min() / scale))
        quantised = np.clip(np.round(stored / scale) + zero_point, 0, 255).astype(np.uint8)
        for part, values in (("quantized", quantised), ("scale", scale), ("zero_point", zero_point)):
            initialisers.append(numpy_helper.from_array(np.asarray(values), f"{stem}_{part}"))
        path_of_module = "/" + name.removesuffix(".weight").replace(".", "/").replace("layer/", "layer.")
        inputs = (
            [f"{stem}_quantized", "ids"] if gathered else ["x", f"{stem}_quantized", "x_zero", f"{stem}_zero_point"]
        )
        operator, suffix = ("Gather", "Gather") if gathered else ("MatMulInteger", "MatMul_quant")
        nodes.append(helper.make_node(operator, inputs, [f"out_{count}"], f"{path_of_module}/{suffix}"))
        dequantised = (quantised.astype(np.float32) - np.float32(zero_point)) * scale
        expected[name] = dequantised if gathered else dequantised.T
    onnx.save(helper.make_model(helper.make_graph(nodes, "encoder", [], [], initialisers)), path)
    return expected


def test_quantised_weights_come_back_under_their_published_names(two_layers: Model, tmp_path: Path) -> None:
    tensors = seeded_tensors(two_layers.shape, 1)
    expected = _write_quantised(tmp_path / "model.onnx", tensors)
    read = read_onnx(tmp_path / "model.onnx", name="model.onnx")
    assert read.keys() == tensors.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(read[name], tensor)
        step = np.ptp(tensors[name]) / 255
        np.testing.assert_allclose(read[name], tensors[name], atol=step)


def test_a_folder_with_onnx_alone_is_packaged_and_says_so(two_layers: Model, checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "config.json").unlink()
    _write_quantised(checkpoint / "model.onnx", seeded_tensors(two_layers.shape, 1))
    made = package(two_layers, tmp_path / "out", source=f"dir:{checkpoint}", engine="torch", progress=print)
    assert "dequantised from int8 ONNX" in made.note
    assert "dequantised from int8 ONNX" in made.artifact.file("NOTICE").read_text()


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / "model.onnx")
    with pytest.raises(UnreadableOnnx, match=r"model.onnx is no ONNX file"):
        read_onnx(tmp_path / "model.onnx", name="model.onnx")


def test_an_onnx_without_int8_weights_is_refused(tmp_path: Path) -> None:
    onnx.save(helper.make_model(helper.make_graph([], "empty", [], [])), tmp_path / "model.onnx")
    with pytest.raises(UnreadableOnnx, match="only dynamically quantised ONNX is read"):
        read_onnx(tmp_path / "model.onnx", name="model.onnx")


@pytest.mark.parametrize("missing", ["scale", "zero_point"])
def test_an_onnx_of_another_quantiser_is_refused(missing: str, two_layers: Model, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    _write_quantised(path, seeded_tensors(two_layers.shape, 1))
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace(f"_{missing}", "_other")
    onnx.save(model, path)
    with pytest.raises(UnreadableOnnx, match=rf"theirs has int8 weights but no '.*_{missing}'; only onnxruntime's"):
        read_onnx(path, name="theirs")
