"""Worklists handed over to other programs, and what they did looked at and written down."""
