"""The batching, fairness and admission policy of the container, pure: state and clock in, batches out.

The container runs it, and it can be simulated, for it knows no threads, sockets or clocks of its own.

    submit ─► refused at once, with the estimate
       └────► queued ─► next_batch ─► (an engine computes) ─► finished
                 │          ▲                  └─► lost ─► requeue: once more, alone
                 │          └───────────────────────────────────┘
                 └─ expire, cancel: dropped before compute

A document has tokens, which fill a batch, and work, which takes time; work is in any unit that is proportional
to compute, FLOPs for one. Requests share the machine by start-time fair queueing: the next document is always
that of the request that has been served the least work, so ten documents behind a thousand wait for about ten.
(Goyal, Vin, Cheng: Start-time Fair Queueing, 1996.) What a request of a thousand has beyond its first hundred or so
counts for more, so that small ones are soon past it. Several engines may compute at once, one batch each.

    batch       what an engine computes at once
    entry       a request on its way through
    pace        how fast engines are, learned
    refusal     why a request can't be taken
    scheduler   the policy
"""

from __future__ import annotations

from rerank_toolkit.scheduling.batch import Batch, Slice
from rerank_toolkit.scheduling.entry import BULK_TOKENS, BULK_WEIGHT
from rerank_toolkit.scheduling.pace import OUTLIER, RATE_MEMORY_S
from rerank_toolkit.scheduling.refusal import Refusal
from rerank_toolkit.scheduling.scheduler import DOUBT_AFTER_S, DOUBT_AT_START, MARGIN, SMALLEST_SHARE, Scheduler

__all__ = [
    "BULK_TOKENS",
    "BULK_WEIGHT",
    "DOUBT_AFTER_S",
    "DOUBT_AT_START",
    "MARGIN",
    "OUTLIER",
    "RATE_MEMORY_S",
    "SMALLEST_SHARE",
    "Batch",
    "Refusal",
    "Scheduler",
    "Slice",
]
