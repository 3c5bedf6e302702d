"""What a change of templates does to the bill."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.components import MONTH_HOURS
from cost_model.templates.assembly import read_templates
from cost_model.templates.charges import Span
from cost_model.templates.difference import Difference, compare_templates
from rerank_toolkit.contracts.errors import InvalidInput

from .command import rerank_cost
from .templates import PRICES, REGION, SCALED, VARIANT, endpoint, rate, scaled, template, write


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    return compare_templates([template(old)], [template(new)], PRICES)


def test_a_larger_type_is_a_change_of_one_line():
    difference = compare(endpoint(), endpoint({**VARIANT, "InstanceType": "ml.c7i.2xlarge"}))

    changed = [line for one in difference.resources for line in one.lines if line.sign != "="]
    assert [line.name for line in changed] == ["ml.c7i.xlarge, 2 × 730 hours → ml.c7i.2xlarge, 2 × 730 hours"]
    more = 2 * MONTH_HOURS * (rate("ml.c7i.2xlarge") - rate("ml.c7i.xlarge"))
    assert difference.change == Span(more, more)


def test_what_comes_and_what_goes_are_told_apart():
    key = {"Key": {"Type": "AWS::KMS::Key"}}

    comes, goes = compare({}, {**endpoint(), **key}), compare({**endpoint(), **key}, endpoint())

    assert {one.sign for one in comes.resources} == {"+"}
    assert {one.id: one.sign for one in goes.resources} == {"Config": "=", "Endpoint": "=", "Key": "-"}
    assert goes.before.unpriced == ("Stack/Key: KMS key",)
    assert goes.after.unpriced == ()


COUNTS = st.integers(min_value=0, max_value=100)


@given(counts=st.lists(COUNTS, min_size=2, max_size=2), bounds=st.lists(COUNTS, min_size=2, max_size=2))
def test_back_and_forth_changes_nothing(counts, bounds):
    one, other = (endpoint({**VARIANT, "InitialInstanceCount": count}) for count in counts)
    low, high = sorted(bounds)
    other = {**other, "Target": scaled(MinCapacity=low, MaxCapacity=high)}

    there, back = compare(one, other).change, compare(other, one).change

    assert there + back == Span()
    assert not compare(other, other).change


@given(one=st.lists(COUNTS, min_size=2, max_size=2), more=COUNTS)
def test_more_instances_never_cost_less(one, more):
    low, high = sorted(one)
    bounds = {"MinCapacity": low, "MaxCapacity": high}
    wider = {"MinCapacity": low + more, "MaxCapacity": high + more}

    change = compare({**endpoint(), "Target": scaled(**bounds)}, {**endpoint(), "Target": scaled(**wider)}).change

    assert change.least >= 0
    assert change.most >= 0


# Files.


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    """As `cdk synth` leaves it, with a stack in a nested one."""
    stack = {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/eu-west-1"}
    folder = tmp_path / "cdk.out"
    write(folder / "Cpu.template.json", endpoint())
    write(folder / "assembly-Stage" / "Inner.template.json", {"Key": {"Type": "AWS::KMS::Key"}})
    manifest = {
        "version": "48.0.0",
        "artifacts": {
            "Cpu.assets": {"type": "cdk:asset-manifest", "properties": {"file": "Cpu.assets.json"}},
            "Cpu": {**stack, "properties": {"templateFile": "Cpu.template.json", "stackName": "RerankTinyCpu"}},
            "assembly-Stage": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "assembly-Stage"}},
        },
    }
    nested = {
        "version": "48.0.0",
        "artifacts": {"Inner": {**stack, "properties": {"templateFile": "Inner.template.json"}}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "assembly-Stage" / "manifest.json").write_text(json.dumps(nested))
    return folder


def test_an_assembly_tells_its_stacks_and_their_regions(assembly):
    read = [(one.stack, one.region) for one in read_templates(assembly)]

    assert read == [("RerankTinyCpu", "eu-west-1"), ("Inner", "eu-west-1")]


def test_a_file_of_an_assembly_is_known_by_it(assembly):
    (read,) = read_templates(assembly / "Cpu.template.json")

    assert (read.stack, read.region) == ("RerankTinyCpu", "eu-west-1")


def test_files_without_a_manifest_need_a_region(tmp_path):
    write(tmp_path / "One.template.json", endpoint())
    (tmp_path / "Two.template.json").write_text("Resources: {}")

    with pytest.raises(InvalidInput) as raised:
        read_templates(tmp_path)
    assert [fault.type for fault in raised.value.faults] == ["no_region", "no_region"]
    with pytest.raises(InvalidInput, match="is not JSON"):
        read_templates(tmp_path, region=REGION)


# The command.


@pytest.fixture
def old(tmp_path: Path) -> str:
    logs = {"Logs": {"Type": "AWS::Logs::LogGroup"}, "Key": {"Type": "AWS::KMS::Key"}}
    gone = {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Period": 60}}}
    write(tmp_path / "old" / "Foundation.template.json", {"Topic": {"Type": "AWS::SNS::Topic"}})
    return str(write(tmp_path / "old" / "Cpu.template.json", {**endpoint(), **logs, **gone}).parent)


@pytest.fixture
def new(tmp_path: Path) -> str:
    logs = {"Logs": {"Type": "AWS::Logs::LogGroup"}, "Key": {"Type": "AWS::KMS::Key"}}
    larger = endpoint({**VARIANT, "InstanceType": "ml.c7i.2xlarge"})
    write(tmp_path / "new" / "Foundation.template.json", {"Topic": {"Type": "AWS::SNS::Topic"}})
    return str(write(tmp_path / "new" / "Cpu.template.json", {**larger, **logs, "Target": SCALED}).parent)


def without_age(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "days old" not in line)


@pytest.mark.parametrize("format", ["markdown", "table", "csv"])
def test_it_is_told_as_it_is_asked_for(old, new, format, snapshot):
    done = rerank_cost("diff", old, new, "--region", REGION, "--format", format)

    assert (done.returncode, done.stderr) == (0, "")
    assert without_age(done.stdout) == snapshot


def test_in_json_every_sum_is_that_of_its_lines(old, new):
    document = json.loads(rerank_cost("diff", old, new, "--region", REGION, "--json").stdout)

    for side in ("before", "after"):
        costs = [
            line[side]["cost"]
            for one in document["resources"]
            for line in one["lines"]
            if line[side] is not None and line[side]["kind"] == "fixed"
        ]
        for bound in ("least", "most"):
            total = Decimal(document[side]["monthly_cost"][bound])
            assert total == sum(Decimal(cost[bound]) for cost in costs)
            assert total == sum(Decimal(one[side]["monthly_cost"][bound]) for one in document["stacks"])
    assert document["prices"]["as_of"] == "2026-09-22"
    assert document["after"]["unpriced"] == ["Cpu/Key: KMS key"]


def test_two_files_are_one_stack_whatever_they_are_called(tmp_path, old, new):
    done = rerank_cost("diff", f"{old}/Cpu.template.json", f"{new}/Cpu.template.json", "--region", REGION, "--json")
    renamed = write(tmp_path / "before.json", endpoint())
    other = rerank_cost("diff", str(renamed), f"{new}/Cpu.template.json", "--region", REGION, "--json")

    for document in (json.loads(done.stdout), json.loads(other.stdout)):
        assert [one["stack"] for one in document["stacks"]] == ["Cpu"]


def test_the_faults_of_both_sides_end_with_2(tmp_path, new):
    (tmp_path / "broken").mkdir()
    write(tmp_path / "broken" / "A.template.json", {"Key": {}})
    write(tmp_path / "broken" / "B.template.json", {"Key": {"Type": 7}})

    done = rerank_cost("diff", str(tmp_path / "broken"), str(tmp_path / "none.json"), "--region", REGION)

    assert (done.returncode, done.stdout) == (2, "")
    for part in ("A.template.json: Resources.Key.Type: is missing", "B.template.json: Resources.Key.Type: is 7"):
        assert part in done.stderr
    assert "none.json: can't be read: No such file or directory" in done.stderr


@pytest.mark.parametrize("words", [(), ("NEW", "--deployed", "Stack")])
def test_it_needs_a_second_side_and_only_one(old, words):
    done = rerank_cost("diff", old, *words)

    assert done.returncode == 2
    assert "NEW: is" in done.stderr
