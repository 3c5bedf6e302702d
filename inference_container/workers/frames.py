"""What goes over the socket between front and worker: a header, then arrays as they lie in memory, or text.

Both ends are the same program on the same machine, so there are no versions and no byte orders to agree on.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_container.engines import RaggedBatch


class Kind(IntEnum):
    LOAD = 1
    """JSON: the artifact, whose files were checked."""
    READY = 2
    """JSON: the engine as it runs."""
    REFUSED = 3
    """Text: why this artifact can't be served here."""
    BATCH = 4
    SCORES = 5
    FAILED = 6
    """Text: the class of what the engine raised."""


@dataclass(frozen=True, slots=True)
class Frame:
    kind: Kind
    count: int
    """Sequences of a BATCH; computed tokens of SCORES."""
    payload: bytearray


_HEADER = struct.Struct("=IIQ")  # kind, count, bytes of the payload


def send(sock: socket.socket, kind: Kind, payload: bytes = b"") -> None:
    """A frame of JSON or text."""
    sock.sendall(_HEADER.pack(kind, 0, len(payload)) + payload)


def send_batch(sock: socket.socket, batch: RaggedBatch) -> None:
    _send_arrays(sock, Kind.BATCH, batch.sequences, (batch.offsets, batch.ids, batch.type_ids))


def send_scores(sock: socket.socket, logits: NDArray[np.float32], computed_tokens: int) -> None:
    _send_arrays(sock, Kind.SCORES, computed_tokens, (np.asarray(logits, dtype=np.float32),))


def receive(sock: socket.socket) -> Frame | None:
    """The next frame, however long it takes to come; None at the end. Raises EOFError for one that is cut."""
    head = _read(sock, _HEADER.size)
    if not head:
        return None
    if len(head) < _HEADER.size:
        raise EOFError
    kind, count, size = _HEADER.unpack(head)
    payload = _read(sock, size)
    if len(payload) < size:
        raise EOFError
    return Frame(Kind(kind), count, payload)


def batch_of(frame: Frame) -> RaggedBatch:
    """Arrays over the frame's own memory."""
    offsets = np.frombuffer(frame.payload, dtype=np.int64, count=frame.count + 1)
    tokens = int(offsets[-1])
    ids = np.frombuffer(frame.payload, dtype=np.int32, count=2 * tokens, offset=offsets.nbytes)
    return RaggedBatch(ids[:tokens], ids[tokens:], offsets)


def scores_of(frame: Frame) -> NDArray[np.float32]:
    return np.frombuffer(frame.payload, dtype=np.float32)


def _send_arrays(sock: socket.socket, kind: Kind, count: int, arrays: Sequence[NDArray[Any]]) -> None:
    sock.sendall(_HEADER.pack(kind, count, sum(array.nbytes for array in arrays)))
    for array in arrays:
        sock.sendall(np.ascontiguousarray(array).data.cast("B"))


def _read(sock: socket.socket, size: int) -> bytearray:
    """`size` bytes, or fewer if the other end closes before."""
    data = bytearray(size)
    view = memoryview(data)
    got = 0
    while got < size:
        count = sock.recv_into(view[got:])
        if not count:
            view.release()
            del data[got:]
            break
        got += count
    return data
