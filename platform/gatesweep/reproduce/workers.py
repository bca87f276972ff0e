"""How many workers trained a trial whose sweep had left that open: the order of its sums, and so its last bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gatesweep.reproduce.recorded import Recorded
from gatesweep.track.addresses import WORKERS


def with_workers(recorded: Recorded, say: Callable[[str], None]) -> dict[str, Any]:
    """The configuration, with the number of workers that the trial was given; the last one, where it had several."""
    config, numbers = dict(recorded.told["config"]), recorded.run.tags.get(WORKERS, "").split(", ")
    if numbers == [""]:
        return config
    if len(numbers) > 1:
        say(f"it was trained by {', then '.join(numbers)} workers, whose sums are ordered otherwise: by {numbers[-1]}"
            " alone not every bit comes again")  # fmt: skip
    return config | {"trainer": config["trainer"] | {"workers": int(numbers[-1])}}
