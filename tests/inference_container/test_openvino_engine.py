"""The OpenVINO engine: the answers of the torch engine, batched as one by one, and refusals in words."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference_container.artifact import TOKENIZER, WEIGHTS, Artifact, ArtifactError, open_artifact, write_artifact
from inference_container.engines import Engine, RaggedBatch, UnsupportedModel, computed_tokens
from inference_container.engines.loading import EngineMissing, load_engine
from inference_container.engines.openvino import LONG, PASS_COST, STEP, TOKENS_AT_ONCE, OpenVinoEngine, padded, passes
from inference_container.graphs.compiled import DTYPES, reduced_precision
from inference_container.seeded import seeded_tensors, seeded_tokenizer
from inference_container.tokenization import PairTokenizer
from rerank_toolkit.catalog.shapes import Family, Shape
from rerank_toolkit.contracts.errors import InvalidInput

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def small_xlm_roberta(small_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = Shape(
        family="xlm-roberta",
        layers=2,
        hidden=48,
        heads=12,
        intermediate=96,
        vocabulary=320,
        positions=514,
        token_types=1,
    )
    manifest = msgspec.structs.replace(open_artifact(small_bert).manifest, shape=shape)
    out = tmp_path_factory.mktemp("artifacts") / "small-xlm-roberta"
    return write_artifact(
        out, manifest, tensors=seeded_tensors(shape, 7), tokenizer=seeded_tokenizer(shape).to_str()
    ).path


@pytest.fixture(scope="module")
def folders(small_bert: Path, small_jinabert: Path, small_xlm_roberta: Path) -> dict[Family, Path]:
    return {"bert": small_bert, "jinabert": small_jinabert, "xlm-roberta": small_xlm_roberta}


@pytest.fixture(scope="module")
def engines(folders: dict[Family, Path]) -> dict[Family, Engine]:
    return {family: load_engine(changed(folder), threads=1) for family, folder in folders.items()}


def changed(folder: Path, **fields: object) -> Artifact:
    """The artifact in `folder` for this engine, with other words in its manifest."""
    artifact = open_artifact(folder)
    return Artifact(folder, msgspec.structs.replace(artifact.manifest, **{"engine": "openvino", **fields}))


def batch_of(lengths: list[int], *, token_types: int = 2) -> RaggedBatch:
    """Random tokens, the same for the same place and length; the last two thirds are the document."""
    ids = [np.random.default_rng([place, n]).integers(5, 320, n) for place, n in enumerate(lengths)]
    return RaggedBatch.of(ids, [((np.arange(n) > n // 3) * (token_types - 1)).astype(np.int32) for n in lengths])


def one_by_one(engine: Engine, batch: RaggedBatch) -> NDArray[np.float32]:
    spans = [slice(start, end) for start, end in pairwise(batch.offsets.tolist())]
    return np.concatenate([engine.score(RaggedBatch.of([batch.ids[s]], [batch.type_ids[s]])) for s in spans])


@pytest.mark.parametrize("family", ["bert", "jinabert", "xlm-roberta"])
def test_fp32_logits_are_those_of_torch(
    family: Family, engines: dict[Family, Engine], folders: dict[Family, Path]
) -> None:
    reference = load_engine(open_artifact(folders[family]), threads=1)
    token_types = open_artifact(folders[family]).manifest.shape.token_types
    batch = batch_of([1, 2, 3, 7, 8, 9, 16, 17, 120, 300, 500] * 2, token_types=token_types)
    expected = reference.score(batch)
    assert expected.std() > 0.3
    np.testing.assert_allclose(engines[family].score(batch), expected, atol=TOLERANCE, rtol=0)


def test_the_genuine_minilm_scores_as_torch_does(minilm_l12: Path) -> None:
    tokenizer = PairTokenizer.from_file(minilm_l12 / TOKENIZER, max_tokens=512, type_ids=True)
    documents = ["Berlin had a population of 3,520,031 registered inhabitants.", "Museums.", "Berlin is a city. " * 300]
    encoded = tokenizer.encode("How many people live in Berlin?", documents)
    batch = RaggedBatch.of(encoded.ids, encoded.type_ids)
    expected = load_engine(open_artifact(minilm_l12), threads=1).score(batch)
    np.testing.assert_allclose(
        load_engine(changed(minilm_l12), threads=1).score(batch), expected, atol=TOLERANCE, rtol=0
    )
    reduced = load_engine(changed(minilm_l12, dtype="bf16"), threads=1)
    np.testing.assert_allclose(reduced.score(batch), expected, atol=0.25, rtol=0)
    np.testing.assert_allclose(reduced.score(batch), one_by_one(reduced, batch), atol=0.05, rtol=0)


def test_long_sequences_score_as_torch_does(engines: dict[Family, Engine], small_jinabert: Path) -> None:
    batch = batch_of([LONG - 1, 3, LONG, LONG + 1, 5000, 40, 8192])
    expected = load_engine(open_artifact(small_jinabert), threads=1).score(batch)
    assert expected.std() > 0.3
    np.testing.assert_allclose(engines["jinabert"].score(batch), expected, atol=TOLERANCE, rtol=0)


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=12), data=st.data())
def test_any_batch_in_any_order_scores_as_one_by_one(
    engines: dict[Family, Engine], lengths: list[int], data: st.DataObject
) -> None:
    """So padding, and what else is in the batch, changes nothing."""
    order = data.draw(st.permutations(lengths))
    for family, engine in engines.items():
        batch = batch_of(order, token_types=1 if family == "xlm-roberta" else 2)
        np.testing.assert_allclose(engine.score(batch), one_by_one(engine, batch), atol=TOLERANCE, rtol=0)


def test_reduced_precision_stays_near_fp32(engines: dict[Family, Engine], small_jinabert: Path) -> None:
    reduced = load_engine(changed(small_jinabert, dtype="bf16"), threads=1)
    assert reduced.dtype == DTYPES[reduced_precision()]
    batch = batch_of([20, 40, 80, 160, 320, 640] * 5)
    exact, rough = engines["jinabert"].score(batch), reduced.score(batch)
    assert np.corrcoef(exact, rough)[0, 1] > 0.995
    if reduced.dtype == "bf16":
        assert not np.allclose(exact, rough, atol=TOLERANCE, rtol=0)


def test_weights_stored_in_bf16_are_read_as_they_are(
    engines: dict[Family, Engine], small_jinabert: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    rounded = {name: tensor.bfloat16() for name, tensor in load_file(small_jinabert / WEIGHTS).items()}
    rounded["classifier.weight"] = rounded["classifier.weight"].float()
    rounded["bert.embeddings.LayerNorm.bias"] = rounded["bert.embeddings.LayerNorm.bias"].half()
    save_file(rounded, tmp_path / WEIGHTS)
    (tmp_path / "fp32").mkdir()
    save_file({name: tensor.to(torch.float32) for name, tensor in rounded.items()}, tmp_path / "fp32" / WEIGHTS)
    manifest = changed(small_jinabert).manifest
    narrow = OpenVinoEngine(Artifact(tmp_path, manifest), threads=1)
    wide = OpenVinoEngine(Artifact(tmp_path / "fp32", manifest), threads=1)
    batch = batch_of([5, 50, 100])
    np.testing.assert_allclose(narrow.score(batch), wide.score(batch), atol=TOLERANCE, rtol=0)
    assert not np.allclose(narrow.score(batch), engines["jinabert"].score(batch), atol=TOLERANCE, rtol=0)


@given(lengths=st.lists(st.integers(1, 3 * TOKENS_AT_ONCE), min_size=1, max_size=40))
def test_passes_cover_each_sequence_once_within_the_bound(lengths: list[int]) -> None:
    groups = [group.tolist() for group in passes(np.array(lengths))]
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) * padded(np.array(lengths)[group]).max() <= TOKENS_AT_ONCE or len(group) == 1


def test_passes_are_the_cheapest() -> None:
    """Of all ways to cut a few sequences, in order of length, into passes."""
    lengths = np.random.default_rng(3).integers(1, 500, 11)
    order = np.sort(padded(lengths))

    def cost(groups: list[NDArray[np.int64]]) -> int:
        return sum(PASS_COST + len(group) * int(group.max()) for group in groups)

    cuts = [np.flatnonzero([number >> place & 1 for place in range(10)]) + 1 for number in range(2**10)]
    ways = [np.split(order, cut) for cut in cuts]
    allowed = [way for way in ways if all(len(group) * group.max() <= TOKENS_AT_ONCE for group in way)]
    assert cost([padded(lengths[group]) for group in passes(lengths)]) == min(cost(way) for way in allowed)


def test_padding_is_counted(engines: dict[Family, Engine]) -> None:
    batch = batch_of([STEP, STEP + 1, 3 * STEP])
    engines["bert"].score(batch)
    assert computed_tokens(engines["bert"], batch) == 3 * 3 * STEP  # one pass: cheaper than two


def test_the_engine_names_itself(engines: dict[Family, Engine]) -> None:
    import openvino

    engine = engines["bert"]
    assert (engine.name, engine.dtype) == ("openvino", "fp32")
    assert openvino.__version__.startswith(f"{engine.version}-")


def test_a_head_of_several_logits_is_refused(small_bert: Path) -> None:
    shape = msgspec.structs.replace(open_artifact(small_bert).manifest.shape, labels=3)
    with pytest.raises(UnsupportedModel, match="labels is 3"):
        load_engine(changed(small_bert, shape=shape), threads=1)


def test_weights_of_another_shape_are_refused_tensor_by_tensor(small_bert: Path) -> None:
    shape = msgspec.structs.replace(open_artifact(small_bert).manifest.shape, layers=3, positions=600)
    with pytest.raises(InvalidInput) as caught:
        load_engine(changed(small_bert, shape=shape), threads=1)
    faults = {fault.field: fault.message for fault in caught.value.faults}
    assert faults["bert.encoder.layer.2.attention.self.query.weight"].startswith("is missing")
    assert faults["bert.embeddings.position_embeddings.weight"].startswith("has sizes [512, 48]; expected")


@pytest.mark.parametrize("content", [b"", b"\x80\x04]", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_safetensors_is_not_loaded(small_bert: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises((ArtifactError, InvalidInput), match=r"model\.safetensors"):
        OpenVinoEngine(Artifact(tmp_path, changed(small_bert).manifest), threads=1)


def test_numbers_without_a_use_are_refused(small_bert: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"classifier.bias": np.zeros(1)}, tmp_path / WEIGHTS)
    with pytest.raises(ArtifactError, match=r"classifier\.bias: holds F64; expected one of F32, F16, BF16"):
        OpenVinoEngine(Artifact(tmp_path, changed(small_bert).manifest), threads=1)


def in_another_process(program: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


_LOAD = """
import sys
from pathlib import Path
import msgspec
from inference_container.artifact import Artifact, open_artifact
from inference_container.engines.loading import load_engine
artifact = open_artifact(Path(sys.argv[1]))
artifact = Artifact(artifact.path, msgspec.structs.replace(artifact.manifest, engine="openvino"))
"""


def test_an_engine_that_is_not_installed_is_named(small_bert: Path) -> None:
    said = in_another_process(
        f"{_LOAD}\nsys.modules['openvino'] = None\ntry:\n    load_engine(artifact, threads=1)\n"
        "except Exception as error:\n    print(type(error).__name__, error)",
        small_bert,
    )
    assert said.startswith(EngineMissing.__name__)
    assert "needs the engine openvino" in said
    assert "install rerank-toolkit[serve,openvino]" in said


def test_neither_torch_nor_the_model_converter_is_imported(small_bert: Path) -> None:
    """The converter reports its import over the network."""
    imported = in_another_process(
        f"{_LOAD}\nload_engine(artifact, threads=1)\nprint(*(name for name, module in sys.modules.items() if module))",
        small_bert,
    ).split()
    assert "openvino" in imported
    assert not [name for name in imported if name.split(".")[0] in ("torch", "openvino_telemetry", "pandas")]
    assert not [name for name in imported if name.startswith("openvino.tools")]


def test_documents_of_8192_tokens_stay_under_1_gb(tmp_path: Path) -> None:
    """Memory of a process that makes tiny's shape of two layers with seeded weights, and scores them in bf16."""
    probe = Path(__file__).with_name("peak_memory.py")
    done = subprocess.run(
        [sys.executable, probe, tmp_path / "tiny", "3", "8192", "openvino", "bf16"],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    peak, scores = msgspec.json.decode(done.stdout, type=tuple[float, list[float]])
    assert len(scores) == 3
    assert np.ptp(scores) > 0.3
    assert peak < 1e9
