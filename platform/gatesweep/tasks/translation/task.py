"""Translation as a task: parallel text, symbols, the module, the baselines, the pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch.utils.data import DataLoader

from gatesweep.errors import ConfigError, DataError
from gatesweep.tasks.base import Baseline
from gatesweep.tasks.translation import baselines, figures
from gatesweep.tasks.translation.config import TranslationData, TranslationModel
from gatesweep.tasks.translation.loaders import EVAL_BATCH, PairBatch, PairsModule, in_order
from gatesweep.tasks.translation.metrics import signatures
from gatesweep.tasks.translation.module import TranslationModule, build_network
from gatesweep.tasks.translation.prepare import Encoded, Prepared, encode, kept, prepare
from gatesweep.tasks.translation.source import joined, open_data, read, read_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gatesweep.data.fetch import Dataset

METRICS = ("loss", "ppl", "bleu", "bleu_lc", "chrf", "beam_bleu", "beam_bleu_lc", "beam_chrf")


class Translation:
    """See `gatesweep.tasks.base.Task`."""

    data_section = TranslationData
    model_section = TranslationModel
    metrics = METRICS

    def __init__(self, data: TranslationData, model: TranslationModel, *, batch_size: int, seed: int,
                 say: Callable[[str], None]) -> None:
        if model.tie == "all" and not data.joint:
            raise ConfigError("model.tie: all needs one vocabulary for both sides", hint="set data.joint to true")
        dataset = open_data(data, say)
        self.data, self.model = data, model
        self.datasets: list[Dataset] = [dataset]

        def load() -> Prepared:
            pairs, notes = read(dataset, data)
            return prepare(pairs, data, place=dataset.name, notes=tuple(notes))

        self.prepared = kept(data, dataset.md5, load)
        self.splits = tuple(self.prepared.splits)
        self.data_module = PairsModule(self.prepared, batch_size=batch_size, seed=seed)
        self.seed = seed
        self.module = self.module_of(model)

    def module_of(self, model: TranslationModel) -> TranslationModule:
        """Another model over the same pairs."""
        symbols = self.prepared.of_source, self.prepared.of_target
        return TranslationModule(build_network(model, *symbols, self.seed), self.data, model, *symbols)

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        """The better of the most frequent target and the source itself, beside the nearest training pair's target."""
        own, asked = self.prepared.splits["train"], self._encoded(split, path)
        return baselines.baseline(own, asked, self.data.languages[1])

    def loader(self, split: str, path: Path | None = None) -> DataLoader[PairBatch]:
        """Every pair of `train`, `val`, `test` or `all`, from the longest source to the shortest.

        Args:
            path: another folder of parallel files; its lines become the symbols that the module was trained with.
        """
        return in_order(self._encoded(split, path), max(self.data_module.batch_size, EVAL_BATCH))

    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        """One row for each pair: source, reference, what greedy search writes, what beam search writes."""
        encoded = self._encoded(split, path)
        ways = {how: self.module.subwords[1].decode(self._written(encoded, beam=how == "beam"))
                for how in ("greedy", "beam")}  # fmt: skip
        return pd.DataFrame({"source": encoded.sources, "reference": encoded.references, **ways})

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        """`length`: BLEU over the source's length, beside the nearest training pair's target; `attention`: where the
        decoder looked while it wrote some sentences."""
        encoded, language = self._encoded(split, path), self.data.languages[1]
        lengths = [len(ids) for ids in encoded.source]
        how = "beam" if self.model.beam_size > 1 else "greedy"
        found = self._written(encoded, beam=how == "beam")
        written = {how: self.module.subwords[1].decode(found),
                   "nearest source": baselines.nearest(self.prepared.splits["train"], encoded.sources)}  # fmt: skip
        title = f"{self.datasets[0].name}, {' to '.join(self.data.languages)}, {split}"
        drawn = {"length": figures.bleu_by_length(written, encoded.references, lengths, language=language, title=title)}
        if self.model.attention != "none":
            shown = some_sentences(lengths, found)
            looks = [self.module.look(encoded.source[i], found[i]) for i in shown]
            if looks:  # a model that has learnt nothing writes nothing
                drawn["attention"] = figures.attention_maps(looks, title=title)
        return drawn

    def describe(self) -> list[str]:
        """What was read and left out, the symbols, and how scores are computed."""
        lines = list(self.prepared.notes)
        for name, part in self.prepared.splits.items():
            symbols = sum(map(len, part.target))
            lines += [*part.notes, f"{name}: {len(part):,} pairs, {symbols:,} target symbols"]
        source, target = self.prepared.of_source, self.prepared.of_target
        lines.append(f"symbols: {self.data.units}, {len(source):,} of {self.data.languages[0]},"
                     f" {len(target):,} of {self.data.languages[1]}{', one vocabulary' if self.data.joint else ''}")
        said = signatures(["a"], ["a"], self.data.languages[1])
        return [*lines, *(f"{name}: sacrebleu {signature}" for name, signature in said.items())]

    @torch.no_grad()
    def _written(self, encoded: Encoded, *, beam: bool) -> list[list[int]]:
        """Symbols of the translation of every pair's source, in the pairs' order."""
        module, written = self.module, dict[int, list[int]]()
        was_training = module.training
        module.eval()
        for batch in in_order(encoded, EVAL_BATCH):
            moved = PairBatch(*(tensor.to(module.device) for tensor in batch))
            found = module.translate(moved, beam=beam)
            written |= {int(i): each.ids for i, each in zip(batch.index_B, found, strict=True)}
        module.train(was_training)
        return [written[i] for i in range(len(encoded))]

    def _encoded(self, split: str, path: Path | None) -> Encoded:
        """The training's own data, or another folder's, in the module's symbols."""
        if path is None and split in self.splits:
            return self.prepared.splits[split]
        if path is None:
            place, parts = self.datasets[0].path, {name: part.pairs for name, part in self.prepared.splits.items()}
        else:
            place, parts = Path(path), dict(read_folder(Path(path), self.data))
        if split != "all" and split not in parts:
            raise DataError(f"no files of '{split}'", place=str(place), hint=f"there are: {', '.join(parts)}")
        pairs = joined(list(parts.values())) if split == "all" else parts[split]
        return encode(pairs, self.data, *self.module.subwords, training=False, split=split)


def some_sentences(lengths: list[int], found: list[list[int]], count: int = 4, longest: int = 24) -> list[int]:
    """Sentences to look at: short enough to be read, spread over the lengths, with something written."""
    fit = [i for i, ids in enumerate(found) if 0 < len(ids) <= longest and lengths[i] <= longest]
    by_length = sorted(fit or [i for i, ids in enumerate(found) if ids], key=lambda i: lengths[i])
    count = min(count, len(by_length))
    return [by_length[(2 * place + 1) * len(by_length) // (2 * count)] for place in range(count)]
