"""What the images install is what the project requires, to the byte."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "inference_container" / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = {"cpu": ("serve", "openvino"), "gpu": ("serve",)}
LEFT_OUT = {
    canonicalize_name(line.partition(";")[0].strip())
    for line in (REQUIREMENTS / "overrides.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
}


def pins(name: str) -> dict[str, str]:
    text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+) \\$", text, flags=re.MULTILINE))


@pytest.mark.parametrize("target", EXTRAS)
def test_each_requirement_of_the_server_is_pinned_within_its_range(target: str) -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    required = [Requirement(line) for extra in EXTRAS[target] for line in extras[extra]]
    required += [Requirement(line) for line in PROJECT["project"]["dependencies"]]
    pinned = pins(target)

    wrong = {
        f"{requirement}, pinned {pinned.get(requirement.name)}"
        for requirement in required
        if canonicalize_name(requirement.name) not in LEFT_OUT
        and (requirement.name not in pinned or not requirement.specifier.contains(pinned[requirement.name]))
    }

    assert not wrong, "make lock"


@pytest.mark.parametrize("name", [*EXTRAS, "build"])
def test_each_pin_has_hashes(name: str) -> None:
    text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    packages = [block for block in re.split(r"\n(?=\w)", text) if "==" in block]

    assert len(packages) == len(pins(name)) > 0
    assert all("--hash=sha256:" in block for block in packages)


def test_what_is_left_out_is_pinned_nowhere() -> None:
    assert len(LEFT_OUT) == 4
    assert not LEFT_OUT & {*pins("cpu"), *pins("gpu")}


def test_the_image_s_torch_is_the_one_that_the_tests_run_with() -> None:
    dockerfile = (ROOT / "inference_container" / "Dockerfile").read_text(encoding="utf-8")

    assert (
        re.findall(r"^ARG TORCH=(.*)$", dockerfile, flags=re.MULTILINE)
        == PROJECT["project"]["optional-dependencies"]["torch"]
    )
