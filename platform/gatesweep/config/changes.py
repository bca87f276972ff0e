"""Values that change while a training goes on, as the difference of one configuration from the one before.

    changes:
      - {after_epoch: 4, values: {optimizer.lr: 0.012, seed: 7}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gatesweep.config.sections import flat

CHANGES = "changes"
"""The key of an experiment that lists them."""


def with_changes(parts: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, Any]:
    """One configuration that says what several say one after the other.

    Args:
        parts: `(after_epoch, the whole configuration from there on)`, the first after epoch 0.
    """
    (_, first), *later = parts
    found, before = [], flat(first)
    for after_epoch, config in later:
        now = flat(config)
        found.append({"after_epoch": after_epoch,
                      "values": {key: now[key] for key in now if now[key] != before.get(key)}})  # fmt: skip
        before = now
    return {**first, CHANGES: found} if found else dict(first)
