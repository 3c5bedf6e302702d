"""The server process: moto's services, ours in front of them, on one loopback port."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterable
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from rerank_toolkit.local_sagemaker import additions, reaper, seeding
from rerank_toolkit.local_sagemaker.alarms.watcher import Alarms
from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.cloudformation.api import CloudFormation
from rerank_toolkit.local_sagemaker.protocol import Service, read_operation, read_scope
from rerank_toolkit.local_sagemaker.sagemaker.api import SageMaker
from rerank_toolkit.local_sagemaker.sagemaker.container import LOOPBACK
from rerank_toolkit.local_sagemaker.sagemaker.host import Host
from rerank_toolkit.local_sagemaker.sagemaker.runtime import PATH as RUNTIME_PATH
from rerank_toolkit.local_sagemaker.sagemaker.status import describe_endpoints
from rerank_toolkit.local_sagemaker.settings import LocalSettings
from rerank_toolkit.local_sagemaker.state import STATUS_PATH, ServerRecord, StateDirectory

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

_CLOSE_GRACE_S = 5.0


class Gateway:
    """Decides who answers a request: CloudFormation, endpoints and what scales them are ours, the rest is moto's."""

    def __init__(self, cloudformation: CloudFormation, sagemaker: SageMaker, alarms: Alarms, region: str) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._cloudformation = cloudformation
        self._sagemaker = sagemaker
        self._cloudformation_service = Service("cloudformation", region, cloudformation.actions())
        self._ours = {
            name: Service(name, region, actions)
            for name, actions in (
                ("sagemaker", sagemaker.actions()),
                ("application-autoscaling", alarms.scaling.actions()),
            )
        }
        """What these lack, moto has."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if refusal := _refusal(environ):
            return Response(refusal, status=403, mimetype="text/plain")(environ, start_response)
        if path == STATUS_PATH:
            return Response(json.dumps(self._status()), mimetype="application/json")(environ, start_response)
        scope = read_scope(environ)
        service = scope.service if scope else None
        if service == "cloudformation":
            return self._cloudformation_service(environ, start_response)
        if service == "sagemaker" and RUNTIME_PATH.fullmatch(path):
            return self._sagemaker.runtime(environ, start_response)
        ours = self._ours.get(service or "")
        if ours is not None and ours.provides(read_operation(environ)):
            return ours(environ, start_response)
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    def _status(self) -> dict[str, Any]:
        return {
            "endpoints": describe_endpoints(self._sagemaker.endpoints.all(), self._sagemaker.components.all()),
            "stacks": [
                {"name": stack.name, "status": stack.status, "resources": len(stack.resources), "reason": stack.reason}
                for stack in self._cloudformation.store.living()
            ],
            "recorded_only": [
                {"stack": stack, "logical_id": logical_id, "type": kind}
                for stack, logical_id, kind in self._cloudformation.recorded_only()
            ],
        }


def _refusal(environ: WSGIEnvironment) -> str | None:
    """Why the request is no AWS client's of this machine's user; None if it may be. A web page in the user's browser
    can send what needs no signature, and a name that it controls can lead to 127.0.0.1."""
    if "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE", "none") != "none":
        return "web pages are no callers of the local AWS\n"
    host = environ.get("HTTP_HOST", "")
    if urlsplit(f"//{host}").hostname not in (LOOPBACK, "localhost"):
        return f"the local AWS is not called {host!r}, but {LOOPBACK}\n"
    if environ.get("PATH_INFO", "").lstrip("/").startswith("moto-api"):
        return "moto's own API, which resets everything, is not for callers\n"
    return None


class _QuietHandler(MotoRequestHandler):
    """Logs failures of ours, not every request: a deploy makes hundreds."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if str(code).startswith("5"):
            logger.warning("%s %s answered %s", self.command, self.path, code)


def run(state: StateDirectory, *, port: int, region: str) -> None:
    """Serves until SIGTERM or SIGINT, then stops every endpoint. The state's record appears when all is ready."""
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    watch = reaper.start(state.mark)
    gateway: Gateway | None = None

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if gateway is None:
            return Response("starting", status=503)(environ, start_response)
        return gateway(environ, start_response)

    server = make_server(LOOPBACK, port, application, threaded=True, request_handler=_QuietHandler)
    clients = Clients(f"http://{LOOPBACK}:{server.server_port}", region)
    os.environ["MOTO_PORT"] = str(server.server_port)  # where tasks of state machines look for other services
    additions.install(clients)
    host = Host(clients, folder=state.root, mark=state.mark, region=region)
    cloudformation = CloudFormation(clients, region=region, account=DEFAULT_ACCOUNT_ID)
    alarms = Alarms(clients, region=region, account=DEFAULT_ACCOUNT_ID)
    settings = LocalSettings.from_environment(os.environ)
    sagemaker = SageMaker(clients, host, alarms, settings, region=region, account=DEFAULT_ACCOUNT_ID)
    gateway = Gateway(cloudformation, sagemaker, alarms, region)

    Thread(target=server.serve_forever, name="server", daemon=True).start()
    try:
        seeding.seed(clients, region=region, account=DEFAULT_ACCOUNT_ID)
        sagemaker.start()
        alarms.start()
        state.write_record(
            ServerRecord(
                pid=os.getpid(),
                port=server.server_port,
                region=region,
                account=DEFAULT_ACCOUNT_ID,
            )
        )
        logger.info("ready on http://%s:%d", LOOPBACK, server.server_port)
        stopping.wait()
        logger.info("stopping")
    finally:
        sagemaker.close(_CLOSE_GRACE_S)
        server.shutdown()
        watch.stdin.close() if watch.stdin else None
        watch.wait()
