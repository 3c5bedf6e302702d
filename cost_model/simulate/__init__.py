"""Virtual time: what closed forms can't tell of queues, refusals, scaling and cold starts.

fcfs              first come, first served: what theory is checked against
policy            the container's own scheduler on instances behind a router
  kernel            the same, compiled; reference  the same, by the scheduler itself
traffic           the arrivals and documents of a workload, as arrays
scaler            target tracking, and what wakes an endpoint from nothing
autoscaled, serverless, asynchronous, transform: one way to deploy each
option            the entry: one deployment of one workload
"""
