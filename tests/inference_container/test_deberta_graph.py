"""DeBERTa-v2 as an OpenVINO graph against the torch model: the same scores, whatever else is in the batch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference_container.artifact import Artifact, open_artifact, write_artifact
from inference_container.checkpoints import linear_layers
from inference_container.engines import Engine, RaggedBatch
from inference_container.engines.loading import load_engine
from inference_container.graphs.deberta import matrix
from inference_container.graphs.weights import map_weights
from inference_container.packaging import package
from inference_container.seeded import seeded_tensors, seeded_tokenizer
from rerank_toolkit.catalog.models import Model, find_model
from rerank_toolkit.catalog.shapes import Shape
from rerank_toolkit.contracts.errors import InvalidInput

TOLERANCE = 1e-4
SMALL = Shape(
    family="deberta-v2", layers=2, hidden=48, heads=6, intermediate=80, vocabulary=320, relative_positions=64,
    layer_norm_eps=1e-7,
)  # fmt: skip
LENGTHS = [1, 2, 7, 8, 9, 31, 32, 33, 100, 250, 511, 512]


def write(folder: Path, shape: Shape, like: Path) -> Artifact:
    manifest = msgspec.structs.replace(open_artifact(like).manifest, shape=shape, max_tokens=512, engine="torch")
    tokenizer = seeded_tokenizer(shape).to_str()
    return write_artifact(folder, manifest, tensors=seeded_tensors(shape, 7), tokenizer=tokenizer)


def load(artifact: Artifact, **fields: object) -> Engine:
    return load_engine(Artifact(artifact.path, msgspec.structs.replace(artifact.manifest, **fields)), threads=1)


@pytest.fixture(scope="module")
def artifact(small_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return write(tmp_path_factory.mktemp("artifacts") / "small-deberta", SMALL, small_bert)


@pytest.fixture(scope="module")
def graph(artifact: Artifact) -> Engine:
    return load(artifact, engine="openvino")


def batch_of(lengths: list[int]) -> RaggedBatch:
    """Random tokens, the same for the same place and length."""
    ids = [np.random.default_rng([place, n]).integers(5, 320, n) for place, n in enumerate(lengths)]
    return RaggedBatch.of(ids, [np.zeros(n, dtype=np.int32) for n in lengths])


def one_by_one(engine: Engine, batch: RaggedBatch) -> NDArray[np.float32]:
    spans = [slice(*span) for span in pairwise(batch.offsets.tolist())]
    return np.concatenate([engine.score(RaggedBatch.of([batch.ids[s]], [batch.type_ids[s]])) for s in spans])


def test_scores_are_those_of_torch(artifact: Artifact, graph: Engine) -> None:
    expected = load(artifact).score(batch_of(LENGTHS))
    assert expected.std() > 0.3
    np.testing.assert_allclose(graph.score(batch_of(LENGTHS)), expected, atol=TOLERANCE, rtol=0)


def test_layers_as_published_score_as_torch(small_bert: Path, tmp_path: Path) -> None:
    shape = msgspec.structs.replace(find_model("mxbai-xsmall").shape, layers=2, vocabulary=320)
    published = write(tmp_path / "published", shape, small_bert)
    expected = load(published).score(batch_of(LENGTHS))
    assert expected.std() > 0.3
    np.testing.assert_allclose(
        load(published, engine="openvino").score(batch_of(LENGTHS)), expected, atol=TOLERANCE, rtol=0
    )


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=10))
def test_a_batch_scores_as_one_by_one(graph: Engine, lengths: list[int]) -> None:
    batch = batch_of(lengths)
    np.testing.assert_allclose(graph.score(batch), one_by_one(graph, batch), atol=TOLERANCE, rtol=0)


def test_reduced_precision_stays_near_fp32(artifact: Artifact, graph: Engine) -> None:
    batch = batch_of([20, 40, 80, 160, 320, 500] * 5)
    reduced = load(artifact, engine="openvino", dtype="bf16").score(batch)
    assert np.corrcoef(graph.score(batch), reduced)[0, 1] > 0.99


def test_tables_of_distances_are_made_of_int8s_codes_too(two_layers: Model, tmp_path: Path) -> None:
    model = msgspec.structs.replace(two_layers, shape=SMALL)
    coded = package(model, tmp_path / "int8", engine="openvino", dtype="int8", progress=print).artifact
    weights, exact = map_weights(coded), seeded_tensors(SMALL, 1)
    for dense in (name for name in linear_layers(SMALL) if name.endswith(("query_proj", "key_proj"))):
        expected = exact[f"{dense}.weight"]
        np.testing.assert_allclose(matrix(weights, dense), expected, atol=0.05 * expected.std(), rtol=0)
    assert coded.manifest.fidelity is not None
    assert coded.manifest.fidelity.spearman > 0.8


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_more_tokens_than_the_distances_reach_are_refused_at_load(artifact: Artifact, engine: str) -> None:
    with pytest.raises(InvalidInput, match="max_tokens: is 513; the model has 512 positions"):
        load(artifact, engine=engine, max_tokens=513)
