"""Resources for the templates of tests."""

from __future__ import annotations

from typing import Any


def parameter(value: Any, **more: Any) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value, **more}}


def topic(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SNS::Topic", "Properties": properties}


def bucket(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, **properties}}


def role(**properties: Any) -> dict[str, Any]:
    trusted = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [trusted]}
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust, **properties}}


UNDELETABLE = {"Type": "AWS::KMS::Key", "Properties": {"PendingWindowInDays": 0}}
IMPOSSIBLE = {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": "alias/of-nothing", "TargetKeyId": "no-such-key"}}
