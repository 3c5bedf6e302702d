"""Virtual time: what closed forms can't tell of queues, refusals, scaling and cold starts.

option            the entry: one way to deploy a machine, under one workload
  realtime, autoscaled, serverless, asynchronous, transform: the ways
  scaler            target tracking, and what wakes an endpoint from nothing
machine           a candidate as it serves: its policy, the law of its batches, what is around them
load, traffic     the week of a workload, sampled; its requests as arrays
policy            the container's own scheduler on instances behind a router
  kernel            the same, compiled; reference: by the scheduler itself
fcfs              first come, first served: what theory is checked against
simulated         figures with their intervals
"""
