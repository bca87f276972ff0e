"""The same numbers again, or why not."""
