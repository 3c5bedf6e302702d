"""The container's policy behind a router in virtual time, compiled: a twin of rerank_toolkit.scheduling.

What is a dict, a deque or an object there is a chain of indices here, through rows that were there from the start, so
nothing is allocated while requests come and go. Each function names the method that it mirrors; a test holds the two
equal, batch by batch and refusal by refusal. Lost engines are not simulated, so nothing is computed twice.

    endpoint    the entry: all requests through router and instances
    admission   who is taken, refused or dropped
    waiting     those that wait, by their remaining work
    turns       whose turn it is: a heap of rows
    batches     what engines compute, and for how long
    pace        how fast they are, learned
"""

from __future__ import annotations

from cost_model.simulate.kernel.endpoint import run

__all__ = ["run"]
