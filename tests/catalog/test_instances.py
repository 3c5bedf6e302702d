from __future__ import annotations

import pytest
from botocore.session import get_session

from rerank_toolkit.catalog.instances import UnknownInstance, find_instance, load_instances


@pytest.fixture(scope="module")
def service() -> object:
    return get_session().get_service_model("sagemaker")


def test_there_are_223_hosted_types() -> None:
    assert len(load_instances()) == 223


def test_what_an_endpoint_and_a_transform_job_accept_is_what_the_service_model_says(service: object) -> None:
    endpoint = set(service.shape_for("ProductionVariantInstanceType").enum)  # type: ignore[attr-defined]
    transform = set(service.shape_for("TransformInstanceType").enum)  # type: ignore[attr-defined]

    for name, instance in load_instances().items():
        assert instance.endpoint == (name in endpoint), name
        assert instance.transform == (name in transform), name


def test_every_type_has_an_instruction_set_with_its_basis_and_somewhere_to_run() -> None:
    for name, instance in load_instances().items():
        assert instance.instruction_set_basis, name
        assert instance.regions, name
        arm = instance.instruction_set in ("neon", "sve_bf16")
        assert arm == (instance.architecture == "arm64"), name


def test_a_family_has_one_instruction_set_because_an_endpoint_cannot_choose() -> None:
    by_family: dict[str, set[str]] = {}
    for instance in load_instances().values():
        by_family.setdefault(instance.family, set()).add(instance.instruction_set)

    assert {family: sets for family, sets in by_family.items() if len(sets) > 1} == {}


def test_hyper_threads_are_not_cores() -> None:
    intel, graviton = find_instance("ml.c7i.xlarge"), find_instance("ml.c7g.xlarge")

    assert (intel.vcpu, intel.cores[0]) == (4, 2)
    assert (graviton.vcpu, graviton.cores[0]) == (4, 4)


def test_kinds() -> None:
    assert [find_instance(f"ml.{name}.xlarge").kind for name in ("m5", "g5", "inf2")] == ["cpu", "gpu", "accelerator"]


@pytest.mark.parametrize(("name", "nvme"), [("ml.g5.xlarge", True), ("ml.m5d.xlarge", True), ("ml.m5.xlarge", False)])
def test_local_nvme_is_known_because_kms_depends_on_it(name: str, nvme: bool) -> None:
    assert find_instance(name).local_nvme is nvme


def test_an_unknown_type_names_its_family() -> None:
    with pytest.raises(UnknownInstance, match=r"'ml\.m5\.small'; known of this family are .*ml\.m5\.large"):
        find_instance("ml.m5.small")
