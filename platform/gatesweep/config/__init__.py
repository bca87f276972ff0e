"""The strict loader, `Section`, search dimensions, digests and places. Knows no torch."""
