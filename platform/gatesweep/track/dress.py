"""What a run wears besides its values: tags of identity, parameters as texts, the note."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from gatesweep.track import addresses as names
from gatesweep.track.inputs import Pinned, data_md5
from gatesweep.track.lineage import Lock

if TYPE_CHECKING:
    from gatesweep.track.view import TrialView

PARAM_CHARS, KEY_CHARS = 6000, 250  # MLflow's limits
_GAP = "&emsp;"  # the UI sets a table's columns close together


def identity(lock: Lock, datasets: Sequence[Pinned]) -> dict[str, str]:
    """The tags that say which code and which data a run came from."""
    tags = {names.SOURCE: "gatesweep", names.DATA_MD5: data_md5(datasets), names.COMMIT: lock.commit or ""}
    return {key: value for key, value in tags.items() if value}


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"model": {"cell": "gru"}}` -> `{"model.cell": "gru"}`; lists and empty mappings stay values."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def param_texts(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as MLflow keeps them: words as they are, everything else as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in params.items()}


def shortened(params: Mapping[str, str]) -> list[str]:
    """The keys whose values MLflow will not take whole."""
    return [key for key, value in params.items() if len(value) > PARAM_CHARS]


def as_yaml(config: Mapping[str, Any]) -> str:
    """The configuration as a file that `gatesweep` reads back, keys in their order."""
    return yaml.dump(dict(config), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False,
                     allow_unicode=True, width=120)


def sweep_note(question: str, summary: str, objective: tuple[str, str] | None, ranked: Sequence[TrialView],
               pages: Mapping[str, str]) -> str:
    """The Markdown that the UI shows on the sweep's own run: question, the ways on, answer, the top five.

    Args:
        pages: addresses by what they show. They stand near the top: the UI folds away what is below the third line.
    """
    ways = " · ".join(f"[{shown}]({address})" for shown, address in pages.items()) if ranked else ""
    parts = ["  \n".join(filter(None, [f"**{question}**" if question else "", ways])), summary.strip()]
    if objective and ranked:
        rows = [f"| {trial.name}{_GAP} | {trial.best:.5g}{_GAP} | {_told(trial.params)} |" for trial in ranked[:5]]
        parts.append("\n".join([f"| trial | {objective[0]} | parameters |", "|---|---|---|", *rows]))
    return "\n\n".join(part for part in parts if part)


def _told(params: Mapping[str, Any]) -> str:
    """`cell gru, lr 0.01, optimizer.name sgd`: the last word of a key, where it says enough."""
    shown = {key: key.rpartition(".")[2] for key in params}
    told = [(key if last == "name" or [*shown.values()].count(last) > 1 else last, params[key])
            for key, last in shown.items()]
    return ", ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                     for key, value in told).replace("|", "\\|")
