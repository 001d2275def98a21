"""Plans for worklists: how they are read, what kinds make of them, snapshots of runs of them."""
