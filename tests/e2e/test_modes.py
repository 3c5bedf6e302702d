"""Every mode with the stock CDK and stock boto3: deployed, asked, updated and broken while it is asked, destroyed.

first plan ──► second: new artifacts, instances, scaling ──► third: broken artifacts, all roll back ──► nothing left
              └────────────────── callers go on asking, and see no failure ──────────────────┘
"""

from __future__ import annotations

import io
import json
import shlex
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from rerank_toolkit import __version__
from rerank_toolkit.contracts import documents
from rerank_toolkit.contracts.plan import (
    Deployment,
    Expectation,
    Image,
    LocalArtifact,
    Operations,
    Plan,
    Rollout,
    Scaling,
    ScheduledBounds,
    Variant,
)

from .conftest import Shell

TINY, TURBO = "jina-reranker-v1-tiny-en", "jina-reranker-v1-turbo-en"
ANSWERING = ("ModesRealtime", "ModesServerless", "ModesAsync", "ModesComponent")
BATCH = "ModesBatch"
REQUEST = {"query": "which of them", "documents": ["this one", "another one", "or that"]}
BODY = json.dumps(REQUEST).encode()


def plan(version: int) -> Plan:
    """One deployment a mode, on models of two layers. The second version changes all that an update may change."""
    later = version > 1
    common = {
        "model": TINY,
        "image": Image(repository="rerank-toolkit", tag=f"cpu-{__version__}"),
        "engine": "torch",
        "dtype": "fp32",
        "environment": {"RERANK_THREADS": "1"},
        "expected": Expectation(p95_ms=5000.0, basis="assumed"),
    }
    tiny, turbo = (LocalArtifact(path=f"artifacts/{model}") for model in (TINY, TURBO))
    instance = "ml.c7i.2xlarge" if later else "ml.c7i.xlarge"
    rollout = Rollout(kind="all-at-once", wait_s=1)
    weekdays = ScheduledBounds(name="weekdays", schedule="cron(0 8 ? * MON-FRI *)", min_instances=1, max_instances=4)

    def scaling(metric: str, target: float, least: int) -> Scaling | None:
        bounds = {"min_instances": least, "max_instances": 2, "schedule": [weekdays]}
        cooldowns = {"scale_in_cooldown_s": 300, "scale_out_cooldown_s": 60}
        return Scaling(metric=metric, target=target, formula="for a test", **bounds, **cooldowns) if later else None

    other = Variant(
        name="turbo",
        weight=3.0,
        instance=instance,
        artifact=turbo,
        **{**common, "model": TURBO},
    )
    return Plan(
        id=f"modes-{version}",
        region="us-east-1",
        price_date=None,
        workload="a test",
        operations=Operations(notify=["search@example.com"], data_retention_days=1),
        deployments=[
            Deployment(
                stack="ModesRealtime",
                mode="realtime",
                instance=instance,
                artifact=tiny,
                variants=[other],
                rollout=rollout,
                scaling=scaling("SageMakerVariantInvocationsPerInstance", 300.0, 1),
                **common,
            ),
            Deployment(
                stack="ModesServerless",
                mode="serverless",
                memory_mb=3072 if later else 2048,
                concurrency=4,
                provisioned_concurrency=1 if later else None,
                artifact=tiny,
                scaling=scaling("SageMakerVariantProvisionedConcurrencyUtilization", 0.7, 1),
                startup_timeout_s=180,
                **common,
            ),
            Deployment(
                stack="ModesAsync",
                mode="async",
                instance=instance,
                concurrency=2,
                artifact=tiny,
                rollout=rollout,
                scaling=scaling("ApproximateBacklogSizePerInstance", 5.0, 0),
                **common,
            ),
            Deployment(
                stack=BATCH,
                mode="batch",
                instance="ml.c5.2xlarge" if later else "ml.c5.xlarge",
                concurrency=2,
                largest_request_mb=1.0,
                artifact=tiny,
                **common,
            ),
            Deployment(
                stack="ModesComponent",
                mode="inference-component",
                instance=instance,
                memory_mb=2048,
                artifact=tiny,
                scaling=scaling("SageMakerInferenceComponentInvocationsPerCopy", 300.0, 0),
                **common,
            ),
        ],
    )


class Stage:
    """The CDK's command line on one plan after the other, with clients of what it deploys."""

    def __init__(self, shell: Shell, cdk_app: str, write_small: Callable[[Path, int], Path]) -> None:
        self.shell = shell
        self.artifacts = shell.directory / "artifacts"
        self._write_small = write_small
        self._app = shlex.quote(cdk_app)
        self.outputs: dict[str, dict[str, str]] = {}

    def prepare(self, version: int) -> None:
        """Writes the plan, and artifacts whose weights are that version's."""
        documents.write(self.shell.directory / "plan.json", plan(version))
        for offset, model in enumerate((TINY, TURBO)):
            self._write_small(self.artifacts / model, 10 * version + offset)

    def deploy(self) -> None:
        """Everything at once, dependencies first."""
        self.shell(f"{self._cdk('cdk.out')} deploy --all --concurrency 8 {_UNASKED} --outputs-file outputs.json")
        self.outputs = json.loads((self.shell.directory / "outputs.json").read_text())

    def deploy_each(self, stacks: tuple[str, ...]) -> dict[str, tuple[int, str]]:
        """Exit code and output of each stack's own deploy: one that fails keeps no other from being tried."""
        self.shell(f"{self._cdk('each')} synth --quiet")

        def deploy(stack: str) -> tuple[int, str]:
            done = self.shell.run(f"cdk --app each --no-notices deploy --exclusively {_UNASKED} {stack}")
            return done.returncode, done.stdout + done.stderr

        with ThreadPoolExecutor(len(stacks)) as pool:
            return dict(zip(stacks, pool.map(deploy, stacks), strict=True))

    def destroy(self) -> None:
        self.shell("cdk --app cdk.out --no-notices destroy --all --force")

    def client(self, service: str) -> Any:
        """A stock client, led by the profile alone. It tries once: what fails must not be mended by trying again."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE"):
                patch.setenv(name, self.shell.environment[name])
            return boto3.session.Session().client(service, config=Config(retries={"total_max_attempts": 1}))

    def _cdk(self, output: str) -> str:
        context = f"-c plan={self.shell.directory / 'plan.json'} -c artifacts={self.artifacts}"
        return f"cdk --app {self._app} --no-notices --output {output} {context}"


_UNASKED = "--require-approval never"


class Caller(Thread):
    """Asks one endpoint again and again."""

    def __init__(self, name: str, ask: Callable[[], dict[str, float]]) -> None:
        super().__init__(name=name, daemon=True)
        self.answers: list[dict[str, float]] = []
        self.failures: list[Exception] = []
        self._ask = ask
        self._stopping = Event()
        self.start()

    def run(self) -> None:
        while not self._stopping.wait(0.05):
            try:
                self.answers.append(self._ask())
            except Exception as error:  # each is a failure that a user would have seen
                self.failures.append(error)

    def stop(self) -> None:
        self._stopping.set()
        self.join(60)


@pytest.fixture(scope="module")
def stage(shell: Shell, local: dict[str, Any], write_small_jinabert: Callable[[Path, int], Path]) -> Stage:
    return Stage(shell, local["cdk_app"], write_small_jinabert)


@pytest.fixture(scope="module")
def ask(stage: Stage) -> dict[str, Callable[[], dict[str, float]]]:
    """By stack, a way to ask its endpoint; gives scores by the variant that answered."""
    runtime, s3 = stage.client("sagemaker-runtime"), stage.client("s3")

    def now(endpoint: str, **options: str) -> dict[str, float]:
        answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=BODY, ContentType="application/json", **options)
        variant = answer.get("InvokedProductionVariant", "AllTraffic")  # a component is no variant
        return {variant: _first_score(answer["Body"].read())}

    def later(endpoint: str) -> dict[str, float]:
        inputs = urlsplit(stage.outputs[endpoint]["InputPrefix"])
        key = f"{inputs.path.lstrip('/')}{time.monotonic_ns()}.json"
        s3.put_object(Bucket=inputs.netloc, Key=key, Body=BODY)
        queued = runtime.invoke_endpoint_async(
            EndpointName=endpoint, InputLocation=f"s3://{inputs.netloc}/{key}", ContentType="application/json"
        )
        return {"AllTraffic": _first_score(_wait_for(s3, queued["OutputLocation"], queued["FailureLocation"]))}

    def component(endpoint: str) -> dict[str, float]:
        return now(endpoint, InferenceComponentName=stage.outputs[endpoint]["InferenceComponentName"])

    ways = {"ModesAsync": later, "ModesComponent": component}
    return {stack: partial(ways.get(stack, now), stack) for stack in ANSWERING}


def _first_score(body: bytes) -> float:
    """To five digits: in which batch a document is computed moves the seventh."""
    results = json.loads(body)["results"]
    return round(next(result["relevance_score"] for result in results if result["index"] == 0), 5)


def _wait_for(s3: Any, output: str, failure: str) -> bytes:
    """The object at `output`; AssertionError with the one at `failure` if that comes instead."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for location in (output, failure):
            parts = urlsplit(location)
            try:
                body: bytes = s3.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"].read()
            except ClientError:
                continue
            assert location == output, body
            return body
        time.sleep(0.02)
    raise AssertionError(f"neither {output} nor {failure} came")


@pytest.fixture(scope="module")
def first(stage: Stage) -> Stage:
    stage.prepare(1)
    stage.deploy()
    return stage


@pytest.fixture(scope="module")
def before(first: Stage, ask: dict[str, Callable[[], dict[str, float]]]) -> dict[str, dict[str, float]]:
    """What the first version answers."""
    return {stack: _all_variants(stack, way) for stack, way in ask.items()}


def _all_variants(stack: str, way: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Scores by variant, of which weights choose one at a time."""
    scores: dict[str, float] = {}
    for _ in range(100):  # one in four requests goes to the rarer one
        scores |= way()
        if len(scores) == (2 if stack == "ModesRealtime" else 1):
            break
    return scores


@pytest.fixture(scope="module")
def callers(before: Any, ask: dict[str, Callable[[], dict[str, float]]]) -> Iterator[dict[str, Caller]]:
    """One for each endpoint, from now on."""
    callers = {stack: Caller(stack, way) for stack, way in ask.items()}
    yield callers
    for caller in callers.values():
        caller.stop()


@pytest.fixture(scope="module")
def second(first: Stage, callers: dict[str, Caller]) -> Stage:
    first.prepare(2)
    first.deploy()
    return first


@pytest.fixture(scope="module")
def broken(second: Stage) -> dict[str, tuple[int, str]]:
    """What deploys of broken artifacts ended with."""
    second.prepare(3)
    for model in (TINY, TURBO):
        _break(second.artifacts / f"{model}.tar.gz")
    return second.deploy_each(ANSWERING)


def _break(archive: Path) -> None:
    """Changes a byte of the weights, for which the manifest no longer vouches."""
    part = archive.with_suffix(".part")
    with tarfile.open(archive, "r:gz") as whole, tarfile.open(part, "w:gz") as made:
        for member in whole:
            file = whole.extractfile(member)
            content = bytearray(file.read()) if file else bytearray()
            if member.name.endswith(".safetensors"):
                content[-1] ^= 0xFF
            made.addfile(member, io.BytesIO(content))
    part.replace(archive)


def test_variants_share_the_requests_by_their_weights_and_can_be_asked_for(
    first: Stage, before: dict[str, dict[str, float]]
) -> None:
    assert set(before["ModesRealtime"]) == {"AllTraffic", "turbo"}
    runtime = first.client("sagemaker-runtime")
    for variant, score in before["ModesRealtime"].items():
        answer = runtime.invoke_endpoint(EndpointName="ModesRealtime", Body=BODY, TargetVariant=variant)
        assert _first_score(answer["Body"].read()) == score
    described = first.client("sagemaker").describe_endpoint(EndpointName="ModesRealtime")
    weights = {variant["VariantName"]: variant["CurrentWeight"] for variant in described["ProductionVariants"]}
    assert weights == {"AllTraffic": 1.0, "turbo": 3.0}


def test_every_endpoint_answers_with_the_same_model(before: dict[str, dict[str, float]]) -> None:
    assert {scores["AllTraffic"] for scores in before.values()} == {before["ModesServerless"]["AllTraffic"]}


def test_a_job_scores_the_lines_of_a_folder(first: Stage, before: dict[str, dict[str, float]]) -> None:
    states, s3 = first.client("stepfunctions"), first.client("s3")
    outputs = first.outputs[BATCH]
    inputs, answers = (urlsplit(outputs[name]) for name in ("InputPrefix", "OutputPrefix"))
    lines = "\n".join(json.dumps(REQUEST) for _ in range(5))
    s3.put_object(Bucket=inputs.netloc, Key=f"{inputs.path.lstrip('/')}one/requests.jsonl", Body=lines.encode())

    folders = json.dumps({"input": "one/", "output": "one/"})
    execution = states.start_execution(stateMachineArn=outputs["StateMachineArn"], input=folders)["executionArn"]
    while (ended := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(0.1)
    assert ended["status"] == "SUCCEEDED", ended
    key = f"{answers.path.lstrip('/')}one/requests.jsonl.out"
    scored = s3.get_object(Bucket=answers.netloc, Key=key)["Body"].read().splitlines()
    assert [_first_score(line) for line in scored] == [before["ModesServerless"]["AllTraffic"]] * 5


def test_sagemakers_sdk_asks_what_the_cdk_deployed_and_deploys_the_same(
    first: Stage, before: dict[str, dict[str, float]], run_caller: Callable[..., Any]
) -> None:
    sagemaker = first.client("sagemaker")
    standing = sagemaker.describe_endpoint(EndpointName="ModesRealtime")["EndpointConfigName"]
    by_cdk = _described(sagemaker, standing)
    role = by_cdk["models"]["turbo"]["ExecutionRoleArn"]
    bucket = urlsplit(by_cdk["models"]["turbo"]["PrimaryContainer"]["ModelDataUrl"]).netloc
    told = run_caller(
        "sagemaker_sdk.py",
        str(first.shell.directory / "plan.json"),
        "ModesRealtime",
        role,
        f"s3://{bucket}/by-sdk/",
        environment=first.shell.environment,
        directory=first.shell.directory,
        installed_in="sdk",
    )
    for asked in ("by_cdk", "by_sdk", "updated"):
        assert told[asked] == pytest.approx(before["ModesRealtime"], abs=1e-5), asked
    assert told["refused"] == ["upload_to", "upload_to"], "each artifact on this machine has to go somewhere"
    assert _without_names(told["described"]) == _without_names(by_cdk)
    assert "RERANK_TOKEN_BUDGET" in told["failed"]
    assert told["after_failure"] == told["config"], "what stood before goes on answering"
    assert sagemaker.list_endpoints(NameContains="BySdk")["Endpoints"] == []
    assert sagemaker.list_models(NameContains="BySdk")["Models"] == []
    assert sagemaker.list_endpoint_configs(NameContains="BySdk")["EndpointConfigs"] == []


def _described(sagemaker: Any, config: str) -> dict[str, Any]:
    """A configuration and its models, by variant."""
    described = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    models = {
        variant["VariantName"]: sagemaker.describe_model(ModelName=variant["ModelName"])
        for variant in described["ProductionVariants"]
    }
    return {"config": described, "models": models}


def _without_names(value: Any) -> Any:
    """Without what each has of its own: names, times, places of artifacts, and the CDK's key."""
    own = {
        "CreationTime",
        "EndpointConfigArn",
        "EndpointConfigName",
        "KmsKeyId",
        "ModelArn",
        "ModelDataUrl",
        "ModelName",
    }
    match value:
        case dict():
            left = {name: item for name, item in value.items() if name not in own | {"ResponseMetadata"}}
            return {name: _without_names(item) for name, item in left.items() if name != "RERANK_ENDPOINT_NAME"}
        case list():
            return [_without_names(item) for item in value]
        case _:
            return value


def test_an_update_brings_the_new_model_instances_and_scaling(
    second: Stage, before: dict[str, dict[str, float]], ask: dict[str, Callable[[], dict[str, float]]]
) -> None:
    for stack, way in ask.items():
        after = _all_variants(stack, way)
        assert set(after) == set(before[stack])
        assert all(after[variant] != before[stack][variant] for variant in after), stack
    sagemaker, scaling = second.client("sagemaker"), second.client("application-autoscaling")
    config = sagemaker.describe_endpoint(EndpointName="ModesRealtime")["EndpointConfigName"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    assert {variant["InstanceType"] for variant in variants} == {"ml.c7i.2xlarge"}
    (serverless,) = sagemaker.describe_endpoint(EndpointName="ModesServerless")["ProductionVariants"]
    assert serverless["CurrentServerlessConfig"]["MemorySizeInMB"] == 3072
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert {target["ResourceId"] for target in targets} == {
        "endpoint/ModesRealtime/variant/AllTraffic",
        "endpoint/ModesServerless/variant/AllTraffic",
        "endpoint/ModesAsync/variant/AllTraffic",
        "inference-component/ModesComponent",
    }


def test_a_broken_artifact_fails_its_deploy_and_all_is_as_before(
    second: Stage, broken: dict[str, tuple[int, str]], ask: dict[str, Callable[[], dict[str, float]]]
) -> None:
    cloudformation = second.client("cloudformation")
    for stack, (code, told) in broken.items():
        assert code != 0, stack
        assert "model.safetensors" in told, "the reason is what the container said"
        (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        assert described["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]} == second.outputs[stack]


def test_no_caller_saw_a_failure(broken: Any, callers: dict[str, Caller], before: dict[str, dict[str, float]]) -> None:
    for stack, caller in callers.items():
        caller.stop()
        assert caller.failures == [], stack
        seen = {(variant, score) for answer in caller.answers for variant, score in answer.items()}
        assert len(seen) == 2 * len(before[stack]), f"{stack}: of each variant the first and the second version"
        last = caller.answers[-1]
        assert all(score != before[stack][variant] for variant, score in last.items()), "the second goes on answering"


def test_nothing_is_left_when_all_is_destroyed(broken: Any, second: Stage) -> None:
    data = second.outputs["RerankData"]["BucketName"]
    s3 = second.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=data):
        for entry in page.get("Contents", ()):
            s3.delete_object(Bucket=data, Key=entry["Key"])
    second.destroy()
    status = json.loads(second.shell("rerank local status --json"))
    assert (status["stacks"], status["endpoints"]) == ([], [])
    left = {
        "models": second.client("sagemaker").list_models()["Models"],
        "configurations": second.client("sagemaker").list_endpoint_configs()["EndpointConfigs"],
        "components": second.client("sagemaker").list_inference_components()["InferenceComponents"],
        "machines": second.client("stepfunctions").list_state_machines()["stateMachines"],
        "alarms": second.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": second.client("cloudwatch").list_dashboards()["DashboardEntries"],
        "topics": second.client("sns").list_topics()["Topics"],
        "targets": second.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
            "ScalableTargets"
        ],
        "groups": second.client("logs").describe_log_groups()["logGroups"],
        "roles": [role for role in second.client("iam").list_roles()["Roles"] if "Modes" in role["RoleName"]],
        "buckets": [bucket for bucket in s3.list_buckets()["Buckets"] if not bucket["Name"].startswith("cdk-")],
    }
    assert left == {kind: [] for kind in left}
