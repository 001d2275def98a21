"""LayoutCleanup: what goes, what stays whatever the manifest says, and what happens in between."""
