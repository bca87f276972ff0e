"""Speech recognition as a task: recordings, features, the module, the baselines, the pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch.utils.data import DataLoader

from gatesweep.data.audio.vowels import read_vowels
from gatesweep.data.fetch import user_file, user_folder
from gatesweep.tasks.base import Baseline
from gatesweep.tasks.speech import baselines, figures
from gatesweep.tasks.speech.config import SpeechData, SpeechModel
from gatesweep.tasks.speech.features import Features
from gatesweep.tasks.speech.fusion import Language
from gatesweep.tasks.speech.loaders import EVAL_BATCH, SpeechBatch, SpeechDataModule, Utterances, in_order
from gatesweep.tasks.speech.module import SpeechModule, build_network
from gatesweep.tasks.speech.prepare import Corpus, kept, prepare, prepare_frames
from gatesweep.tasks.speech.source import label, open_data, read, read_other
from gatesweep.tasks.speech.strings import Utterance
from gatesweep.tasks.speech.targets import Targets, check

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gatesweep.data.fetch import Dataset

MEASURES = ("accuracy", "wer", "cer", "per")
METRICS = ("loss", *MEASURES, *(f"beam_{name}" for name in MEASURES))
NOISES_DB: tuple[float | None, ...] = (None, 30.0, 20.0, 10.0, 5.0, 0.0)
FEW = 200
"""Utterances that the curve under noise is made of at most."""


class SpeechRecognition:
    """See `gatesweep.tasks.base.Task`."""

    data_section = SpeechData
    model_section = SpeechModel
    metrics = METRICS

    def __init__(self, data: SpeechData, model: SpeechModel, *, batch_size: int, seed: int,
                 say: Callable[[str], None]) -> None:
        check(data, model)
        dataset = open_data(data, say)
        self.data, self.model, self._say = data, model, say
        self.datasets: list[Dataset] = [dataset]
        self.corpus = kept(data, dataset.md5, lambda: _prepared(dataset, data))
        self.splits = tuple(name for name in ("train", "val", "test") if self.corpus.index.get(name))
        self.targets = self._targets(model)
        self.data_module = SpeechDataModule(self.corpus, self.targets, batch_size=batch_size, seed=seed)
        self.seed, self.language = seed, self._language()
        self.module = self.module_of(model)

    def module_of(self, model: SpeechModel) -> SpeechModule:
        """Another model over the same recordings."""
        check(self.data, model)
        targets = self.targets if model.output == self.model.output else self._targets(model)
        network = build_network(model, features=self.corpus.size, answers=len(targets.symbols), seed=self.seed)
        return SpeechModule(network, self.data, model, targets, self.corpus.scaling, self.language)

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        """The best of the trivial answers and, where a label is asked for, the nearest mean."""
        train, asked = self._utterances("train"), self._utterances(split, path)
        known, references = train.references, asked.references
        written = {baselines.TRIVIAL[0]: [baselines.most_frequent(known)] * len(references)}
        if self.targets.is_text:
            written[baselines.TRIVIAL[1]] = [baselines.commonest_word(known)] * len(references)
        else:
            written["nearest mean"] = baselines.nearest_mean(_features(train), known, _features(asked))
        return baselines.baseline(written, references, self.module.scores, text=self.targets.is_text)

    def loader(self, split: str, path: Path | None = None) -> DataLoader[SpeechBatch]:
        """Every utterance of `train`, `val`, `test` or `all`, from the longest to the shortest.

        Args:
            path: a folder that the training never saw; where it says no split it counts whole in each.
        """
        return self._loader(split, path)

    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        """One row for each utterance: its files, the truth, what greedy search writes, what beam search writes."""
        utterances, corpus = self._utterances(split, path), self._corpus(path)
        files = [" ".join(corpus.rows[i].path.name for i in each.parts) for each in utterances.said]
        ways = {"greedy": self._written(split, path)}
        if self.module.writer.has_beam:
            ways["beam"] = self._written(split, path, beam=True)
        said: list[Utterance] = utterances.said
        return pd.DataFrame({"files": files, "speaker": [each.speaker for each in said],
                             "reference": utterances.references, **ways})  # fmt: skip

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        """`noise`: errors as white noise gets louder; `confusion`: which label is taken for which."""
        utterances, drawn = self._utterances(split, path), {}
        title = f"{self._corpus(path).place}, {split}: {len(utterances):,} utterances"
        if not self.targets.is_text:
            said = self._written(split, path)
            drawn["confusion"] = figures.confusion(utterances.references, said, self.targets.symbols.names, title=title)
        if self.corpus.sounds is not None:
            few = range(0, len(utterances), -(-len(utterances) // FEW))
            values = [self._error(split, path, snr_db, few) for snr_db in NOISES_DB]
            trivial = self.baseline(split, path)
            measure = self._measure
            worst = trivial.metrics[measure] if self.targets.is_text else 1 - trivial.metrics["accuracy"]
            curves = {"model": values, trivial.name: [worst] * len(values)}
            name = "word error rate" if measure == "wer" else "phone error rate" if measure == "per" else "share wrong"
            drawn["noise"] = figures.under_noise(curves, NOISES_DB, name, title=title)
        return drawn

    def describe(self) -> list[str]:
        """What was read and left out, how much there is in each split, what is asked."""
        corpus, lines = self.corpus, list(self.corpus.notes)
        for split in self.splits:
            utterances = self._utterances(split)
            lines.append(f"{split}: {len(utterances):,} utterances of {len(set(corpus.index[split])):,} recordings")
            steps = self.module.writer.steps(torch.from_numpy(utterances.lengths_N)).tolist()
            for count, what in ((self.targets.unknown(utterances.said), "symbols are unknown"),
                                (self.targets.too_long(utterances.said, steps), "texts have more symbols than steps: "
                                 "none of their alignments counts")):  # fmt: skip
                lines += [f"{split}: {count:,} {what}"] if count else []
        answers = f"{len(self.targets.symbols):,} answers"
        lines.append(f"asked: {self.data.target}; {answers}; {corpus.size} features a frame")
        if self.data.name == "digits":
            lines.append("note: train, val and test share one recording of each character; this shows that a training "
                         "runs, not how well speech is recognised")  # fmt: skip
        return lines

    @property
    def _measure(self) -> str:
        return ("per" if self.data.units == "phone" else "wer") if self.targets.is_text else "accuracy"

    def _error(self, split: str, path: Path | None, snr_db: float | None, few: Sequence[int]) -> float:
        """Errors of the asked measure under that noise."""
        references = self._utterances(split, path).references
        said = self._written(split, path, noise_snr_db=snr_db, only=few)
        found = self.module.scores(said, [references[i] for i in few])[self._measure]
        return found if self.targets.is_text else 1 - found

    @torch.no_grad()
    def _written(self, split: str, path: Path | None, *, beam: bool = False, noise_snr_db: float | None = None,
                 only: Sequence[int] | None = None) -> list[str]:
        """The answer to every utterance, in their order."""
        module, written = self.module, dict[int, str]()
        was_training = module.training
        module.eval()
        for batch in self._loader(split, path, noise_snr_db=noise_snr_db, only=only):
            moved = SpeechBatch(*(tensor.to(module.device) for tensor in batch))
            written |= dict(zip(batch.index_B.tolist(), module.writer.write(moved, beam=beam), strict=True))
        module.train(was_training)
        return [written[i] for i in sorted(written)]

    def _loader(self, split: str, path: Path | None, *, noise_snr_db: float | None = None,
                only: Sequence[int] | None = None) -> DataLoader[SpeechBatch]:
        size = max(self.data_module.batch_size, EVAL_BATCH)
        return in_order(self._corpus(path), self.targets, split, size, noise_snr_db=noise_snr_db, only=only)

    def _utterances(self, split: str, path: Path | None = None) -> Utterances:
        return Utterances(self._corpus(path), self.targets, split, training=False)

    def _corpus(self, path: Path | None) -> Corpus:
        """The training's own, or another folder's, scaled as that."""
        if path is None:
            return self.corpus
        folder = user_folder(path)
        key = f"{folder.md5} of {self.datasets[0].md5}"
        return kept(self.data, key, lambda: self._like(folder))

    def _like(self, folder: Dataset) -> Corpus:
        place = str(folder.path)
        if self.data.name == "vowels":
            return prepare_frames(read_vowels(folder.path, strict=False), self.data, place=place, trained=self.corpus)
        found = read_other(folder.path, self.data)
        made = prepare(found, self.data, md5=folder.md5, place=place, trained=self.corpus)
        for line in (*made.notes, *_seen(made, self.corpus)):
            self._say(line)
        return made

    def _targets(self, model: SpeechModel) -> Targets:
        rows, data = self.corpus.rows, self.data
        return Targets(data, model, [label(rows[i], data) for i in self.corpus.index["train"]])

    def _language(self) -> Language | None:
        if self.model.lm is None:
            return None
        dataset = replace(user_file(self.model.lm), name="lm")
        self.datasets.append(dataset)
        return Language.of_checkpoint(dataset.path, self.targets.symbols)


def _prepared(dataset: Dataset, data: SpeechData) -> Corpus:
    if data.name == "vowels":
        return prepare_frames(read_vowels(dataset.path), data, place=dataset.name)
    return prepare(read(dataset, data), data, md5=dataset.md5, place=dataset.name)


def _seen(made: Corpus, trained: Corpus) -> list[str]:
    """A line where recordings of another folder were trained on."""
    if made.sounds is None or trained.sounds is None:
        return []
    known = {trained.sounds.findings[i].content for i in trained.index["train"]}
    copies = sum(each.content in known for each in made.sounds.findings)
    said = f"note: {copies:,} recordings of {made.place} are among those that the model was trained on"
    return [said] if copies else []


def _features(utterances: Utterances) -> list[Features]:
    return [utterances.corpus.frames[each.parts[0]] for each in utterances.said]


