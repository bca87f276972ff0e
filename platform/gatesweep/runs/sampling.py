"""Text or music from a run: its best checkpoint goes on where a prompt ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatesweep.config.places import check_target
from gatesweep.errors import ConfigError
from gatesweep.runs.evaluation import restore
from gatesweep.track.store import Store


@dataclass(frozen=True)
class Sample:
    """What `gatesweep sample --json` prints."""

    run_id: str
    prompt: str
    text: str
    """What the model wrote; it goes on where the prompt ends."""
    tokens: int
    temperature: float
    top_p: float
    seed: int
    unknown: list[str]
    """Words of the prompt that the model does not know, and has read as `<unk>`."""
    file: str | None = None
    """Where it was written, the prompt in front."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def sample(
    name: str, store: Store, *, prompt: str = "", tokens: int = 50, temperature: float = 1.0, top_p: float = 1.0,
    seed: int = 0, out: Path | None = None, say: Callable[[str], None] = lambda line: None,
) -> Sample:  # fmt: skip
    """Write on from `prompt`; the same arguments give the same text.

    Args:
        temperature: below 1 likelier words come more often; 0 takes the likeliest.
        top_p: share of the probability that words are drawn from, the likeliest first.
        out: a file to write it to: by the task's own `save_sample` where it has one (MIDI), else as text.

    Raises:
        ConfigError: a number out of range, or a run whose task writes no text.
        NotFound: no such run, or it kept no checkpoint.
    """
    check(tokens, temperature, top_p, seed, out)
    run_id, task = restore(name, store, say)
    writer = getattr(task, "sample", None)
    if writer is None:
        raise ConfigError(f"run {run_id} writes nothing: its task has no `sample`", place="RUN",
                          hint="take a run of task: language_modeling or music")  # fmt: skip
    text, unknown = writer(prompt, tokens, temperature=temperature, top_p=top_p, seed=seed)
    if out is not None:
        getattr(task, "save_sample", _save_text)(prompt + text, out)
    return Sample(run_id, prompt, text, tokens, temperature, top_p, seed, unknown, str(out) if out else None)


def check(tokens: int, temperature: float, top_p: float, seed: int, out: Path | None = None) -> None:
    """Refuse numbers out of range, and a place where no file can be written, before anything is loaded.

    Raises:
        ConfigError: which one, and what it may be.
        UserError: `out` is a folder, or in one that is not there.
    """
    if out is not None:
        check_target(out)
    allowed = {"--tokens": (tokens, 1 <= tokens <= 1_000_000, "from 1 to 1000000"),
               "--temperature": (temperature, 0 <= temperature < float("inf"), "0 or more"),
               "--top-p": (top_p, 0 < top_p <= 1, "above 0, at most 1"),
               "--seed": (seed, 0 <= seed < 2**63, "0 or more, below 2^63")}  # fmt: skip
    for place, (value, fits, told) in allowed.items():
        if not fits:
            raise ConfigError(f"{value} is out of range", place=place, hint=told)


def _save_text(text: str, out: Path) -> None:
    out.write_text(text + "\n", encoding="utf-8")
