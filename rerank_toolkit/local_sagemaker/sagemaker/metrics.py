"""The CloudWatch metrics that SageMaker writes for each invocation, gathered and written once a second."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from threading import Lock, Thread

from botocore.exceptions import BotoCoreError, ClientError

from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint, Running

logger = logging.getLogger(__name__)

NAMESPACE = "AWS/SageMaker"
_EVERY_S = 1.0
_MOST_VALUES = 150
"""That one datum of PutMetricData may hold."""


class InvocationMetrics:
    """Observes invocations; a thread of its own writes them, so that no answer waits for CloudWatch."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._lock = Lock()
        self._gathered: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        self._thread = Thread(target=self._write_regularly, name="metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def observe(self, endpoint: Endpoint, member: Running, status: int, seconds: float) -> None:
        """One invocation and the container's answer to it."""
        values = {
            "Invocations": 1.0,
            "ModelLatency": seconds * 1e6,
            "Invocation4XXErrors": float(400 <= status < 500),
            "Invocation5XXErrors": float(status >= 500),
        }
        with self._lock:
            for metric, value in values.items():
                self._gathered[endpoint.name, member.variant.name, metric].append(value)

    def _write_regularly(self) -> None:
        while True:  # CloudWatch ends with this process as well
            time.sleep(_EVERY_S)
            with self._lock:
                gathered, self._gathered = self._gathered, defaultdict(list)
            for (endpoint, variant, metric), values in gathered.items():
                self._write(endpoint, variant, metric, values)

    def _write(self, endpoint: str, variant: str, metric: str, values: list[float]) -> None:
        dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
        for start in range(0, len(values), _MOST_VALUES):
            datum = {
                "MetricName": metric,
                "Dimensions": dimensions,
                "Unit": "Microseconds" if metric == "ModelLatency" else "None",
                "Values": values[start : start + _MOST_VALUES],
            }
            try:
                self._clients("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=[datum])
            except (ClientError, BotoCoreError) as error:
                logger.warning("CloudWatch metrics of %s are lost: %s", endpoint, error)
