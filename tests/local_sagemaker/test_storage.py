"""Where data, keys and images are kept, made and changed through CloudFormation."""

from __future__ import annotations

import json
from typing import Any

from .conftest import LocalAws
from .resources import bucket, role


def test_a_bucket_of_data_expires_it_and_can_be_told_not_to(local_aws: LocalAws) -> None:
    rules = [
        {
            "Id": "all",
            "Status": "Enabled",
            "ExpirationInDays": 7,
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
        {
            "Id": "some",
            "Status": "Enabled",
            "Prefix": "old/",
            "TagFilters": [{"Key": "kept", "Value": "no"}],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
            "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 30}],
        },
    ]
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }

    def template(**properties: Any) -> dict[str, Any]:
        kept = {
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "RestrictPublicBuckets": True},
        }
        policy = {"Bucket": {"Ref": "Data"}, "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
        return {
            "Resources": {
                "Data": bucket("data-of-stack", **kept, **properties),
                "Policy": {"Type": "AWS::S3::BucketPolicy", "Properties": policy},
            }
        }

    s3 = local_aws.client("s3")
    stack = local_aws.deploy("data", template(LifecycleConfiguration={"Rules": rules}))
    assert stack["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons("data")
    every, some = s3.get_bucket_lifecycle_configuration(Bucket="data-of-stack")["Rules"]
    assert every["Expiration"] == {"Days": 7}
    assert every["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert some["Filter"]["And"] == {"Prefix": "old/", "Tags": [{"Key": "kept", "Value": "no"}]}
    assert some["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert some["Transitions"] == [{"Days": 30, "StorageClass": "GLACIER"}]
    owned = s3.get_bucket_ownership_controls(Bucket="data-of-stack")["OwnershipControls"]
    assert owned["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]

    assert local_aws.deploy("data", template(), update=True)["StackStatus"] == "UPDATE_COMPLETE"
    try:
        found = s3.get_bucket_lifecycle_configuration(Bucket="data-of-stack")
    except s3.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration"
    else:
        raise AssertionError(found)

    s3.put_object(Bucket="data-of-stack", Key="answer", Body=b"{}")
    stack_id = stack["StackId"]
    local_aws.client("cloudformation").delete_stack(StackName="data")
    assert local_aws.settled(stack_id)["StackStatus"] == "DELETE_FAILED", "a bucket with data in it is not thrown away"
    s3.delete_object(Bucket="data-of-stack", Key="answer")
    local_aws.delete("data")


def test_a_bucket_that_cannot_be_made_as_wanted_is_not_left_behind(local_aws: LocalAws) -> None:
    stack = local_aws.deploy("unwanted", {"Resources": {"B": bucket("unwanted-bucket", ObjectLockEnabled=True)}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "can't set ObjectLockEnabled" in local_aws.reasons("unwanted")
    names = [found["Name"] for found in local_aws.client("s3").list_buckets()["Buckets"]]
    assert "unwanted-bucket" not in names
    local_aws.delete("unwanted")


def test_a_role_that_cannot_be_made_as_wanted_is_not_left_behind(local_aws: LocalAws) -> None:
    wanted = role(RoleName="half-made", ManagedPolicyArns=["arn:aws:iam::aws:policy/no-such-policy"])
    assert local_aws.deploy("half-made", {"Resources": {"R": wanted}})["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "half-made" not in [found["RoleName"] for found in local_aws.client("iam").list_roles()["Roles"]]
    local_aws.delete("half-made")


def test_a_managed_policy_keeps_its_arn_when_its_document_changes(local_aws: LocalAws) -> None:
    def template(action: str, *roles: str) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        properties = {"PolicyDocument": document, "Roles": [{"Ref": name} for name in roles]}
        return {
            "Resources": {
                "One": role(),
                "Two": role(),
                "Invoke": {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties},
            }
        }

    iam = local_aws.client("iam")
    local_aws.deploy("callers", template("sagemaker:InvokeEndpoint", "One"))
    first = local_aws.physical_ids("callers")
    for number in range(6):  # more than the versions that IAM keeps
        stack = local_aws.deploy("callers", template(f"sagemaker:Invoke{number}", "Two"), update=True)
        assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("callers")
    assert local_aws.physical_ids("callers") == first
    policy = iam.get_policy(PolicyArn=first["Invoke"])["Policy"]
    version = iam.get_policy_version(PolicyArn=first["Invoke"], VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    assert version["Document"]["Statement"][0]["Action"] == "sagemaker:Invoke5"
    assert iam.list_attached_role_policies(RoleName=first["One"])["AttachedPolicies"] == []
    assert len(iam.list_attached_role_policies(RoleName=first["Two"])["AttachedPolicies"]) == 1
    local_aws.delete("callers")


def test_a_repository_of_images_scans_keeps_tags_and_forgets_its_policies(local_aws: LocalAws) -> None:
    expiring = {
        "rulePriority": 1,
        "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 3},
        "action": {"type": "expire"},
    }
    reading = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "ecr:BatchGetImage"}

    def template(**properties: Any) -> dict[str, Any]:
        properties = {
            "RepositoryName": "images-of-stack",
            "ImageTagMutability": "IMMUTABLE",
            "ImageScanningConfiguration": {"ScanOnPush": True},
            "EncryptionConfiguration": {"EncryptionType": "KMS"},
            **properties,
        }
        return {"Resources": {"Images": {"Type": "AWS::ECR::Repository", "Properties": properties}}}

    ecr = local_aws.client("ecr")
    stack = local_aws.deploy(
        "images",
        template(
            LifecyclePolicy={"LifecyclePolicyText": json.dumps({"rules": [expiring]})},
            RepositoryPolicyText={"Version": "2012-10-17", "Statement": [reading]},
        ),
    )
    assert stack["StackStatus"] == "CREATE_COMPLETE", local_aws.reasons("images")
    (repository,) = ecr.describe_repositories(repositoryNames=["images-of-stack"])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert ecr.get_lifecycle_policy(repositoryName="images-of-stack")["lifecyclePolicyText"]

    assert local_aws.deploy("images", template(), update=True)["StackStatus"] == "UPDATE_COMPLETE"
    for call in (ecr.get_lifecycle_policy, ecr.get_repository_policy):
        try:
            call(repositoryName="images-of-stack")
        except ecr.exceptions.ClientError as error:
            assert error.response["Error"]["Code"].endswith("PolicyNotFoundException")
        else:
            raise AssertionError(call)
    local_aws.delete("images")


def test_what_a_key_was_born_with_cannot_be_changed(local_aws: LocalAws) -> None:
    def template(**properties: Any) -> dict[str, Any]:
        return {"Resources": {"Key": {"Type": "AWS::KMS::Key", "Properties": properties}}}

    local_aws.deploy("born", template(Description="one", EnableKeyRotation=True))
    first = local_aws.physical_ids("born")
    stack = local_aws.deploy(
        "born", template(Description="one", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"), update=True
    )
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", local_aws.reasons("born")
    assert "KeySpec of a key can't be changed" in local_aws.reasons("born")
    stack = local_aws.deploy("born", template(Description="two", Enabled=False), update=True)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", local_aws.reasons("born")
    assert local_aws.physical_ids("born") == first
    key = local_aws.client("kms").describe_key(KeyId=first["Key"])["KeyMetadata"]
    assert (key["Description"], key["Enabled"]) == ("two", False)
    local_aws.delete("born")


def test_a_roles_boundary_and_the_name_of_its_policy_change_in_place(local_aws: LocalAws) -> None:
    def template(policy: str, **properties: Any) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        inline = {"PolicyName": policy, "PolicyDocument": document, "Roles": [{"Ref": "Role"}]}
        boundary = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
        return {
            "Resources": {
                "Role": role(**properties),
                "Boundary": boundary,
                "Policy": {"Type": "AWS::IAM::Policy", "Properties": inline},
            }
        }

    iam = local_aws.client("iam")
    local_aws.deploy("bounded", template("one"))
    first = local_aws.physical_ids("bounded")
    bounded = template("two", PermissionsBoundary={"Ref": "Boundary"})
    assert local_aws.deploy("bounded", bounded, update=True)["StackStatus"] == "UPDATE_COMPLETE"
    found = iam.get_role(RoleName=first["Role"])["Role"]
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == first["Boundary"]
    assert iam.list_role_policies(RoleName=first["Role"])["PolicyNames"] == ["two"]

    assert local_aws.deploy("bounded", template("two"), update=True)["StackStatus"] == "UPDATE_COMPLETE"
    assert "PermissionsBoundary" not in iam.get_role(RoleName=first["Role"])["Role"]
    assert local_aws.physical_ids("bounded") == first
    local_aws.delete("bounded")
