"""Sequence classification as a task: labelled texts, the module, the baselines, the pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import DataLoader

from gatesweep.data.fetch import Dataset, user_data, user_file
from gatesweep.tasks.base import Baseline
from gatesweep.tasks.classification import baselines, figures
from gatesweep.tasks.classification.baselines import BIGRAMS, MAJORITY
from gatesweep.tasks.classification.config import ClassificationData, ClassificationModel
from gatesweep.tasks.classification.embedding import bag_of, build_network, features_of, source_of
from gatesweep.tasks.classification.loaders import EVAL_BATCH, TextBatch, TextsModule, loader_of
from gatesweep.tasks.classification.metrics import NAMES, Floats, metrics_of
from gatesweep.tasks.classification.module import ClassificationModule
from gatesweep.tasks.classification.prepare import Prepared, kept, like, lines, prepare
from gatesweep.tasks.classification.reading import Words
from gatesweep.tasks.classification.source import dataset_of, read
from gatesweep.tasks.classification.splitting import SPLITS


class SequenceClassification:
    """See `gatesweep.tasks.base.Task`."""

    data_section = ClassificationData
    model_section = ClassificationModel
    metrics = NAMES

    def __init__(
        self, data: ClassificationData, model: ClassificationModel, *, batch_size: int, seed: int,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        dataset = dataset_of(data, say)
        source = source_of(model, say)
        self.data, self._say, self.seed = data, say, seed
        self._model, self._source = model, source
        words = replace(user_file(data.words), name="words") if data.words and not source.pieces else None
        self.datasets: list[Dataset] = [each for each in (dataset, source.dataset, words) if each is not None]
        reading = source.dataset if source.pieces else words
        reader = Words.of_file(words.path, lower=data.lower) if words else source.pieces
        self.prepared = kept(data, f"{dataset.md5} {reading.md5 if reading else ''}", lambda: prepare(
            read(dataset, data), data, place=dataset.name, reader=reader))  # fmt: skip
        self.features = features_of(model, source, say)
        self.data_module = TextsModule(self.prepared, batch_size=batch_size, seed=seed, features=self.features)
        self.module = self.module_of(model)
        self._said = list(source.said)

    def module_of(self, model: ClassificationModel) -> ClassificationModule:
        """Another model over the same texts; with other embeddings these are read anew."""
        if model.embeddings != self._model.embeddings:
            return SequenceClassification(self.data, model, batch_size=1, seed=self.seed, say=self._say).module
        network = build_network(model, self.prepared, self._source, self.seed)
        return ClassificationModule(network, _weights(self.prepared), self.prepared.reader.vocabulary.words,
                                    label_smoothing=self.data.label_smoothing, bag=bag_of(self.prepared, model),
                                    bag_weight=model.bag)  # fmt: skip

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        """The linear one, beside the most frequent label."""
        side, train, labels = self._prepared(path).side(split), self.prepared.sides["train"], self.prepared.labels
        found = {BIGRAMS: metrics_of(self._linear(split, path), side.label_N),
                 MAJORITY: baselines.majority(train.label_N, side.label_N, len(labels))}  # fmt: skip
        return Baseline(name=BIGRAMS, metrics=found[BIGRAMS], candidates=found)

    def loader(self, split: str, path: Path | None = None) -> DataLoader[TextBatch]:
        """Every text of `train`, `val`, `test` or `all`, the longest first.

        Args:
            path: a CSV or folder that the training never saw; where it says no split it counts whole in each.
        """
        return loader_of(self._prepared(path), split, max(self.data_module.batch_size, EVAL_BATCH),
                         features=self.features)  # fmt: skip

    @torch.no_grad()
    def probabilities(self, split: str, path: Path | None = None) -> Floats:
        """`p_NK` of every text, in the data's order."""
        module = self.module
        found: dict[int, Floats] = {}
        was_training = module.training
        module.eval()
        for batch in self.loader(split, path):
            moved = TextBatch(*(each.to(module.device) if isinstance(each, Tensor) else each for each in batch))
            p_BK = module(moved).double().softmax(dim=1).cpu().numpy()
            found.update(zip(batch.index_B.tolist(), p_BK, strict=True))
        module.train(was_training)
        return np.stack([found[place] for place in range(len(found))])

    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        """Columns text, truth, said, and the probability of each label: `p_…`."""
        side, labels, p_NK = self._prepared(path).side(split), np.array(self.prepared.labels), None
        p_NK = self.probabilities(split, path)
        table = {"text": list(side.texts), "truth": labels[side.label_N], "said": labels[p_NK.argmax(axis=1)]}
        return pd.DataFrame(table | {f"p_{label}": p_NK[:, place] for place, label in enumerate(labels)})

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        """`confusion`, `calibration` and `roc`."""
        side, labels = self._prepared(path).side(split), self.prepared.labels
        p_NK, beside_NK, y_N = self.probabilities(split, path), self._linear(split, path), side.label_N
        title = f"{self._prepared(path).place}, {split}: {len(side):,} texts"
        return {"confusion": figures.confusion_matrix(p_NK, y_N, labels, title=title),
                "calibration": figures.calibration(p_NK, beside_NK, y_N, title=title, baseline="bigrams"),
                "roc": figures.roc(p_NK, beside_NK, y_N, labels, title=title, baseline="bigrams")}  # fmt: skip

    def describe(self) -> list[str]:
        """What was left out, the texts of each split, the vocabulary, the embeddings."""
        return [*lines(self.prepared), *self._said]

    def _linear(self, split: str, path: Path | None) -> Floats:
        """What the linear baseline says."""
        return self.prepared.bigrams.probabilities(self._prepared(path).side(split).rows)

    def _prepared(self, path: Path | None) -> Prepared:
        """The training's own texts, or others, read alike."""
        if path is None:
            return self.prepared
        dataset = user_data(path)
        key = f"{dataset.md5} {self.prepared.reader.vocabulary.digest} {self.prepared.labels}"
        return kept(self.data, key, lambda: self._like(dataset))

    def _like(self, dataset: Dataset) -> Prepared:
        made = like(read(dataset, self.data), self.prepared, place=str(dataset.path))
        seen = set(self.prepared.sides["train"].texts)
        whole = len({id(side) for side in made.sides.values()}) == 1
        for split in ("all",) if whole else SPLITS:
            side = made.sides["test" if whole else split]
            copies = sum(text in seen for text in side.texts)
            if copies:
                part = "" if whole else f", {split},"
                self._say(f"note: {copies:,} of {len(side):,} texts of {dataset.path}{part} are among those that the"
                          " model was trained on")  # fmt: skip
        return made


def _weights(prepared: Prepared) -> Tensor:
    """Of each label in the training loss; the loss divides by their sum over a batch."""
    count_K = np.bincount(prepared.sides["train"].label_N, minlength=len(prepared.labels))
    if prepared.data.class_weights == "none":
        return torch.ones(len(count_K))
    return torch.tensor(count_K.sum() / (len(count_K) * count_K), dtype=torch.float32)
