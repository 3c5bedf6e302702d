"""What callers are given."""

from __future__ import annotations


def test_a_caller_may_ask_this_endpoint_and_nothing_else(render, deployment):
    template = render(deployment())
    (statement,) = template.one("AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sagemaker:InvokeEndpoint")
    (endpoint,) = (name for name, item in template["Resources"].items() if item["Type"] == "AWS::SageMaker::Endpoint")
    # The ARN as SageMaker writes it: put together from a name with capitals it would match nothing.
    assert statement["Resource"] == {"Ref": endpoint}


def test_the_policy_is_an_output(render, deployment):
    template = render(deployment())
    (policy,) = (name for name, item in template["Resources"].items() if item["Type"] == "AWS::IAM::ManagedPolicy")
    assert template["Outputs"]["InvokePolicyArn"]["Value"] == {"Ref": policy}
