"""Language modelling as a task: the text, its windows, the module, the baselines, the pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch.utils.data import DataLoader

from gatesweep.data.fetch import Dataset
from gatesweep.errors import DataError
from gatesweep.tasks.base import Baseline
from gatesweep.tasks.language_modeling import baselines, figures, source
from gatesweep.tasks.language_modeling.config import LanguageData, LanguageModel
from gatesweep.tasks.language_modeling.corpus import (
    Corpus,
    Ids,
    build,
    characters_V,
    kept,
    number,
    text_of,
    tokens_of,
)
from gatesweep.tasks.language_modeling.module import LanguageModule, build_network
from gatesweep.tasks.language_modeling.sampling import write
from gatesweep.tasks.language_modeling.streams import IGNORED, StreamsModule, Window
from gatesweep.tasks.language_modeling.telling import describe, told

SPLITS = ("train", "val", "test")


class LanguageModeling:
    """See `gatesweep.tasks.base.Task`."""

    data_section = LanguageData
    model_section = LanguageModel
    metrics = ("loss", "ppl", "bpc")

    def __init__(self, data: LanguageData, model: LanguageModel, *, batch_size: int, seed: int,
                 say: Callable[[str], None]) -> None:  # fmt: skip
        dataset = source.dataset_of(data, say)
        self.data, self.say = data, say
        self._told: set[tuple[Path, str]] = set()
        self.datasets: list[Dataset] = [dataset]
        self.corpus = kept(data, dataset.md5, lambda: self._built(dataset))
        self.splits = tuple(split for split in SPLITS if split in self.corpus.parts)
        self.data_module = StreamsModule(
            {split: part.ids_N for split, part in self.corpus.parts.items()}, self.corpus.eos, batch_size=batch_size,
            eval_streams=data.eval_streams, bptt=data.bptt, varied=data.variable_bptt, seed=seed,
        )  # fmt: skip
        self.data_module.train_dataloader()  # too little text for so many streams is refused before any epoch
        self.seed, self.characters_V = seed, characters_V(self.corpus.vocabulary, data)
        self.module = self.module_of(model)

    def module_of(self, model: LanguageModel) -> LanguageModule:
        """Another model over the same text."""
        vocabulary = self.corpus.vocabulary
        return LanguageModule(build_network(model, len(vocabulary), self.seed), self.data, model,
                              torch.from_numpy(self.characters_V), vocabulary.words)  # fmt: skip

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        """The unigram, beside a bigram."""
        return baselines.baseline(self.corpus.parts["train"].ids_N, self._ids(split, path), self.characters_V,
                                  self.corpus.eos)  # fmt: skip

    def loader(self, split: str, path: Path | None = None) -> DataLoader[Window]:
        """Every token of a split once, in streams.

        Args:
            path: another folder of text; words that the training text lacks are `<unk>`.
        """
        return self.data_module.in_order(self._ids(split, path))

    @torch.no_grad()
    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        """One row for each token.

        Returns:
            Columns line and position (from 1), id, token, loss (nats), unigram (the baseline's loss).
        """
        module = self.module
        was_training = module.training
        module.eval()
        state, losses, targets = None, [], []
        for batch in self.loader(split, path):
            read = module(batch.ids_ST.to(module.device), state)
            state, target_ST = read.state, batch.targets_ST
            loss_N = module.network.loss(read.outputs_BTO, target_ST.to(module.device), "none")
            losses.append(loss_N.view(target_ST.shape).cpu())
            targets.append(target_ST)
        module.train(was_training)
        target_N, loss_N = torch.cat(targets, dim=1).flatten(), torch.cat(losses, dim=1).flatten()
        counted_N = target_N != IGNORED
        return self._table(target_N[counted_N].numpy(), loss_N[counted_N].numpy())

    def _table(self, id_N: Ids, loss_N: np.ndarray) -> pd.DataFrame:
        ended_N = np.concatenate([[0], (id_N[:-1] == self.corpus.eos).cumsum()])
        index_N = np.arange(len(id_N))
        start_N = np.maximum.accumulate(np.where(np.diff(ended_N, prepend=-1) > 0, index_N, 0))
        chance_V = baselines.unigram_V(self.corpus.parts["train"].ids_N, len(self.corpus.vocabulary))
        return pd.DataFrame({"line": ended_N + 1, "position": index_N - start_N + 1, "id": id_N,
                             "token": self.corpus.vocabulary.decode(id_N.tolist()), "loss": loss_N,
                             "unigram": -np.log(chance_V)[id_N]})  # fmt: skip

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        """`loss_by_frequency` and `loss_by_position`, beside the unigram's."""
        table, title = self.predictions(split, path), f"{self.datasets[0].name}, {split}"
        return {"loss_by_frequency": figures.by_frequency(table, self.corpus.counts_V, title=title),
                "loss_by_position": figures.by_position(table, title=title)}  # fmt: skip

    def sample(self, prompt: str, tokens: int, *, temperature: float = 1.0, top_p: float = 1.0,
               seed: int = 0) -> tuple[str, list[str]]:  # fmt: skip
        """What the model writes on the end of `prompt`, never `<unk>`; and the prompt's words that it does not know.

        Raises:
            DataError: a character that the training text lacks, where nothing stands for unknown ones.
        """
        vocabulary, given = self.corpus.vocabulary, tokens_of(prompt, self.data)
        ids = [self.corpus.eos, *vocabulary.encode(given).tolist()]
        never = [] if vocabulary.unknown is None else [vocabulary.unknown]
        made = write(self.module.network, ids, tokens, temperature=temperature, top_p=top_p, seed=seed, never=never)
        between = " " if given and not self.data.characters else ""
        return between + text_of(vocabulary.decode(made), self.data), [word for word in given if word not in vocabulary]

    def describe(self) -> list[str]:
        """What was read, what became `<unk>`, how it is laid out."""
        return describe(self.corpus, self.data, self.data_module)

    def _ids(self, split: str, path: Path | None) -> Ids:
        if path is None:
            parts = {name: part.ids_N for name, part in self.corpus.parts.items()}
        else:
            parts = self._other(path, split)
        if split == "all":
            return np.concatenate(list(parts.values()))
        if split not in parts:
            raise DataError(f"there is no {split} text", place=str(path or self.datasets[0].path),
                            hint=f"there is {', '.join(parts)}")  # fmt: skip
        return parts[split]

    def _built(self, dataset: Dataset) -> Corpus:
        text = source.read(dataset, self.data)
        return build(text.lines, self.data, text.said)

    def _other(self, path: Path, split: str) -> dict[str, Ids]:
        """Of another folder; one without splits is of whatever split is asked for. Its `<unk>` are said once."""
        lines = source.read_other(path).lines
        if split not in ("all", *lines) and "all" in lines:
            lines = {split: lines["all"]}
        found = {}
        for name, part in lines.items():
            if split in ("all", name):
                made = number([tokens_of(line, self.data) for line in part], self.corpus.vocabulary, self.data,
                              place=f"{path}: {name}")  # fmt: skip
                found[name] = made.ids_N
                if (path, name) not in self._told:
                    self._told.add((path, name))
                    self.say(told(name, made))
        return found
