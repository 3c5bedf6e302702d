"""An endpoint without a model of its own, and the inference component that brings copies of one."""

from __future__ import annotations

import pytest


@pytest.fixture
def component(deployment, expected):
    def make(**changes):
        plain = {"mode": "inference-component", "stack": "RerankCopies", "expected": expected(memory_mib=1000.0)}
        return deployment(**plain | changes)

    return make


def _variant(template):
    (variant,) = template.one("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    return variant


def _specification(template):
    return template.one("AWS::SageMaker::InferenceComponent")["Specification"]


def test_the_variant_has_instances_and_no_model(render, component):
    variant = _variant(render(component(count=2)))
    assert variant["InstanceType"] == "ml.c7i.xlarge"
    assert variant["InitialInstanceCount"] == 2
    assert variant["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    assert "ModelName" not in variant


def test_what_a_model_says_elsewhere_the_configuration_says_here(render, component):
    config = render(component()).one("AWS::SageMaker::EndpointConfig")
    assert config["EnableNetworkIsolation"] is True
    assert "ExecutionRoleArn" in config
    assert config["MetricsConfig"] == {"EnableDetailedObservability": True, "MetricPublishFrequencyInSeconds": 60}


def test_a_copy_has_the_whole_instance_unless_the_plan_lets_them_share(render, component):
    alone = _specification(render(component()))["ComputeResourceRequirements"]
    shared = _specification(render(component(copies_per_instance=2)))["ComputeResourceRequirements"]
    assert alone == {"MinMemoryRequiredInMb": 1049, "NumberOfCpuCoresRequired": 4}
    assert shared == {"MinMemoryRequiredInMb": 1049, "NumberOfCpuCoresRequired": 2}


def test_the_plans_memory_is_taken_before_what_is_expected(render, component):
    assert _specification(render(component(memory_mb=3000)))["ComputeResourceRequirements"] == {
        "MinMemoryRequiredInMb": 3000,
        "NumberOfCpuCoresRequired": 4,
    }


def test_a_copy_on_gpus_has_gpus(render, component):
    template = render(component(instance="ml.g5.12xlarge", dtype="fp16", copies_per_instance=2))
    assert _specification(template)["ComputeResourceRequirements"] == {
        "MinMemoryRequiredInMb": 1049,
        "NumberOfAcceleratorDevicesRequired": 2,
    }
    assert "InferenceAmiVersion" in _variant(template)


def test_instances_follow_the_copies_down_to_none_with_one_to_spare_for_updates(render, component, scaling):
    rule = scaling(min_instances=0, max_instances=5, metric="SageMakerInferenceComponentInvocationsPerCopy")
    variant = _variant(render(component(scaling=rule, copies_per_instance=2)))
    assert variant["ManagedInstanceScaling"] == {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 4}
    assert _variant(render(component(count=3)))["ManagedInstanceScaling"] == {
        "Status": "ENABLED",
        "MinInstanceCount": 3,
        "MaxInstanceCount": 4,
    }


def test_what_is_scaled_is_the_copies(render, component, scaling):
    rule = scaling(min_instances=0, metric="SageMakerInferenceComponentInvocationsPerCopy")
    target = render(component(scaling=rule)).one("AWS::ApplicationAutoScaling::ScalableTarget")
    assert target["ScalableDimension"] == "sagemaker:inference-component:DesiredCopyCount"
    assert target["MinCapacity"] == 0


def test_the_component_is_named_and_waits_for_the_endpoint(render, component):
    template = render(component(count=2, startup_timeout_s=300))
    properties = template.one("AWS::SageMaker::InferenceComponent")
    assert properties["InferenceComponentName"] == "RerankCopies"
    assert properties["EndpointName"]["Fn::GetAtt"][1] == "EndpointName"
    assert properties["RuntimeConfig"] == {"CopyCount": 2}
    assert properties["Specification"]["StartupParameters"] == {"ContainerStartupHealthCheckTimeoutInSeconds": 300}


def test_metrics_are_scraped_and_not_logged_as_well(render, component):
    container = render(component()).one("AWS::SageMaker::Model")["PrimaryContainer"]
    assert "RERANK_EMF_INTERVAL_S" not in container.get("Environment", {})


def test_logs_go_where_those_of_components_go(render, component):
    group = render(component()).one("AWS::Logs::LogGroup")
    assert group["LogGroupName"] == "/aws/sagemaker/InferenceComponents/RerankCopies"


def test_a_caller_names_the_component(render, component):
    outputs = render(component())["Outputs"]
    assert outputs["InferenceComponentName"]["Value"] == "RerankCopies"
    assert "--endpoint-name RerankCopies --inference-component-name RerankCopies" in outputs["InvokeCommand"]["Value"]
