"""What goes into each linear layer of the reference model: the ranges that int8 codes are made for."""

from __future__ import annotations

from collections.abc import Callable

import torch

from inference_container.artifact import Artifact
from inference_container.engines import RaggedBatch
from inference_container.engines.torch import TorchEngine
from inference_container.int8 import Range


def input_ranges(artifact: Artifact, batch: RaggedBatch, *, threads: int) -> dict[str, Range]:
    """Lowest and highest value of each feature over all tokens of `batch`, by layer.

    Layers are named as their tensors are, without `.weight`. Raises as TorchEngine does.
    """
    engine = TorchEngine(artifact, threads=threads)
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def watch(name: str) -> Callable[[torch.nn.Module, tuple[torch.Tensor, ...]], None]:
        def note(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            rows = inputs[0].flatten(0, -2)  # (tokens, features)
            lowest, highest = rows.amin(0), rows.amax(0)
            if name in seen:
                lowest, highest = torch.minimum(lowest, seen[name][0]), torch.maximum(highest, seen[name][1])
            seen[name] = lowest, highest

        return note

    for name, module in engine.model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(watch(name))
    engine.score(batch)
    return {name: (lowest.cpu().numpy(), highest.cpu().numpy()) for name, (lowest, highest) in seen.items()}
