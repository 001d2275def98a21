"""Who sends the requests of a step; plan, digest, gates and journal know nothing of it."""
