"""Objects moved to another layout: forms built beside them, and put in their place."""
