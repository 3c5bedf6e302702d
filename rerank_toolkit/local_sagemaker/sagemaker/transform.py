"""A batch transform job at work: one container, the objects of a prefix, a result beside each."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock
from typing import Any

import msgspec
import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.sagemaker.container import Container
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member
from rerank_toolkit.local_sagemaker.sagemaker.host import START_FAILURES, Host
from rerank_toolkit.local_sagemaker.sagemaker.invocation import Answer, Invocation, call
from rerank_toolkit.local_sagemaker.sagemaker.payloads import RecordTooLarge, assemble, cut
from rerank_toolkit.local_sagemaker.sagemaker.s3_uri import S3Uri, parse_s3_uri

logger = logging.getLogger(__name__)

DEFAULT_PAYLOAD_MB, DEFAULT_CONCURRENCY = 6, 1
DEFAULT_TIMEOUT_S, DEFAULT_RETRIES = 600, 3
_CONTAINERS_CHOICE = {"MULTI_RECORD": "MultiRecord", "SINGLE_RECORD": "SingleRecord"}
_IN_ENVIRONMENT = {choice: word for word, choice in _CONTAINERS_CHOICE.items()}


class JobFailed(Exception):
    """An object could not be transformed; the text becomes the FailureReason."""


@dataclass(eq=False)
class TransformJob:
    name: str
    arn: str
    request: Mapping[str, Any]
    """As it came; what it leaves open the container may choose."""
    status: str = "InProgress"
    failure: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    member: Member | None = None
    """Whose container works on it."""
    stopped: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)

    @property
    def running(self) -> bool:
        return self.status in ("InProgress", "Stopping")


class _Parameters(msgspec.Struct, rename="pascal"):
    """What a container answers when it is asked for its execution parameters; anything else is passed over."""

    max_concurrent_transforms: int = 0
    batch_strategy: str = ""
    max_payload_in_mb: int | None = msgspec.field(name="MaxPayloadInMB", default=None)


@dataclass(frozen=True, slots=True)
class _Plan:
    concurrency: int
    several: bool
    payload_mb: int
    by_line: bool
    assemble_lines: bool
    headers: Mapping[str, str]
    timeout_s: float
    retries: int


class Transformer:
    def __init__(self, clients: Clients, host: Host) -> None:
        self._clients = clients
        self._host = host

    def run(self, job: TransformJob, definition: Mapping[str, Any]) -> None:
        """Runs the job to its end, which stands in its status."""
        environment = {**definition.get("Environment", {}), **batch_environment(job.request)}
        job.member = member = Member(name=job.name, model={**definition, "Environment": environment}, count=1)
        why = None
        try:
            self._host.start("transform", [member], job.stopped)
            if member.running is None:
                raise JobFailed("The job has no container. This is a bug.")
            job.started = datetime.now(UTC)
            self._transform(job, member.running.container)
        except (JobFailed, RecordTooLarge, *START_FAILURES) as error:
            why = str(error)
        except Exception as error:  # a defect of ours must end the job, not leave it in progress for ever
            logger.exception("transform job %s", job.name)
            why = f"InternalServerError: {error}"
        self._host.stop([member], 1.0)
        with job.lock:
            job.ended = datetime.now(UTC)
            if job.stopped.is_set():
                job.status = "Stopped"
            else:
                job.status, job.failure = ("Failed", why) if why else ("Completed", None)

    def stop(self, job: TransformJob) -> None:
        """Ends the job's container, whatever it is doing; `run` then comes to its end."""
        job.stopped.set()
        if job.member is not None:
            self._host.stop([job.member], 0.0)

    def _transform(self, job: TransformJob, container: Container) -> None:
        plan = _plan(job.request, container)
        output = parse_s3_uri(job.request["TransformOutput"]["S3OutputPath"])
        failed = []
        found = False
        for place, name in self._inputs(job.request["TransformInput"]["DataSource"]["S3DataSource"]):
            found = True
            try:
                result = self._transform_object(job, container, plan, place)
            except (JobFailed, RecordTooLarge) as error:
                failed.append(f"{place}: {error}")
                continue
            self._store(job.request["TransformOutput"], output.below(f"{name}.out"), result)
        if not found:
            raise JobFailed("ClientError: there is no object at the input's S3Uri")
        if failed:  # results of the other objects stay, as SageMaker leaves them
            raise JobFailed(f"ClientError: {'; '.join(failed)}")

    def _transform_object(self, job: TransformJob, container: Container, plan: _Plan, place: S3Uri) -> bytes:
        content: bytes = self._clients("s3").get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
        if job.request["TransformInput"].get("CompressionType") == "Gzip":
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError) as error:
                raise JobFailed(f"not gzip: {error}") from None
        payloads = cut(content, by_line=plan.by_line, several=plan.several, most_mb=plan.payload_mb)

        def send(payload: bytes) -> bytes:
            return _send(job, container, plan, payload)

        with ThreadPoolExecutor(plan.concurrency, thread_name_prefix=f"transform {job.name}") as threads:
            return assemble(threads.map(send, payloads), by_line=plan.assemble_lines)

    def _inputs(self, source: Mapping[str, Any]) -> Iterator[tuple[S3Uri, str]]:
        """Each object, and the name under which its result is stored, without the .out."""
        place = parse_s3_uri(source["S3Uri"])
        if source["S3DataType"] == "ManifestFile":
            content = self._clients("s3").get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
            first, *names = json.loads(content)
            prefix = parse_s3_uri(first["prefix"])
            for name in names:
                yield S3Uri(prefix.bucket, f"{prefix.key}{name}"), name
            return
        folder = place.key.rpartition("/")[0]
        pages = self._clients("s3").get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.key)
        for page in pages:
            for entry in page.get("Contents", ()):
                key = entry["Key"]
                if not key.endswith("/"):
                    yield S3Uri(place.bucket, key), key.removeprefix(folder).lstrip("/")

    def _store(self, output: Mapping[str, Any], place: S3Uri, result: bytes) -> None:
        key = output.get("KmsKeyId")
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        try:
            self._clients("s3").put_object(Bucket=place.bucket, Key=place.key, Body=result, **encryption)
        except (ClientError, BotoCoreError) as error:
            raise JobFailed(f"ClientError: {place} could not be written: {error}") from None


def batch_environment(request: Mapping[str, Any]) -> dict[str, str]:
    """What SageMaker adds to a container's environment for a job, beside the job's own."""
    told = {"SAGEMAKER_BATCH": "true"}
    if (payload := request.get("MaxPayloadInMB")) is not None:
        told["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(payload)
    if strategy := request.get("BatchStrategy"):
        told["SAGEMAKER_BATCH_STRATEGY"] = _IN_ENVIRONMENT[strategy]
    if concurrency := request.get("MaxConcurrentTransforms"):
        told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(concurrency)
    return {**told, **request.get("Environment", {})}


def _plan(request: Mapping[str, Any], container: Container) -> _Plan:
    """The job's own parameters, then the container's, then SageMaker's."""
    source, output = request["TransformInput"], request["TransformOutput"]
    client = request.get("ModelClientConfig", {})
    asked = _ask(container)
    strategy = request.get("BatchStrategy") or _CONTAINERS_CHOICE.get(asked.batch_strategy, "MultiRecord")
    payload_mb = request.get("MaxPayloadInMB")
    if payload_mb is None:
        payload_mb = DEFAULT_PAYLOAD_MB if asked.max_payload_in_mb is None else asked.max_payload_in_mb
    headers = {"Content-Type": source.get("ContentType"), "Accept": output.get("Accept")}
    return _Plan(
        concurrency=request.get("MaxConcurrentTransforms") or asked.max_concurrent_transforms or DEFAULT_CONCURRENCY,
        several=strategy == "MultiRecord",
        payload_mb=payload_mb,
        by_line=source.get("SplitType") == "Line",
        assemble_lines=output.get("AssembleWith") == "Line",
        headers={name: value for name, value in headers.items() if value},
        timeout_s=float(client.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT_S)),
        retries=int(client.get("InvocationsMaxRetries", DEFAULT_RETRIES)),
    )


def _ask(container: Container) -> _Parameters:
    """A container need not know the path: then it has no wishes."""
    with suppress(urllib3.exceptions.HTTPError, msgspec.MsgspecError):
        answer = container.pool.request("GET", "/execution-parameters", timeout=10)
        if answer.status == 200:
            return msgspec.json.decode(answer.data, type=_Parameters)
    return _Parameters()


def _send(job: TransformJob, container: Container, plan: _Plan, payload: bytes) -> bytes:
    answer = Answer(0, 0.0)
    for _ in range(plan.retries + 1):
        if job.stopped.is_set():
            raise JobFailed("the job was stopped")
        answer = call(container, Invocation(payload, plan.headers, plan.timeout_s))
        if answer.status < 400:
            return answer.body
        if answer.status < 500:  # the same body would be refused again
            break
    told = answer.failure or answer.body.decode("utf-8", errors="replace")[:1000]
    raise JobFailed(f"the container answered {answer.status}: {told} Its log: {container.log}")
