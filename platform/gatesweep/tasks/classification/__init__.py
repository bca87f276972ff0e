"""Sequence classification: a text in, one of several labels out (sentiment)."""
