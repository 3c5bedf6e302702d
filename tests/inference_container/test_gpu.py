"""The torch engine on a GPU against the same engine's arithmetic on the CPU. Runs wherever CUDA does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inference_container.artifact import open_artifact, write_artifact
from inference_container.engines import RaggedBatch
from inference_container.engines.torch import TorchEngine, runnable
from inference_container.models.cross_encoder import CrossEncoder
from inference_container.seeded import seeded_tensors, seeded_tokenizer
from rerank_toolkit.catalog.shapes import Family, Shape
from rerank_toolkit.contracts.manifest import Dtype

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs an NVIDIA GPU and a CUDA build of torch; neither is here"
)

_SIZES = {"layers": 3, "hidden": 96, "heads": 12, "intermediate": 192, "vocabulary": 320}
SHAPES: dict[Family, Shape] = {
    "bert": Shape(family="bert", positions=512, token_types=2, **_SIZES),
    "jinabert": Shape(family="jinabert", token_types=2, **_SIZES),
    "xlm-roberta": Shape(family="xlm-roberta", positions=514, token_types=1, layer_norm_eps=1e-5, **_SIZES),
    "deberta-v2": Shape(family="deberta-v2", relative_positions=512, layer_norm_eps=1e-7, **_SIZES),
}


def engine(shape: Shape, dtype: Dtype, like: Path, folder: Path) -> TorchEngine:
    manifest = msgspec.structs.replace(open_artifact(like).manifest, shape=shape, dtype=dtype)
    tokenizer = seeded_tokenizer(shape).to_str()
    artifact = write_artifact(folder / "gpu", manifest, tensors=seeded_tensors(shape, 7), tokenizer=tokenizer)
    return TorchEngine(artifact, threads=1)


def batch_of(shape: Shape, lengths: list[int]) -> RaggedBatch:
    ids = [np.random.default_rng([place, n]).integers(5, 320, n) for place, n in enumerate(lengths)]
    types = [((np.arange(n) > n // 3) * (shape.token_types > 1)).astype(np.int32) for n in lengths]
    return RaggedBatch.of(ids, types)


def on_cpu(shape: Shape, batch: RaggedBatch) -> NDArray[np.float32]:
    model = CrossEncoder(shape).eval()
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in seeded_tensors(shape, 7).items()})
    with torch.inference_mode():
        logits = model(torch.from_numpy(batch.ids), torch.from_numpy(batch.type_ids), batch.offsets.tolist())
    scores: NDArray[np.float32] = logits[:, 0].numpy()
    return scores


@pytest.mark.parametrize("family", get_args(Family))
def test_fp32_scores_are_those_of_the_cpu(family: Family, small_bert: Path, tmp_path: Path) -> None:
    batch = batch_of(SHAPES[family], [1, 2, 17, 120, 300, 512])
    scores = engine(SHAPES[family], "fp32", small_bert, tmp_path).score(batch)
    np.testing.assert_allclose(scores, on_cpu(SHAPES[family], batch), atol=1e-3, rtol=0)


@pytest.mark.parametrize("family", get_args(Family))
@pytest.mark.parametrize(("dtype", "correlation"), [("fp16", 0.999), ("bf16", 0.99)])
def test_half_precision_stays_near_fp32(
    family: Family, dtype: Dtype, correlation: float, small_bert: Path, tmp_path: Path
) -> None:
    batch = batch_of(SHAPES[family], [20, 40, 80, 160, 320, 500] * 5)
    loaded = engine(SHAPES[family], dtype, small_bert, tmp_path)
    assert loaded.dtype == runnable(dtype, torch.device("cuda"))
    assert np.corrcoef(loaded.score(batch), on_cpu(SHAPES[family], batch))[0, 1] > correlation


@pytest.mark.parametrize("family", get_args(Family))
def test_a_batch_scores_as_one_by_one(family: Family, small_bert: Path, tmp_path: Path) -> None:
    loaded, batch = engine(SHAPES[family], "fp32", small_bert, tmp_path), batch_of(SHAPES[family], [1, 9, 64, 300, 512])
    spans = [slice(*span) for span in pairwise(batch.offsets.tolist())]
    alone = [loaded.score(RaggedBatch.of([batch.ids[s]], [batch.type_ids[s]])) for s in spans]
    np.testing.assert_allclose(loaded.score(batch), np.concatenate(alone), atol=1e-3, rtol=0)


def test_documents_of_8192_tokens_form_no_matrix_of_scores(small_bert: Path, tmp_path: Path) -> None:
    """The whole one of a sequence would be 1.6 GB in fp16, for 12 heads."""
    loaded = engine(SHAPES["jinabert"], "fp16", small_bert, tmp_path)
    batch = batch_of(SHAPES["jinabert"], [8192] * 4)
    torch.cuda.reset_peak_memory_stats()
    scores = loaded.score(batch)
    assert torch.cuda.max_memory_allocated() < 1e9
    assert np.corrcoef(scores, on_cpu(SHAPES["jinabert"], batch))[0, 1] > 0.99
