"""An artifact's tensors, mapped from its file: nothing is read before it is used, nothing copied that can be shared.

Two processes that map the same file share its pages, and the kernel may drop them again.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from inference_container.artifact import WEIGHTS, Artifact, ArtifactError
from inference_container.checkpoints import normalise
from rerank_toolkit.contracts.faults import Fault

# numpy has no bfloat16: its values are carried as the 16 bits that they are.
_STORED_AS: Mapping[str, type[np.generic]] = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16, "I8": np.int8}

_PASSING_S = 0.01
"""In which a copy moves on by some 20 MiB."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor as stored: `data` is of its shape, with bfloat16 values as uint16."""

    data: NDArray[Any]
    dtype: str
    """Of safetensors: F32, F16, BF16 or I8."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def rows(self, index: NDArray[np.int32]) -> NDArray[np.float32]:
        """Rows `index`, any shape, of a table (rows, columns): shape (*index.shape, columns)."""
        return _widen(np.take(self.data, index, axis=0), self.dtype)

    def widened(self) -> NDArray[np.float32]:
        """All of it as fp32, a copy unless it is stored so."""
        return _widen(self.data, self.dtype)


Weights = Mapping[str, Weight]
"""By published tensor name."""


class MappedWeights(Weights):
    """Tensors that lie in a mapped file, and the pages of it that this process holds."""

    def __init__(self, tensors: Weights, pages: mmap.mmap) -> None:
        self._tensors, self._pages = tensors, pages

    def __getitem__(self, name: str) -> Weight:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def release(self) -> None:
        """Gives all pages back. What is used after all comes from the file again, mostly out of the kernel's cache."""
        self._pages.madvise(mmap.MADV_DONTNEED)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """While tensors are read once, one after the other, gives their pages back.

        Else a process that makes its own copy of each holds the file besides, when it has gone through.
        """
        ended = Event()

        def release() -> None:
            while not ended.wait(_PASSING_S):
                self.release()

        releasing = Thread(target=release, name="release-weights", daemon=True)
        releasing.start()
        try:
            yield
        finally:
            ended.set()
            releasing.join()
            self.release()


def map_weights(artifact: Artifact) -> MappedWeights:
    """The artifact's tensors under today's names.

    Raises ArtifactError for a file that is not safetensors or holds a type of number without a use here, InvalidInput
    with every tensor that is missing, left over or of another size.
    """
    file = artifact.file(WEIGHTS)
    try:
        with safe_open(file, framework="numpy"):  # checks the header against itself and against the file's size
            pass
    except SafetensorError as error:
        fault = Fault(WEIGHTS, f"can't be read as safetensors: {error}")
        raise ArtifactError(artifact.path, [fault], _REMEDY) from error
    with file.open("rb") as opened:
        pages = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)  # OpenVINO wants it writable, and nobody writes
    content = np.frombuffer(pages, dtype=np.uint8)
    (size,) = struct.unpack("<Q", content[:8].tobytes())
    header = msgspec.json.decode(content[8 : 8 + size].tobytes(), type=dict[str, Any])
    header.pop("__metadata__", None)
    faults = [
        Fault(name, f"holds {entry['dtype']}; expected one of {', '.join(_STORED_AS)}")
        for name, entry in header.items()
        if entry["dtype"] not in _STORED_AS
    ]
    if faults:
        raise ArtifactError(artifact.path, faults, _REMEDY)
    stored = {name: _view(content[8 + size :], **entry) for name, entry in header.items()}
    manifest = artifact.manifest
    named = normalise(cast(dict[str, Any], stored), manifest.shape, name=str(file), int8=manifest.dtype == "int8")
    return MappedWeights(cast(dict[str, Weight], named), pages)


_REMEDY = "Make it again: rerank package MODEL --out DIR --force"


def _view(content: NDArray[np.uint8], *, dtype: str, shape: Sequence[int], data_offsets: Sequence[int]) -> Weight:
    start, end = data_offsets
    return Weight(content[start:end].view(_STORED_AS[dtype]).reshape(shape), dtype)


def _widen(values: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    if dtype == "BF16":  # the upper half of the fp32 number
        bits: NDArray[np.uint32] = np.left_shift(values, 16, dtype=np.uint32)
        return bits.view(np.float32)
    widened: NDArray[np.float32] = values.astype(np.float32, copy=False)
    return widened
