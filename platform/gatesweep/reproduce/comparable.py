"""Whether two scores are of the same examples, measured alike; and if not, why.

They are not where the task differs, the data that are scored (their pins), or a setting of `data:` that decides which
examples there are or what a metric means. A setting that is not known to leave both alone counts as one that does not:
a comparison that is refused costs less than one that is wrong. A task of the user's own names what only its training
sees in its data section:

    class MyData(Section):
        training_only: ClassVar[frozenset[str]] = frozenset({"augment"})
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gatesweep.reproduce.differences import ABSENT, CONFIG, DATA, same, told
from gatesweep.reproduce.differences import table as differing
from gatesweep.reproduce.sides import Member, Side
from gatesweep.tasks.registry import TASKS, data_section
from gatesweep.track.addresses import BASELINE

TRAINING_ONLY: dict[str, frozenset[str]] = {
    "forecasting": frozenset(("stride", "fraction", "jitter", "calendar", "harmonics", "changes", "static", "missing")),
    "language_modeling": frozenset(("bptt", "variable_bptt")),
    "music": frozenset(("transpose", "window", "fraction")),
    "sequence_classification": frozenset(("fraction", "lower", "min_count", "max_vocabulary", "words", "max_length",
                                          "eval_max_length", "cut", "batch_tokens")),
    "speech_recognition": frozenset(("fraction", "features", "augment")),
    "synthetic": frozenset(("train", "fresh")),
    "translation": frozenset(("resample", "max_length", "max_source")),
}  # fmt: skip
"""Fields of `data:` that say what a model learns from and what it sees: the examples that are scored stay the same."""

_WITNESSED = {"forecasting": frozenset(("lookback", "transform", "covariates", "known", "channels"))}
"""Fields that may decide which windows there are, by their gaps and how far back they reach: whether they did is seen
from the baseline, which knows none of them and scores the same on the same windows."""

_THE_LOSS: dict[str, frozenset[str]] = {
    "forecasting": frozenset(("data.loss", "data.scaler", "data.transform", "data.residual", "model.output")),
    "language_modeling": frozenset(("data.loss",)),
    "sequence_classification": frozenset(("data.class_weights", "data.label_smoothing")),
    "speech_recognition": frozenset(("data.units", "model.output", "model.label_smoothing")),
    "translation": frozenset(("data.units", "data.vocabulary", "data.joint", "data.fraction", "data.lower",
                              "model.label_smoothing")),
}
"""What decides what the loss (and, of words, the perplexity) is measured in, and no other metric."""

_OF_THE_LOSS = frozenset(("loss", "ppl"))


def why_not(one: Side, other: Side, metric: str) -> list[str]:
    """Why the scores of two sides cannot be held against one another; empty where they can."""
    a, b = one.first, other.first
    if a.task != b.task:
        return [f"the tasks differ: {a.task or 'none known'} and {b.task or 'none known'}"]
    return _pins(a, b) + _settings(a, b, metric)


def _pins(a: Member, b: Member) -> list[str]:
    ours, theirs = _scored_pins(a), _scored_pins(b)
    return [f"the data differ: '{name}' is {ours.get(name, 'not used')} and {theirs.get(name, 'not used')}"
            for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]


def _scored_pins(member: Member) -> dict[str, str]:
    """Weights and words that a model starts from are data too, and are not what it is scored on."""
    pins = [pin for pin in member.lock.get(DATA) or () if pin["name"] != "init_from"]
    scored = pins[:1] if member.task in TASKS and member.locked else pins
    return {pin["name"]: pin["md5"] for pin in scored}


def _settings(a: Member, b: Member, metric: str) -> list[str]:
    task = str(a.task)
    loss, witnessed = _THE_LOSS.get(task, frozenset()), _WITNESSED.get(task, frozenset())
    found = []
    for row in differing([a.lock, b.lock], [CONFIG]):
        was, now = (_default(task, row.key) if value is ABSENT else value for value in row.values)
        if same(was, now):  # an older run, of before the field was there
            continue
        field = row.key.removeprefix("data.").partition(".")[0]
        if row.key in loss and (metric.partition("/")[2] in _OF_THE_LOSS or _in_its_units(a, row.key)):
            wrong = True
        elif row.key.startswith("data.") and field in witnessed:
            wrong = not (_same_baseline(a, b, metric) or (field == "lookback" and _history(a) == _history(b)))
        elif row.key in loss:
            wrong = False
        elif row.key == "data.path":  # the same bytes elsewhere, which the pins tell
            wrong = not _scored_pins(a)
        else:
            wrong = row.key.startswith("data.") and field not in training_only(task)
        if wrong:
            found.append(f"{row.key} decides what is scored: it is {told(was)} and {told(now)}")
    return found


def _default(task: str, key: str) -> Any:
    """What a field of `data:` is where nobody sets it; ABSENT of other keys."""
    fields = data_section(task).model_fields if task in TASKS else {}
    field = fields.get(key.removeprefix("data.")) if key.startswith("data.") else None
    if field is None or field.is_required():
        return ABSENT
    value = field.get_default(call_default_factory=True)
    return list(value) if isinstance(value, tuple) else value  # as JSON has it


def _same_baseline(a: Member, b: Member, metric: str) -> bool:
    """Whether the baseline scored the same on this split; where one of them has none, nothing is known."""
    split = f"baseline/{metric.partition('/')[0]}/"
    ours, theirs = a.run.metrics, b.run.metrics
    keys = [key for key in ours if key.startswith(split) and key in theirs]
    same_one = a.run.tags.get(BASELINE) == b.run.tags.get(BASELINE)
    return same_one and bool(keys) and all(math.isclose(ours[key], theirs[key], rel_tol=1e-9) for key in keys)


def _history(member: Member) -> int | None:
    """Rows that every window of a forecast has before it: two lookbacks within them are scored on the same windows
    (ForecastingData.history)."""
    data = _data(member)
    numbers = [data.get("lookback"), *(data.get("seasonal") or ())]
    return max(numbers) if all(isinstance(number, int) for number in numbers) else None


def _in_its_units(member: Member, key: str) -> bool:
    """Standardised scores are in units of the scaler."""
    return key in ("data.scaler", "data.transform") and _data(member).get("scores") == "standardised"


def _data(member: Member) -> Mapping[str, Any]:
    section = member.config.get("data")
    return section if isinstance(section, Mapping) else {}


def training_only(task: str) -> frozenset[str]:
    """Fields of a task's `data:` that leave what is scored alone; of one that cannot be imported here, none."""
    if task in TASKS:
        return TRAINING_ONLY[task]
    try:
        return frozenset(getattr(data_section(task), "training_only", ()))
    except Exception:  # a user's module may raise anything when it is imported
        return frozenset()
