"""Polyphonic music as a task: the pieces, the module, the baselines, the pictures, music of the model's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from gatesweep.data.music.rolls import LOWEST, Piece, Roll
from gatesweep.errors import ConfigError, DataError
from gatesweep.tasks.base import Baseline
from gatesweep.tasks.music import baselines, figures, sampling
from gatesweep.tasks.music.config import EMBEDDED, MusicData, MusicModel
from gatesweep.tasks.music.loaders import EVAL_BATCH, MusicBatch, MusicModule, in_order
from gatesweep.tasks.music.metrics import Floats
from gatesweep.tasks.music.module import NotesModule, build_network
from gatesweep.tasks.music.prepare import Prepared, kept, open_data, prepare, read_other

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gatesweep.data.fetch import Dataset

QUARTERS = {"quarter": 1.0, "eighth": 0.5, "sixteenth": 0.25}


class Music:
    """See `gatesweep.tasks.base.Task`."""

    data_section = MusicData
    model_section = MusicModel
    metrics = ("loss", "piece_loss", "accuracy")

    def __init__(self, data: MusicData, model: MusicModel, *, batch_size: int, seed: int,
                 say: Callable[[str], None]) -> None:  # fmt: skip
        dataset = open_data(data, say)
        self.data = data
        self.datasets: list[Dataset] = [dataset]
        self.prepared: Prepared = kept(data, dataset.md5, lambda: prepare(dataset, data))
        self.splits = tuple(self.prepared.splits)
        self.data_module = MusicModule(dict(self.prepared.splits), batch_size=batch_size, seed=seed,
                                       transpose=data.transpose, window=data.window)  # fmt: skip
        self.seed, self.often_K = seed, baselines.Notes.fit(self.prepared.splits["train"]).p_K
        self.module = self.module_of(model)

    def module_of(self, model: MusicModel) -> NotesModule:
        """Another model over the same pieces."""
        return NotesModule(build_network(model, torch.from_numpy(self.often_K), self.seed), self.data)

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        """Each note by itself, given whether it sounded before; beside the notes' frequencies."""
        return baselines.baseline(self.prepared.splits["train"], self._pieces(split, path), skip=self.module.skip)

    def loader(self, split: str, path: Path | None = None) -> DataLoader[MusicBatch]:
        """Every piece of `train`, `val`, `test` or `all` in its key.

        Args:
            path: another file or folder of music, thinned as the training data was.
        """
        return in_order(self._pieces(split, path), max(self.data_module.batch_size, EVAL_BATCH))

    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        """One row for each scored frame.

        Returns:
            Columns piece, frame (from 1), notes and said (MIDI numbers, those that sound and those that the model says
            will), loss (nats), baseline (its loss).
        """
        notes, rows = baselines.Notes.fit(self.prepared.splits["train"]), []
        for piece, nll_T, _, said_TK in self._judged(self._pieces(split, path)):
            beside_T = baselines.nll(notes.chances(piece.roll_TK)[baselines.BY_ITSELF], piece.roll_TK)
            for step in range(self.module.skip, len(piece)):
                rows.append((piece.name, step + 1, _told(piece.roll_TK[step]), _told(said_TK[step]), nll_T[step],
                             beside_T[step]))  # fmt: skip
        return pd.DataFrame(rows, columns=["piece", "frame", "notes", "said", "loss", "baseline"])

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        """`piano_roll`: a piece and what the model expected of it; `loss_by_frame`, beside the baseline."""
        pieces, title = self._pieces(split, path), f"{self.datasets[0].name}, {split}"
        middle = sorted(pieces, key=len)[len(pieces) // 2]
        _, _, chance_TK, _ = next(self._judged([middle]))
        return {"piano_roll": figures.piano_roll(middle.roll_TK, chance_TK, title=f"{title}: {middle.name}"),
                "loss_by_frame": figures.loss_by_frame(self.predictions(split, path), title=title,
                                                       baseline=baselines.BY_ITSELF)}  # fmt: skip

    def sample(self, prompt: str, tokens: int, *, temperature: float = 1.0, top_p: float = 1.0,
               seed: int = 0) -> tuple[str, list[str]]:  # fmt: skip
        """Frames that go on where those of `prompt` end, e.g. "60 64 67, 62 65"; nothing of it is unknown.

        Raises:
            ConfigError: a prompt that is no frames of MIDI numbers.
        """
        given = sampling.frames_of(prompt)
        made = sampling.write(self.module.network, given, tokens, temperature=temperature, top_p=top_p, seed=seed)
        return (", " if given else "") + sampling.text_of(list(made)), []

    def save_sample(self, text: str, path: Path) -> None:
        """Write frames as `sample` gives them, prompt and all, into a MIDI file; its grid is the training data's, where
        that is known, else quarters.

        Raises:
            ConfigError: a name that does not end as MIDI files do.
        """
        from gatesweep.data.music.midi import write_midi

        if path.suffix.lower() not in (".mid", ".midi"):
            raise ConfigError(f"'{path.name}' is no name of a MIDI file", place="--out", hint="for example music.mid")
        quarters = QUARTERS[self.data.grid] if self.data.name == EMBEDDED else 1.0
        write_midi(path, sampling.frames_of(text), quarters=quarters)

    def describe(self) -> list[str]:
        """What was read and left out, and how it is shared out."""
        lines = list(self.prepared.notes)
        for split, pieces in self.prepared.splits.items():
            lines.append(f"{split}: {len(pieces):,} pieces, {sum(map(len, pieces)):,} frames")
        if len(self.data_module.training) > len(self.prepared.splits["train"]):
            lines.append(f"train: cut into {len(self.data_module.training):,} parts of at most {self.data.window}")
        if self.data.transpose:
            lines.append(f"train: moved by up to {self.data.transpose} semitones, anew in every epoch")
        return [*lines, f"scores: {'with' if self.data.first_frame else 'without'} each piece's first frame"]

    def account(self, path: Path) -> list[str]:
        """How much of another file is read."""
        pieces, every = self._pieces("all", path), self.data.every
        thinned = f": one of every {every} of the file's, as in training" if every > 1 else ""
        return [f"{path}: {len(pieces):,} pieces, {sum(map(len, pieces)):,} frames{thinned}"]

    @torch.no_grad()
    def _judged(self, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Floats, Floats, Roll]]:
        """Each piece in turn with its frames' NLL, the chances of the notes, and those that are said to sound."""
        module, found = self.module, {}
        was_training = module.training
        module.eval()
        for batch in in_order(pieces, EVAL_BATCH):
            moved = MusicBatch(*(tensor.to(module.device) for tensor in batch))
            nll_BT, chance_BTK, said_BTK = (each.cpu().numpy() for each in module.judge(moved))
            for row, index in enumerate(batch.index_B.tolist()):
                length = len(pieces[index])
                found[index] = nll_BT[row, :length], chance_BTK[row, :length], said_BTK[row, :length]
        module.train(was_training)
        return iter([(piece, *found[index]) for index, piece in enumerate(pieces)])

    def _pieces(self, split: str, path: Path | None) -> tuple[Piece, ...]:
        """The training's own, or another path's; one without splits is of whatever split is asked for."""
        parts = self.prepared.splits if path is None else read_other(path, self.data)
        if split == "all" or set(parts) == {"all"}:
            return tuple(piece for pieces in parts.values() for piece in pieces)
        if split not in parts:
            raise DataError(f"there are no pieces of '{split}'", place=str(path or self.datasets[0].path),
                            hint=f"there are: {', '.join(parts)}")  # fmt: skip
        return parts[split]


def _told(row_K: Roll) -> str:
    return " ".join(str(note) for note in np.flatnonzero(row_K) + LOWEST)
