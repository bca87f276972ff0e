"""The same numbers again, or why not: runs compared, one configuration over several seeds."""
