"""Metrics that no invocation brings about: backlogs, requests under way, and what containers use of their machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from threading import Thread

from rerank_toolkit.catalog.instances import load_instances
from rerank_toolkit.local_sagemaker.sagemaker.async_inference import backlog
from rerank_toolkit.local_sagemaker.sagemaker.components import Component
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member
from rerank_toolkit.local_sagemaker.sagemaker.metrics import COMPONENTS, INSTANCES, Metrics
from rerank_toolkit.local_sagemaker.sagemaker.usage import measure

logger = logging.getLogger(__name__)

_EVERY_S = 2.0
"""SageMaker's are a minute apart, or ten seconds; an alarm that rings sooner is easier to try."""


class Sampler:
    def __init__(
        self,
        endpoints: Callable[[], Iterable[Endpoint]],
        components: Callable[[], Iterable[Component]],
        metrics: Metrics,
    ) -> None:
        self._endpoints = endpoints
        self._components = components
        self._metrics = metrics
        self._cpu_s: dict[int, tuple[float, float]] = {}
        """By pid: when it was measured, and the CPU time until then."""

    def start(self) -> None:
        Thread(target=self._sample_regularly, name="sampler", daemon=True).start()

    def _sample_regularly(self) -> None:
        while True:  # CloudWatch ends with this process as well
            time.sleep(_EVERY_S)
            try:
                self._sample()
            except Exception:  # a defect of ours must not end the samples of everything else
                logger.exception("sampling metrics")

    def _sample(self) -> None:
        seen: set[int] = set()
        for endpoint in self._endpoints():
            if endpoint.asynchronous:
                values, place = backlog(endpoint)
                self._metrics.add(values, [place], unit="Count")
                if endpoint.queue is not None and endpoint.queue.waiting:
                    age_s = endpoint.queue.oldest_age_s
                    self._metrics.add({"ApproximateAgeOfOldestRequest": age_s}, [place], unit="Seconds")
            for member in _members(endpoint):
                self._metrics.add(_under_way(member), member.places)
                self._use(member, _memory_mib(endpoint, member), INSTANCES, seen)
        for component in self._components():
            for member in component.traffic.sides:
                self._metrics.add({"ConcurrentRequestsPerCopy": float(member.requests)}, member.places)
                self._use(member, _memory_mib(component.endpoint, member), COMPONENTS, seen)
        self._cpu_s = {pid: measured for pid, measured in self._cpu_s.items() if pid in seen}

    def _use(self, member: Member, memory_mib: float | None, namespace: str, seen: set[int]) -> None:
        """CPU in percent of one core, as SageMaker counts it, and memory in percent of the machine's."""
        running = member.running
        if running is None:
            return
        pid = running.container.pid
        now, used = time.monotonic(), measure(pid)
        before = self._cpu_s.get(pid)
        self._cpu_s[pid] = now, used.cpu_s
        seen.add(pid)
        values = {}
        if before is not None and now > before[0]:
            values["CPUUtilization"] = max(0.0, used.cpu_s - before[1]) / (now - before[0]) * 100
        if memory_mib:
            values["MemoryUtilization"] = used.held_mib / memory_mib * 100
        self._metrics.add(values, member.places[:1], unit="Percent", namespace=namespace)


def _members(endpoint: Endpoint) -> Iterator[Member]:
    for fleet in endpoint.traffic.sides:
        yield from fleet.everyone


def _under_way(member: Member) -> dict[str, float]:
    if not member.serverless:
        return {"ConcurrentRequestsPerModel": float(member.requests)} if member.model else {}
    values = {"ServerlessConcurrentExecutionsUtilization": member.requests / member.serverless["MaxConcurrency"]}
    if provisioned := member.serverless.get("ProvisionedConcurrency"):
        warm = min(member.requests, provisioned)
        values["ServerlessProvisionedConcurrencyExecutions"] = float(warm)
        values["ServerlessProvisionedConcurrencyUtilization"] = warm / provisioned
    return values


def _memory_mib(endpoint: Endpoint, member: Member) -> float | None:
    """Of the machine that the member would have; None where that is unknown."""
    if member.memory_mib is not None:
        return float(member.memory_mib)
    fleet = endpoint.fleet
    hosts = (member, *(fleet.members if fleet else ()))
    name = next((host.settings["InstanceType"] for host in hosts if "InstanceType" in host.settings), "")
    instance = load_instances().get(name)
    return float(instance.memory_mib) if instance else None
