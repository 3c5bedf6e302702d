"""Where an option runs, in the few kinds that pictures tell apart: by colour, by shape and in words."""

from __future__ import annotations

import msgspec

from cost_model.compare import Option


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    label: str
    colour: str
    """A variable of palette.css, so that one picture serves light, dark and paper."""
    shape: str


KINDS = {
    "cpu": Kind(label="real-time on CPU", colour="var(--blue)", shape="circle"),
    "gpu": Kind(label="real-time on GPU", colour="var(--orange)", shape="square"),
    "serverless": Kind(label="serverless", colour="var(--green)", shape="triangle-up"),
    "provisioned": Kind(label="provisioned serverless", colour="var(--green)", shape="triangle-down"),
    "autoscaled": Kind(label="autoscaled real-time", colour="var(--purple)", shape="diamond"),
    "async": Kind(label="async to zero", colour="var(--ochre)", shape="cross"),
    "batch": Kind(label="batch", colour="var(--grey)", shape="triangle-left"),
    "elsewhere": Kind(label="outside SageMaker", colour="var(--rose)", shape="triangle-right"),
}


def kind_of(option: Option) -> str:
    """A key of KINDS: real-time on CPUs and on GPUs apart, else by the mode."""
    word = option.candidate.host.kind if option.mode == "realtime" else option.mode
    return word if word in KINDS else "elsewhere"
