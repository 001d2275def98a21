"""``dask``: the worklist of a step in partitions, each run by a worker of a Dask cluster.

A worker runs the same handler over the same wire. This process alone writes the journal: intents
before a partition is handed out, what workers tell as it comes. It alone lets them write, a minute
at a time, so that nothing is sent for long once it is gone (``permits``).
"""
