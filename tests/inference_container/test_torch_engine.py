"""The torch engine: batching changes no answer, memory is bounded, and what can't be run is refused in words."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference_container.artifact import WEIGHTS, Artifact, ArtifactError, open_artifact
from inference_container.engines import Engine, RaggedBatch
from inference_container.engines.loading import load_engine
from inference_container.engines.torch import TOKENS_AT_ONCE, TorchEngine, UnsupportedModel, passes
from rerank_toolkit.contracts.errors import InvalidInput

TOLERANCE = 1e-4


@pytest.fixture(scope="module", autouse=True)
def _threads() -> Iterator[None]:
    """Engines set torch's threads for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def jinabert(small_jinabert: Path) -> Engine:
    return load_engine(open_artifact(small_jinabert), threads=2)


@pytest.fixture(scope="module")
def bert(small_bert: Path) -> Engine:
    return load_engine(open_artifact(small_bert), threads=2)


def sequences(lengths: list[int]) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Random tokens, the same for the same place and length; the last two thirds are the document."""
    ids = [np.random.default_rng([place, n]).integers(5, 320, n) for place, n in enumerate(lengths)]
    return ids, [(np.arange(n) > n // 3).astype(np.int64) for n in lengths]


def assert_batching_changes_nothing(engine: Engine, lengths: list[int], orders: list[list[int]]) -> None:
    ids, types = sequences(lengths)
    alone = np.array([engine.score(RaggedBatch.of([i], [t]))[0] for i, t in zip(ids, types, strict=True)])
    assert alone.dtype == np.float32
    for order in orders:
        together = engine.score(RaggedBatch.of([ids[n] for n in order], [types[n] for n in order]))
        np.testing.assert_allclose(together, alone[order], atol=TOLERANCE, rtol=0)


def test_jinabert_scores_a_batch_as_one_by_one_up_to_8192_tokens(jinabert: Engine) -> None:
    lengths = [8192, 1, 2, 3, 15, 16, 17, 120, 511, 513, 2047, 4096, 5000, 33, 1]
    shuffled = np.random.default_rng(2).permutation(len(lengths)).tolist()
    assert_batching_changes_nothing(jinabert, lengths, [list(range(len(lengths))), shuffled])


def test_bert_scores_a_batch_as_one_by_one_up_to_512_tokens(bert: Engine) -> None:
    lengths = [512, 1, 2, 3, 16, 31, 120, 255, 256, 257, 511, 512, 1]
    shuffled = np.random.default_rng(2).permutation(len(lengths)).tolist()
    assert_batching_changes_nothing(bert, lengths, [list(range(len(lengths))), shuffled, shuffled[::-1]])


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=12), data=st.data())
def test_any_batch_in_any_order_scores_as_one_by_one(
    jinabert: Engine, bert: Engine, lengths: list[int], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(lengths))))
    for engine in (jinabert, bert):
        assert_batching_changes_nothing(engine, lengths, [order])


def test_scores_differ_between_documents(jinabert: Engine, bert: Engine) -> None:
    """Else the comparisons above could not fail."""
    for engine in (jinabert, bert):
        assert engine.score(RaggedBatch.of(*sequences([50] * 20))).std() > 0.3


@given(lengths=st.lists(st.integers(1, 3 * TOKENS_AT_ONCE), min_size=1, max_size=30))
def test_passes_cover_each_sequence_once_within_the_bound(lengths: list[int]) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ranges = list(passes(offsets))
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(lengths)
    assert all(end == start for (_, end), (start, _) in pairwise(ranges))
    for first, last in ranges:
        assert sum(lengths[first:last]) <= TOKENS_AT_ONCE or last - first == 1


@pytest.mark.parametrize(("dtype", "correlation"), [("bf16", 0.995), ("fp16", 0.9995)])
def test_reduced_precision_stays_near_fp32(
    jinabert: Engine, small_jinabert: Path, dtype: str, correlation: float
) -> None:
    reduced = load_engine(changed(small_jinabert, dtype=dtype), threads=2)
    assert reduced.dtype == dtype
    batch = RaggedBatch.of(*sequences([20, 40, 80, 160, 320, 640] * 5))
    exact, rough = jinabert.score(batch), reduced.score(batch)
    assert np.corrcoef(exact, rough)[0, 1] > correlation
    assert not np.array_equal(rough, torch.from_numpy(rough).bfloat16().float().numpy())  # the head is fp32


@pytest.mark.parametrize("threads", [2, 1])
def test_as_many_threads_compute_as_were_asked_for(small_bert: Path, threads: int) -> None:
    load_engine(open_artifact(small_bert), threads=threads)
    assert torch.get_num_threads() == threads


def test_the_engine_names_itself(bert: Engine) -> None:
    assert (bert.name, bert.version, bert.dtype) == ("torch", torch.__version__, "fp32")


def changed(folder: Path, **fields: object) -> Artifact:
    """The artifact in `folder` with other words in its manifest."""
    artifact = open_artifact(folder)
    return Artifact(folder, msgspec.structs.replace(artifact.manifest, **fields))


def test_more_tokens_than_positions_are_refused_at_load(small_bert: Path) -> None:
    with pytest.raises(InvalidInput, match="max_tokens: is 1024; the model has 512 positions"):
        load_engine(changed(small_bert, max_tokens=1024), threads=1)


def test_all_that_the_engine_cannot_run_is_named_at_once(small_bert: Path) -> None:
    shape = msgspec.structs.replace(open_artifact(small_bert).manifest.shape, labels=3)
    with pytest.raises(UnsupportedModel) as caught:
        load_engine(changed(small_bert, shape=shape, dtype="int8"), threads=1)
    for words in ("labels is 3", "dtype is int8"):
        assert words in str(caught.value)


def test_weights_of_another_shape_are_refused_tensor_by_tensor(small_bert: Path) -> None:
    shape = msgspec.structs.replace(open_artifact(small_bert).manifest.shape, layers=3, positions=600)
    with pytest.raises(InvalidInput) as caught:
        load_engine(changed(small_bert, shape=shape), threads=1)
    faults = {fault.field: fault.message for fault in caught.value.faults}
    assert faults["bert.encoder.layer.2.attention.self.query.weight"].startswith("is missing")
    assert faults["bert.embeddings.position_embeddings.weight"].startswith("has sizes [512, 48]; expected")


def test_a_pickle_is_not_loaded(small_bert: Path, tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_bytes(pickle.dumps({"classifier.bias": [0.0]}))
    artifact = Artifact(tmp_path, open_artifact(small_bert).manifest)
    with pytest.raises(ArtifactError, match=r"model\.safetensors: can't be read as safetensors"):
        TorchEngine(artifact, threads=1)


def test_loading_imports_torch_only_for_a_torch_artifact() -> None:
    probe = "import sys, inference_container.engines.loading; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False, timeout=60).returncode == 0


def test_twenty_documents_of_8192_tokens_stay_under_2_gb(tmp_path: Path) -> None:
    """Memory of a process that scores them on tiny's shape, cut to two layers: more layers cost time, not memory.

    The two layers left out weigh 19 MB. One full matrix of attention scores would be 3.2 GB.
    """
    probe = Path(__file__).with_name("peak_memory.py")
    done = subprocess.run(
        [sys.executable, probe, tmp_path / "tiny", "20", "8192"],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    peak, scores = msgspec.json.decode(done.stdout, type=tuple[float, list[float]])
    assert len(scores) == 20
    assert np.std(scores) > 0.3
    assert peak < 2e9
