from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification

from rerank_toolkit.bench.errors import NotComparable, RivalUnavailable
from rerank_toolkit.bench.rivals.checkpoint import write_checkpoint
from rerank_toolkit.bench.rivals.cross_encoder import cross_encoder
from rerank_toolkit.bench.rivals.environments import RIVALS, environment_python
from rerank_toolkit.bench.rivals.infinity import infinity

REQUIREMENTS = Path(__file__).parents[2] / "benchmarks" / "rivals"


def test_a_checkpoint_is_what_transformers_loads_with_the_layers_that_were_named(small_bert, tmp_path):
    shape = write_checkpoint(small_bert, tmp_path / "out", layers=(1,))

    model, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(info.values())
    assert (shape.layers, len(model.bert.encoder.layer)) == (1, 1)
    whole = load_file(small_bert / "model.safetensors")
    kept = model.bert.encoder.layer[0].attention.self.query.weight.detach()
    assert torch.equal(kept, torch.from_numpy(whole["bert.encoder.layer.1.attention.self.query.weight"]))
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (small_bert / "tokenizer.json").read_bytes()


def test_only_a_bert_is_cut(small_jinabert, tmp_path):
    with pytest.raises(NotComparable, match="is a jinabert in fp32; expected a bert"):
        write_checkpoint(small_jinabert, tmp_path / "out", layers=(0,))


def test_an_environment_is_made_once_and_anew_when_its_requirements_change(tmp_path):
    (tmp_path / "infinity.txt").write_text("# nothing but Python\n")
    told = []

    def make():
        return environment_python(
            "infinity", requirements=tmp_path, environments=tmp_path / "made", progress=told.append
        )

    python = make()
    assert python.is_file()
    assert make() == python
    assert len(told) == 1

    (tmp_path / "infinity.txt").write_text("./there-is-no-such-package\n")
    with pytest.raises(RivalUnavailable, match="there-is-no-such-package"):
        make()


def test_a_folder_that_is_no_environment_is_not_replaced(tmp_path):
    (tmp_path / "made" / "infinity").mkdir(parents=True)
    (tmp_path / "made" / "infinity" / "precious.txt").write_text("mine")

    with pytest.raises(RivalUnavailable, match="is no virtual environment"):
        environment_python(
            "infinity", requirements=REQUIREMENTS, environments=tmp_path / "made", progress=lambda line: None
        )
    assert (tmp_path / "made" / "infinity" / "precious.txt").read_text() == "mine"


def test_missing_requirements_are_named(tmp_path):
    with pytest.raises(RivalUnavailable, match=r"infinity\.txt is missing"):
        environment_python("infinity", requirements=tmp_path, environments=tmp_path, progress=lambda line: None)


@pytest.mark.parametrize("rival", RIVALS)
def test_every_rival_is_pinned_to_the_last_package(rival):
    lines = [line for line in (REQUIREMENTS / f"{rival}.txt").read_text().splitlines() if not line.startswith("#")]

    assert lines
    assert all("==" in line for line in lines)


def test_a_rival_that_does_not_start_says_why(tmp_path):
    """This project's own environment has no sentence-transformers and no infinity."""
    here = Path(sys.executable)
    with (
        pytest.raises(RivalUnavailable, match=r"sentence-transformers torch ended;(.|\n)*No module named"),
        cross_encoder(here, tmp_path, "torch"),
    ):
        pass
    with pytest.raises(RivalUnavailable, match="infinity_emb"), infinity(here, tmp_path, "fp32"):
        pass
