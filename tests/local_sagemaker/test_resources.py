"""Resource types, made, changed and deleted through CloudFormation, seen through each service's own API."""

from __future__ import annotations

from typing import Any

from .conftest import LocalAws
from .resources import bucket, parameter, role, topic


def test_changed_tags_are_changed_where_they_are(local_aws: LocalAws) -> None:
    def template(*keys: str) -> dict[str, Any]:
        tags = [{"Key": key, "Value": "of-tagged"} for key in keys]
        alarm = {
            "MetricName": "Invocations",
            "Namespace": "AWS/SageMaker",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        return {
            "Resources": {
                "Topic": topic(Tags=tags),
                "Parameter": parameter("x", Name="/tagged", Tags=dict.fromkeys(keys, "of-tagged")),
                "Bucket": bucket("tagged", Tags=tags),
                "Role": role(Tags=tags),
                "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/tagged", "Tags": tags}},
                "Key": {"Type": "AWS::KMS::Key", "Properties": {"Tags": tags}},
                "Repository": {"Type": "AWS::ECR::Repository", "Properties": {"Tags": tags}},
                "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {**alarm, "Tags": tags}},
            },
            "Outputs": {
                "Repository": {"Value": {"Fn::GetAtt": "Repository.Arn"}},
                "Alarm": {"Value": {"Fn::GetAtt": "Alarm.Arn"}},
            },
        }

    local_aws.deploy("tagged", template("stays", "goes"))
    stack = local_aws.deploy("tagged", template("stays", "comes"), update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("tagged")
    ids, client = local_aws.physical_ids("tagged"), local_aws.client
    arn = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    log = f"arn:aws:logs:us-east-1:123456789012:log-group:{ids['Log']}"
    found = {
        "Topic": client("sns").list_tags_for_resource(ResourceArn=ids["Topic"])["Tags"],
        "Parameter": client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId="/tagged")["TagList"],
        "Bucket": client("s3").get_bucket_tagging(Bucket="tagged")["TagSet"],
        "Role": client("iam").list_role_tags(RoleName=ids["Role"])["Tags"],
        "Log": client("logs").list_tags_for_resource(resourceArn=log)["tags"],
        "Key": client("kms").list_resource_tags(KeyId=ids["Key"])["Tags"],
        "Repository": client("ecr").list_tags_for_resource(resourceArn=arn["Repository"])["tags"],
        "Alarm": client("cloudwatch").list_tags_for_resource(ResourceARN=arn["Alarm"])["Tags"],
    }
    keys = {
        name: sorted(tags) if isinstance(tags, dict) else sorted(tag.get("Key") or tag["TagKey"] for tag in tags)
        for name, tags in found.items()
    }
    assert keys == {name: ["comes", "stays"] for name in found}
    local_aws.delete("tagged")


def test_the_resources_that_infra_writes_are_made_changed_and_deleted(local_aws: LocalAws) -> None:
    def template(word: str, number: str) -> dict[str, Any]:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": f"s3:{word}", "Resource": "*"}],
        }
        dimension = "sagemaker:variant:DesiredInstanceCount"
        return {
            "Resources": {
                "Key": {"Type": "AWS::KMS::Key", "Properties": {"Description": word, "EnableKeyRotation": True}},
                "Alias": {
                    "Type": "AWS::KMS::Alias",
                    "Properties": {"AliasName": "alias/rooms", "TargetKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
                },
                "Bucket": {
                    "Type": "AWS::S3::Bucket",
                    "Properties": {
                        "BucketEncryption": {
                            "ServerSideEncryptionConfiguration": [
                                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
                            ]
                        },
                        "PublicAccessBlockConfiguration": {"BlockPublicAcls": "true", "BlockPublicPolicy": True},
                        "VersioningConfiguration": {"Status": "Enabled"},
                    },
                },
                "BucketPolicy": {
                    "Type": "AWS::S3::BucketPolicy",
                    "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": document},
                },
                "Role": {
                    "Type": "AWS::IAM::Role",
                    "Properties": {
                        "AssumeRolePolicyDocument": trust,
                        "Policies": [{"PolicyName": f"inline-{word}", "PolicyDocument": document}],
                        "Tags": [{"Key": word, "Value": number}],
                    },
                },
                "Policy": {
                    "Type": "AWS::IAM::Policy",
                    "Properties": {"PolicyName": "own", "PolicyDocument": document, "Roles": [{"Ref": "Role"}]},
                },
                "Managed": {
                    "Type": "AWS::IAM::ManagedPolicy",
                    "Properties": {"PolicyDocument": document, "Roles": [{"Ref": "Role"}]},
                },
                "Repository": {"Type": "AWS::ECR::Repository", "Properties": {"ImageTagMutability": "IMMUTABLE"}},
                "Log": {
                    "Type": "AWS::Logs::LogGroup",
                    "Properties": {"LogGroupName": "/rooms", "RetentionInDays": number},
                },
                "Alarm": {
                    "Type": "AWS::CloudWatch::Alarm",
                    "Properties": {
                        "MetricName": "Invocations",
                        "Namespace": "AWS/SageMaker",
                        "Statistic": "Sum",
                        "Period": "60",
                        "EvaluationPeriods": 1,
                        "Threshold": number,
                        "ComparisonOperator": "GreaterThanThreshold",
                    },
                },
                "Target": {
                    "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                    "Properties": {
                        "Tags": [{"Key": "project", "Value": "rerank-toolkit"}],
                        "ServiceNamespace": "sagemaker",
                        "ScalableDimension": dimension,
                        "ResourceId": "endpoint/rooms/variant/AllTraffic",
                        "MinCapacity": 1,
                        "MaxCapacity": number,
                    },
                },
                "Scaling": {
                    "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                    "Properties": {
                        "PolicyName": "rooms",
                        "PolicyType": "TargetTrackingScaling",
                        "ScalingTargetId": {"Ref": "Target"},
                        "TargetTrackingScalingPolicyConfiguration": {
                            "TargetValue": number,
                            "PredefinedMetricSpecification": {
                                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                            },
                        },
                    },
                },
                "Metadata": {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": word}},
            }
        }

    assert local_aws.deploy("rooms", template("Get", "3"))["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons(
        "rooms"
    )
    first = local_aws.physical_ids("rooms")
    stack = local_aws.deploy("rooms", template("Put", "5"), update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("rooms")
    second = local_aws.physical_ids("rooms")
    assert first == second, "nothing was replaced"

    role = second["Role"]
    iam = local_aws.client("iam")
    assert sorted(iam.list_role_policies(RoleName=role)["PolicyNames"]) == ["inline-Put", "own"]
    assert iam.list_role_tags(RoleName=role)["Tags"] == [{"Key": "Put", "Value": "5"}]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [second["Managed"]]
    (group,) = local_aws.client("logs").describe_log_groups(logGroupNamePrefix="/rooms")["logGroups"]
    assert group["retentionInDays"] == 5
    (alarm,) = local_aws.client("cloudwatch").describe_alarms(AlarmNames=[second["Alarm"]])["MetricAlarms"]
    assert alarm["Threshold"] == 5.0
    scaling = local_aws.client("application-autoscaling")
    here = {"ServiceNamespace": "sagemaker", "ResourceIds": ["endpoint/rooms/variant/AllTraffic"]}
    (target,) = scaling.describe_scalable_targets(**here)["ScalableTargets"]
    assert target["MaxCapacity"] == 5
    assert local_aws.client("kms").describe_key(KeyId=second["Key"])["KeyMetadata"]["Description"] == "Put"
    encryption = local_aws.client("s3").get_bucket_encryption(Bucket=second["Bucket"])
    assert encryption["ServerSideEncryptionConfiguration"]["Rules"]

    local_aws.delete("rooms")
    assert scaling.describe_scalable_targets(**here)["ScalableTargets"] == []
    assert not [found for found in iam.list_roles()["Roles"] if found["RoleName"] == role]
