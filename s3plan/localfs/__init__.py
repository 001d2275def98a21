"""The local side: a tree confined to its root, sync points, append-only logs, locks."""
