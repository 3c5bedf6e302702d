"""The app: a foundation stack, and one stack for each deployment of the plan."""

from __future__ import annotations

import sys
from pathlib import Path

import aws_cdk as cdk
import msgspec

from infra.data_stack import data_bucket
from infra.endpoint_stack import EndpointStack
from infra.foundation import FoundationStack
from infra.images_stack import ImagesStack
from infra.job_stack import JobStack
from infra.network import vpc_access
from infra.options import Options
from infra.plan import read_plan
from infra.shared import Shared
from rerank_toolkit.contracts.errors import ToolkitError
from rerank_toolkit.contracts.plan import Plan

# AWS's recommendations for new apps, but exports between stacks, which keep the key while an endpoint uses it.
# Here and not in cdk.json, which is read in the repository alone: the same plan must give the same templates from any
# directory.
FEATURE_FLAGS = Path(__file__).with_name("feature_flags.json")


def new_app(outdir: str | None = None) -> cdk.App:
    """An app without stacks; templates go to `outdir`, or where the `cdk` command says."""
    return cdk.App(outdir=outdir, context=msgspec.json.decode(FEATURE_FLAGS.read_bytes()), analytics_reporting=False)


def add_stacks(app: cdk.App, plan: Plan, options: Options) -> list[EndpointStack | JobStack]:
    """The stacks of a valid plan; gives those of its deployments, in its order."""
    foundation = FoundationStack(app, plan)
    shared = Shared(
        key=foundation.key,
        alerts=foundation.alerts,
        network=vpc_access(app, plan, foundation.key),
        data=data_bucket(app, plan, foundation.key),
    )
    if options.images:
        ImagesStack(app, plan, shared.key)
    return [
        (JobStack if deployment.mode == "batch" else EndpointStack)(app, plan, deployment, options, shared)
        for deployment in plan.deployments
    ]


def main() -> int:
    """Synthesises into the directory that the `cdk` command names; returns the exit code."""
    app = new_app()
    try:
        options = Options.from_context(app.node)
        image_given = options.build is not None or options.image is not None
        add_stacks(app, read_plan(options.plan, image_given=image_given), options)
    except ToolkitError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    app.synth()
    return 0
