"""SageMaker's API, put together from one file a resource; what else there is, moto answers."""

from __future__ import annotations

from rerank_toolkit.local_sagemaker.alarms.watcher import Alarms
from rerank_toolkit.local_sagemaker.clients import Clients
from rerank_toolkit.local_sagemaker.protocol import Action
from rerank_toolkit.local_sagemaker.sagemaker.async_inference import AsyncInference
from rerank_toolkit.local_sagemaker.sagemaker.deployments import Deployments
from rerank_toolkit.local_sagemaker.sagemaker.endpoint_api import Endpoints
from rerank_toolkit.local_sagemaker.sagemaker.endpoint_configs import EndpointConfigs
from rerank_toolkit.local_sagemaker.sagemaker.host import Host
from rerank_toolkit.local_sagemaker.sagemaker.inference_components import Components
from rerank_toolkit.local_sagemaker.sagemaker.metrics import Metrics
from rerank_toolkit.local_sagemaker.sagemaker.models import Models
from rerank_toolkit.local_sagemaker.sagemaker.records import Tags
from rerank_toolkit.local_sagemaker.sagemaker.runtime import Runtime
from rerank_toolkit.local_sagemaker.sagemaker.sampler import Sampler
from rerank_toolkit.local_sagemaker.sagemaker.scalable_targets import ScalableTargets
from rerank_toolkit.local_sagemaker.sagemaker.transform import Transformer
from rerank_toolkit.local_sagemaker.sagemaker.transform_jobs import TransformJobs
from rerank_toolkit.local_sagemaker.sagemaker.transitions import Transitions
from rerank_toolkit.local_sagemaker.sagemaker.watch import Watch
from rerank_toolkit.local_sagemaker.settings import LocalSettings


class SageMaker:
    """Everything of SageMaker's that runs here."""

    def __init__(
        self, clients: Clients, host: Host, alarms: Alarms, settings: LocalSettings, *, region: str, account: str
    ) -> None:
        arns = f"arn:aws:sagemaker:{region}:{account}"
        self._host = host
        self._tags = Tags()
        self._metrics = Metrics(clients)
        transitions = Transitions(host, alarms, longest_wait_s=settings.longest_wait_s)
        asynchronous = AsyncInference(clients, host, self._metrics, region=region)
        self._models = Models(clients, self._tags, arns=arns)
        self._configs = EndpointConfigs(self._models, self._tags, arns=arns)
        self.endpoints = Endpoints(
            self._configs,
            Deployments(host, transitions),
            alarms,
            self._tags,
            asynchronous.make_queue,
            targets=ScalableTargets(clients),
            arns=arns,
        )
        self.components = Components(
            self._models,
            self.endpoints,
            host,
            transitions,
            self._tags,
            arns=arns,
        )
        self._jobs = TransformJobs(self._models, Transformer(clients, host), self._tags, arns=arns)
        self.runtime = Runtime(
            self.endpoints.find,
            self.components,
            asynchronous,
            host,
            self._metrics,
            region=region,
            account=account,
        )
        self._watch = Watch(self.endpoints.all, self.components.all, host, idle_s=settings.serverless_idle_s)
        self._sampler = Sampler(self.endpoints.all, self.components.all, self._metrics)

    def actions(self) -> dict[str, Action]:
        """The actions by name; each takes the request's parameters and gives the answer's members."""
        return {
            **self._models.actions(),
            **self._configs.actions(),
            **self.endpoints.actions(),
            **self.components.actions(),
            **self._jobs.actions(),
            "AddTags": self._tags.add_tags,
            "DeleteTags": self._tags.delete_tags,
            "ListTags": self._tags.list_tags,
        }

    def start(self) -> None:
        """Begins to watch containers and to write metrics."""
        self._metrics.start()
        self._watch.start()
        self._sampler.start()

    def close(self, grace_s: float) -> None:
        """Stops every container, whatever is about to be done with it."""
        self._host.close()
        self._jobs.stop_all()
        members = [member for endpoint in self.endpoints.all() for member in Deployments.dismantle(endpoint)]
        members += [member for component in self.components.all() for member in Components.dismantle(component)]
        self._host.retire(members, grace_s)
