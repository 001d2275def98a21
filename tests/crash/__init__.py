"""Kills and power cuts: whatever dies, and whenever, the same command ends as if nothing had."""
