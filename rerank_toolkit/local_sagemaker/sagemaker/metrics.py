"""The CloudWatch metrics that SageMaker writes, gathered and written twice a second."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock, Thread
from typing import Any, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from rerank_toolkit.local_sagemaker.clients import Clients

logger = logging.getLogger(__name__)

INVOCATIONS = "AWS/SageMaker"
INSTANCES = "/aws/sagemaker/Endpoints"
COMPONENTS = "/aws/sagemaker/InferenceComponents"

Unit = Literal["None", "Count", "Percent", "Seconds", "Milliseconds", "Microseconds"]
Dimensions = Mapping[str, str]

_EVERY_S = 0.5
_MOST_VALUES = 150
"""That one datum of PutMetricData may hold."""
_MOST_DATA = 1000
"""That one call of it may hold."""
_PERCENTILES = ("Milliseconds", "Microseconds")
"""Of times people ask for percentiles, which need every value; of the rest the sum of each second is enough."""


class _Series(NamedTuple):
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    unit: Unit


class Metrics:
    """Takes values from any thread; a thread of its own writes them, so that no answer waits for CloudWatch."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._lock = Lock()
        self._gathered: dict[_Series, list[float]] = defaultdict(list)
        self._thread = Thread(target=self._write_regularly, name="metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(
        self,
        values: Mapping[str, float],
        places: Iterable[Dimensions],
        *,
        unit: Unit = "None",
        namespace: str = INVOCATIONS,
    ) -> None:
        """One value of each named metric, under each of the sets of dimensions."""
        series = [
            (_Series(namespace, name, tuple(place.items()), unit), value)
            for place in places
            for name, value in values.items()
        ]
        with self._lock:
            for key, value in series:
                self._gathered[key].append(value)

    def _write_regularly(self) -> None:
        while True:  # CloudWatch ends with this process as well
            time.sleep(_EVERY_S)
            with self._lock:
                gathered, self._gathered = self._gathered, defaultdict(list)
            by_namespace: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for series, values in gathered.items():
                by_namespace[series.namespace] += _data(series, values)
            for namespace, data in by_namespace.items():
                for start in range(0, len(data), _MOST_DATA):
                    self._write(namespace, data[start : start + _MOST_DATA])

    def _write(self, namespace: str, data: Sequence[Mapping[str, Any]]) -> None:
        try:
            self._clients("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)
        except (ClientError, BotoCoreError) as error:
            logger.warning("%d CloudWatch metrics in %s are lost: %s", len(data), namespace, error)


def _data(series: _Series, values: Sequence[float]) -> list[dict[str, Any]]:
    datum = {
        "MetricName": series.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions],
        "Unit": series.unit,
    }
    if series.unit in _PERCENTILES:
        chunks = (values[start : start + _MOST_VALUES] for start in range(0, len(values), _MOST_VALUES))
        return [{**datum, "Values": chunk} for chunk in chunks]
    statistics = {"SampleCount": len(values), "Sum": sum(values), "Minimum": min(values), "Maximum": max(values)}
    return [{**datum, "StatisticValues": statistics}]
