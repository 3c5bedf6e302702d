"""What CloudWatch is told of one invocation: the names, units and dimensions that SageMaker publishes."""

from __future__ import annotations

from rerank_toolkit.local_sagemaker.sagemaker.fleets import Member
from rerank_toolkit.local_sagemaker.sagemaker.invocation import Answer
from rerank_toolkit.local_sagemaker.sagemaker.metrics import Metrics


def observe(metrics: Metrics, member: Member, answer: Answer, *, total_s: float, setup_s: float = 0.0) -> None:
    """`total_s` is from the request's coming to the answer's going, `setup_s` what of it a cold start took."""
    per = "InvocationsPerCopy" if member.is_component else "InvocationsPerInstance"
    counts = {
        "Invocations": 1.0,
        "Invocation4XXErrors": float(400 <= answer.status < 500),
        "Invocation5XXErrors": float(answer.status >= 500),
        "InvocationModelErrors": float(answer.status >= 400),
        **({} if member.serverless else {per: 1.0 / max(1, member.count)}),
    }
    times = {
        "ModelLatency": answer.seconds * 1e6,
        "OverheadLatency": max(0.0, total_s - answer.seconds) * 1e6,
        **({"ModelSetupTime": setup_s * 1e6} if setup_s else {}),
    }
    metrics.add(counts, member.places)
    metrics.add(times, member.places, unit="Microseconds")
