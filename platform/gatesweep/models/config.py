"""The `model:` section: which cell, how large, how regularised. No torch here: a file is checked in an instant."""

from __future__ import annotations

from gatesweep.cells.config import Probability, RecurrentConfig


class ModelConfig(RecurrentConfig):
    """A recurrent network. Every field here can be a search dimension."""

    dropout: Probability = 0.0
    """Probability, in training, of zeroing each value between recurrent layers and between the last of them and the
    head; so it acts on a single layer too."""
