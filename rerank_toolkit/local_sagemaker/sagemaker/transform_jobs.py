"""CreateTransformJob and its kin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.catalog.limits import load_limits
from rerank_toolkit.local_sagemaker.protocol import Action, ApiError, Parameters
from rerank_toolkit.local_sagemaker.sagemaker.artifacts import find_source
from rerank_toolkit.local_sagemaker.sagemaker.models import Models, environment_faults
from rerank_toolkit.local_sagemaker.sagemaker.records import Table, Tags, check_name, refuse
from rerank_toolkit.local_sagemaker.sagemaker.s3_uri import parse_s3_uri
from rerank_toolkit.local_sagemaker.sagemaker.transform import DEFAULT_PAYLOAD_MB, Transformer, TransformJob
from rerank_toolkit.local_sagemaker.sagemaker.transitions import run

MOST_ENVIRONMENT_ENTRIES = 16
"""Of a job's own. botocore's service model, 1.44: TransformEnvironmentMap."""

_SPLITS = ("None", "Line")
_IDLE_PROCESSING = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
_ECHOED = (
    "ModelName",
    "MaxConcurrentTransforms",
    "ModelClientConfig",
    "MaxPayloadInMB",
    "BatchStrategy",
    "Environment",
    "TransformInput",
    "TransformOutput",
    "TransformResources",
    "DataProcessing",
    "ExperimentConfig",
)


class TransformJobs:
    def __init__(self, models: Models, transformer: Transformer, tags: Tags, *, arns: str) -> None:
        self._models = models
        self._transformer = transformer
        self._table: Table[TransformJob] = Table("transform job", f"{arns}:transform-job", tags)

    def actions(self) -> dict[str, Action]:
        return {
            "CreateTransformJob": self.create,
            "DescribeTransformJob": self.describe,
            "ListTransformJobs": self.list_all,
            "StopTransformJob": self.stop,
        }

    def create(self, request: Parameters) -> dict[str, Any]:
        name = check_name("transformJobName", request["TransformJobName"])
        refuse(self._faults(request))
        definition = self._models.container_of(request["ModelName"])
        job = TransformJob(name, self._table.arn(name), request)
        self._table.add(name, job, request)
        run(f"transform {name}", lambda: self._transformer.run(job, definition))
        return {"TransformJobArn": job.arn}

    def describe(self, request: Parameters) -> dict[str, Any]:
        job = self._table.get(request["TransformJobName"])
        described = {
            **_summary(job),
            **{name: job.request.get(name) for name in _ECHOED},
            "TransformStartTime": job.started,
        }
        return {name: value for name, value in described.items() if value is not None}

    def list_all(self, request: Parameters) -> dict[str, Any]:
        wanted, part = request.get("StatusEquals"), request.get("NameContains", "").lower()
        found = [job for job in self._table.all() if part in job.name.lower() and wanted in (None, job.status)]
        found.sort(key=lambda job: job.created, reverse=request.get("SortOrder", "Descending") == "Descending")
        summaries = [_summary(job) for job in found]
        return {
            "TransformJobSummaries": [
                {name: value for name, value in summary.items() if value is not None} for summary in summaries
            ]
        }

    def stop(self, request: Parameters) -> dict[str, Any]:
        job = self._table.get(request["TransformJobName"])
        with job.lock:
            if not job.running:
                raise ApiError(
                    "ValidationException",
                    f"The request was rejected because the transform job is in status {job.status}.",
                )
            job.status = "Stopping"
        run(f"stop {job.name}", lambda: self._transformer.stop(job))
        return {}

    def stop_all(self) -> None:
        """For the end of the local AWS."""
        for job in self._table.all():
            if job.running:
                self._transformer.stop(job)

    def _faults(self, request: Parameters) -> list[str]:
        limits = load_limits().batch
        faults = []
        model = request["ModelName"]
        if not self._models.exists(model):
            faults.append(f'Could not find model "{model}".')
        else:
            source = find_source(self._models.container_of(model))
            if source is not None and source.form != "archive":
                faults.append(f"the model data of {model} is uncompressed; batch transform takes a tar.gz alone")
        instance = request["TransformResources"]["InstanceType"]
        known = load_instances().get(instance)
        if known is None or not known.transform:
            faults.append(f"{instance} is no instance type that transform jobs accept")
        payload, concurrency = request.get("MaxPayloadInMB"), request.get("MaxConcurrentTransforms")
        if payload is not None and payload > limits.payload_mb:
            faults.append(f"maxPayloadInMB is {payload}; at most {limits.payload_mb}")
        elif concurrency and (payload or DEFAULT_PAYLOAD_MB) * concurrency > limits.payload_mb:
            faults.append(
                f"maxConcurrentTransforms times maxPayloadInMB is {(payload or DEFAULT_PAYLOAD_MB) * concurrency}; "
                f"at most {limits.payload_mb}"
            )
        faults += environment_faults(request.get("Environment", {}), most_entries=MOST_ENVIRONMENT_ENTRIES)
        return faults + _data_faults(request)


def _data_faults(request: Parameters) -> list[str]:
    faults = []
    source, output = request["TransformInput"], request["TransformOutput"]
    split = source.get("SplitType", "None")
    if split not in _SPLITS:
        faults.append(f"splitType {split} is not supported by the local AWS; it has {' and '.join(_SPLITS)}")
    if request.get("BatchStrategy") and split == "None":
        faults.append("batchStrategy is set, but splitType is not: an object that isn't split has no records")
    data = source["DataSource"]["S3DataSource"]
    if data["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        faults.append(f"s3DataType is {data['S3DataType']}; transform jobs take S3Prefix and ManifestFile")
    for field, uri in (("s3Uri", data["S3Uri"]), ("s3OutputPath", output["S3OutputPath"])):
        try:
            parse_s3_uri(uri)
        except ValueError as error:
            faults.append(f"{field}: {error}")
    processing: Mapping[str, Any] = request.get("DataProcessing", {})
    if any(processing.get(name, idle) != idle for name, idle in _IDLE_PROCESSING.items()):
        faults.append("dataProcessing is not supported by the local AWS: no filters, nothing is joined")
    if request.get("DataCaptureConfig"):
        faults.append("dataCaptureConfig is not supported by the local AWS")
    return faults


def _summary(job: TransformJob) -> dict[str, Any]:
    return {
        "TransformJobName": job.name,
        "TransformJobArn": job.arn,
        "TransformJobStatus": job.status,
        "FailureReason": job.failure,
        "CreationTime": job.created,
        "TransformEndTime": job.ended,
        "LastModifiedTime": job.ended or job.started or job.created,
    }
