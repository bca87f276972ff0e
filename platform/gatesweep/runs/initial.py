"""`init_from:` weights of another run, of whatever task, as this one's start.

    init_from: {run: 8f0c…, parts: [embedding, encoder], freeze: [embedding]}

The driver resolves a run to its kept checkpoint, a file that travels to workers like a user's own and is pinned by its
digest. Vocabularies are matched by word: what both know keeps its vector, a new word gets the mean of all. No torch
until weights are read.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from gatesweep.config.section import Section
from gatesweep.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gatesweep.data.fetch import Dataset
    from gatesweep.runs.experiment import ExperimentConfig
    from gatesweep.track.store import Store

VOCABULARY, PADDING = "vocabulary", "<pad>"
_APART = re.compile(r"^encoders\.(\d+)\.")
_LAYER = re.compile(r"_l(\d+)")


class InitFrom(Section):
    """Where the weights start, in place of random ones."""

    run: str | None = None
    """A run's id, a trial's id or `best:<sweep_id>`: its kept checkpoint is taken."""

    checkpoint: str | None = None
    """A committed checkpoint's folder, or the file state.ckpt in it; filled in where `run` is given."""

    parts: tuple[str, ...] = Field(("embedding", "encoder"), min_length=1)
    """Which parts of the network: embedding, encoder, pooling, head, …"""

    freeze: tuple[str, ...] = ()
    """Which parts do not train."""

    vocabulary: Literal["own", "theirs"] = "own"
    """Which words are known: those of this training's own texts, or those of the other run, which with few texts of its
    own are many more. theirs needs a task whose data section has the key `words`."""

    @model_validator(mode="after")
    def _one_source(self) -> InitFrom:
        if self.run is None and self.checkpoint is None:
            raise ValueError("one of 'run' and 'checkpoint' must say whose weights\n\nhint: `run: RUN`, an id that"
                             " gatesweep list --runs shows")  # fmt: skip
        return self


def resolved(config: ExperimentConfig, store: Store) -> ExperimentConfig:
    """The same, with the file of the run's checkpoint in `init_from.checkpoint`, and in `model.lm` where there is one.

    Raises:
        NotFound: no such run, or it kept no checkpoint, or a damaged one.
    """
    from gatesweep.runs.lookup import checkpoint_of, find
    from gatesweep.train.checkpoint import STATE, state_file

    init, lm = config.init_from, getattr(config.model, "lm", None)
    if lm is not None and not Path(lm).expanduser().exists():
        helper = _kept(state_file(checkpoint_of(find(lm, store), store)), store)
        config = config.model_copy(update={"model": config.model.model_copy(update={"lm": str(helper.resolve())})})
    if init is None:
        return config
    if init.checkpoint is None:
        folder = checkpoint_of(find(str(init.run), store), store)
        file = _kept(state_file(folder), store)
    else:
        given = Path(init.checkpoint).expanduser()
        file = state_file(given) if given.is_dir() else given
        if file.name == STATE and file.is_file() and (file.parent / "COMMIT").is_file():
            state_file(file.parent)
    config = config.model_copy(update={"init_from": init.model_copy(update={"checkpoint": str(file.resolve())})})
    return _with_words(config, file) if init.vocabulary == "theirs" else config


def restorable(config: ExperimentConfig, checkpoint: Path) -> ExperimentConfig:
    """What builds the network that a run's own checkpoint fits, without the file that the run started from."""
    init = config.init_from
    bare = config.model_copy(update={"init_from": None})
    return _with_words(bare, checkpoint / "state.ckpt") if init is not None and init.vocabulary == "theirs" else bare


def _with_words(config: ExperimentConfig, checkpoint: Path) -> ExperimentConfig:
    if "words" not in type(config.data).model_fields:
        raise ConfigError(f"the data of {config.task} take no words of another run", place="init_from.vocabulary",
                          hint="vocabulary: own")  # fmt: skip
    return config.model_copy(update={"data": config.data.model_copy(update={"words": str(checkpoint.resolve())})})


def _kept(file: Path, store: Store) -> Path:
    """The file itself where it lies in the home folder; a download is copied there: it must outlive this process."""
    from gatesweep.data.pins import md5_of

    if file.resolve().is_relative_to(store.home.resolve()):
        return file
    target = store.home / "cache" / "initial" / f"{md5_of(file)}.ckpt"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target.with_suffix(".tmp"))
        target.with_suffix(".tmp").replace(target)
    return target


def start_from(module: nn.Module, init: InitFrom, say: Callable[[str], None]) -> Dataset:
    """Put the weights in, freeze what is to be frozen, and return the file for the run's lineage.

    Raises:
        DataError: no such file.
        ConfigError: a part that either network has not, or weights of another shape.
    """
    import torch

    from gatesweep.data.fetch import user_file

    dataset = replace(user_file(str(init.checkpoint)), name="init_from")
    try:
        saved = torch.load(dataset.path, map_location="cpu", weights_only=True)
        theirs = {_canonical(name): tensor for name, tensor in saved["state_dict"].items()}
    except Exception as error:  # torch and pickle have no error of their own for a file that is something else
        raise NotFound(f"is no checkpoint of a training: {error}", place=str(init.checkpoint)) from error
    network = getattr(module, "network", module)
    ours = {_canonical(name): (name, tensor) for name, tensor in network.state_dict(keep_vars=True).items()}
    words = (saved.get(VOCABULARY), getattr(module, "words", None))
    for part in init.parts:
        say(_put_in(part, ours, theirs, words, str(init.run or init.checkpoint)))
    for part in init.freeze:
        for _, tensor in _of(part, ours, "init_from.freeze").values():
            tensor.requires_grad_(False)
    return dataset


def _canonical(name: str) -> str:
    """One name for layers in one encoder and in encoders of their own: `encoders.1.x_l0` is `encoder.x_l1`."""
    name = name.removeprefix("network.")
    apart = _APART.match(name)
    if apart is None:
        return name
    renamed = _LAYER.sub(lambda layer: f"_l{int(layer[1]) + int(apart[1])}", name[apart.end() :])
    return f"encoder.{renamed}"


def _of(part: str, ours: Mapping[str, tuple[str, Tensor]], place: str) -> dict[str, tuple[str, Tensor]]:
    found = {name: held for name, held in ours.items() if name.partition(".")[0] == part}
    if not found:
        there = dict.fromkeys(name.partition(".")[0] for name in ours)
        raise ConfigError(f"this network has no part '{part}'", place=place, hint=f"it has {', '.join(there)}")
    return found


def _put_in(
    part: str, ours: Mapping[str, tuple[str, Tensor]], theirs: Mapping[str, Tensor],
    words: tuple[Sequence[str] | None, Sequence[str] | None], place: str,
) -> str:  # fmt: skip
    """Copy one part; what was done, in a line."""
    mine, said = _of(part, ours, "init_from.parts"), []
    common = [name for name in mine if name in theirs]
    if not common:
        there = dict.fromkeys(name.partition(".")[0] for name in theirs)
        raise ConfigError(f"that run has no part '{part}' with the same names", place=place,
                          hint=f"it has {', '.join(there)}")  # fmt: skip
    for name in common:
        tensor, source = mine[name][1], theirs[name]
        if part != "encoder" and _is_by_word(tensor, source, words):
            source, known = by_word(tensor.detach(), source, words[0] or (), words[1] or ())
            said.append(f"{known:,} of {len(tensor):,} words are known there, the others start at the mean")
        if tensor.shape != source.shape:
            raise ConfigError(f"'{name}' is {list(source.shape)} there and {list(tensor.shape)} here", place=place,
                              hint="the same sizes in the model section, or fewer init_from.parts")  # fmt: skip
        tensor.data.copy_(source)
    own = [name for name in mine if name not in theirs]
    if own:
        said.append(f"{len(own)} tensors are not there and keep their own start: {', '.join(own[:4])}")
    return f"init_from: {part}: {len(common)} tensors" + "".join(f"; {each}" for each in said)


def _is_by_word(tensor: Tensor, source: Tensor, words: tuple[Sequence[str] | None, Sequence[str] | None]) -> bool:
    theirs, ours = words
    return bool(theirs is not None and ours is not None and list(theirs) != list(ours) and len(tensor.shape)
                and len(source) == len(theirs) and len(tensor) == len(ours))  # fmt: skip


def by_word(own_VD: Tensor, other_WD: Tensor, theirs: Sequence[str], ours: Sequence[str]) -> tuple[Tensor, int]:
    """Rows of the words that both know; the mean of all for new ones; padding stays as it is.

    Returns:
        The new rows, and how many words are known.
    """
    place = {word: number for number, word in enumerate(theirs)}
    from_V = [place.get(word, -1) for word in ours]
    mean_D = other_WD.mean(dim=0)
    rows: list[Any] = [other_WD[number] if number >= 0 else mean_D for number in from_V]
    if other_WD.shape[1:] != own_VD.shape[1:]:
        return other_WD, 0  # another width: refused by whoever copies
    import torch

    made_VD = torch.stack(rows)
    for number, word in enumerate(ours):
        if word == PADDING:
            made_VD[number] = own_VD[number]
    return made_VD, sum(number >= 0 for number in from_V)
