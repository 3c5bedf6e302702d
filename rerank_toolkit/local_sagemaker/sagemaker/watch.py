"""Looks after containers between requests: those that have died, serverless ones that are idle or hold too much."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from threading import Thread

from rerank_toolkit.local_sagemaker.sagemaker.components import Component
from rerank_toolkit.local_sagemaker.sagemaker.endpoints import Endpoint
from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member
from rerank_toolkit.local_sagemaker.sagemaker.host import Host
from rerank_toolkit.local_sagemaker.sagemaker.transitions import describe_dead
from rerank_toolkit.local_sagemaker.sagemaker.usage import measure

logger = logging.getLogger(__name__)

_EVERY_S = 0.25


class Watch:
    def __init__(
        self,
        endpoints: Callable[[], Iterable[Endpoint]],
        components: Callable[[], Iterable[Component]],
        host: Host,
        *,
        idle_s: float,
    ) -> None:
        self._endpoints = endpoints
        self._components = components
        self._host = host
        self._idle_s = idle_s

    def start(self) -> None:
        Thread(target=self._look_regularly, name="watch", daemon=True).start()

    def look(self) -> None:
        """Once at everything."""
        for endpoint in self._endpoints():
            self._look_at(endpoint)
        for component in self._components():
            self._look_at_component(component)

    def _look_regularly(self) -> None:
        while True:  # the watch ends with this process
            time.sleep(_EVERY_S)
            try:
                self.look()
            except Exception:  # a defect of ours must not end the watch over everything else
                logger.exception("watching containers")

    def _look_at(self, endpoint: Endpoint) -> None:
        """If a container dies, its endpoint has none any more. A serverless one is started by the next request, and
        a shadow's death is nobody's business but the log's."""
        fleet = endpoint.fleet
        if fleet is None:
            return
        for member in fleet.members:
            if member.serverless:
                self._look_at_serverless(endpoint, member)
        if why := describe_dead(fleet.shadows):
            logger.warning("%s: the shadow's container is gone: %s", endpoint.name, why)
            self._host.stop(fleet.shadows, 0.0)
        why = describe_dead(member for member in fleet.members if not member.serverless)
        if why is None:
            return
        with endpoint.lock:
            if endpoint.traffic.present is not fleet:
                return
            endpoint.traffic.present = None
            if endpoint.status == "InService":  # an update that is under way settles the status itself
                endpoint.settle("Failed", why)
        self._host.retire(fleet.everyone)

    def _look_at_component(self, component: Component) -> None:
        member = component.traffic.present
        why = describe_dead([member]) if member else None
        if member is None or why is None:
            return
        with component.lock:
            if component.traffic.present is not member:
                return
            component.traffic.present = None
            if component.status == "InService":
                component.settle("Failed", why)
        self._host.retire([member], 0.0)

    def _look_at_serverless(self, endpoint: Endpoint, member: Member) -> None:
        running = member.running
        if running is None or running.container.exit_code is not None:
            return
        limit_mib = member.memory_mib or 0
        held_mib = measure(running.container.pid).held_mib
        if held_mib > limit_mib:
            logger.warning(
                "%s: %s held %.0f MiB of %d and was killed, as the kernel kills what has no more memory",
                endpoint.name,
                member.name,
                held_mib,
                limit_mib,
            )
            running.container.kill()
            return
        provisioned = member.serverless and member.serverless.get("ProvisionedConcurrency")
        if provisioned or running.users or time.monotonic() - running.last_used < self._idle_s:
            return
        with member.lock:
            if member.running is running and not running.users:
                logger.info("%s: %s was idle and is stopped", endpoint.name, member.name)
                self._host.stop([member])
