"""The stock CDK command line, led to the local AWS by nothing but the environment that `rerank local up` prints."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from .conftest import LocalAws

APP = """
import aws_cdk as cdk
from aws_cdk import aws_iam as iam, aws_s3_assets as assets, aws_sns as sns

app = cdk.App()
stack = cdk.Stack(app, "CdkMade", tags={"team": "search"})
asset = assets.Asset(stack, "Asset", path=__file__)
role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
asset.grant_read(role)
topic = sns.Topic(stack, "Topic", display_name="made by cdk")
cdk.CfnOutput(stack, "Bucket", value=asset.s3_bucket_name)
cdk.CfnOutput(stack, "Key", value=asset.s3_object_key)
app.synth()
"""


def test_deploy_no_op_and_destroy_from_a_directory_of_its_own(local_aws: LocalAws, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(APP)
    cdk = shutil.which("cdk", path=str(Path(sys.executable).parent))
    assert cdk, "`make setup` puts cdk beside python"

    def run(*arguments: str) -> str:
        answer = subprocess.run(
            [cdk, "--no-notices", "--ci", *arguments],
            cwd=tmp_path,
            env={**local_aws.environment, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout + answer.stderr

    told = run(
        "deploy",
        "--app",
        f"{sys.executable} {app}",
        "--require-approval=never",
        "--outputs-file=outputs.json",
        "--progress=events",
    )
    assert "CREATE_COMPLETE" in told
    assert "AWS::IAM::Role" in told
    outputs = json.loads((tmp_path / "outputs.json").read_text())["CdkMade"]
    uploaded = local_aws.client("s3").get_object(Bucket=outputs["Bucket"], Key=outputs["Key"])["Body"].read()
    assert uploaded.decode() == APP
    stack = local_aws.settled("CdkMade")
    assert stack["Tags"] == [{"Key": "team", "Value": "search"}]
    assert {"ParameterKey": "BootstrapVersion", "ParameterValue": "/cdk-bootstrap/hnb659fds/version"} in stack[
        "Parameters"
    ]

    assert "(no changes)" in run("deploy", "--app=cdk.out", "--require-approval=never")

    run("destroy", "--app=cdk.out", "--force")
    assert local_aws.settled(stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert not (tmp_path / ".aws").exists()
