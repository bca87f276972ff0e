"""The `data:` and `model:` sections of `task: translation`. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from gatesweep.config.section import Section
from gatesweep.models.encoder_decoder_config import EncoderDecoderConfig

Share = Annotated[float, Field(gt=0, le=1)]
EMBEDDED = "verses"


class TranslationData(Section):
    """Which parallel text, and what its symbols are."""

    name: str | None = None
    """`verses` comes with the package that the catalogue names; `multi30k` is a published set in a folder of yours,
    whose counts are checked; none: any parallel files."""

    path: str | None = None
    """The folder of parallel files, line by line the same sentence: {train,val,test*}.{source,target}, .gz or not."""

    source: str | None = None
    """The language translated from: the end of its files' names. none: en of verses, de of multi30k."""

    target: str | None = None
    """The language translated into. none: ja of verses, en of multi30k."""

    test: str = "test"
    """Which of the folder's test files is `test`: a name without language, e.g. test_2016_flickr; `test` takes the
    only one. Where there is none, the run is scored on val alone, and the log says so."""

    split_by: Literal["chapter", "book"] = "chapter"
    """What of verses stays together, in train, val or test. By chapter, each book is in all three; by book, val and
    test are books that training never saw, which is harder."""

    fraction: Share = 1.0
    """Share of the training pairs to use, drawn evenly; less makes a cheap first trial."""

    lower: bool = False
    """Whether the model reads and writes small letters alone. Scores against the text as it is then count every
    capital as an error in `bleu`, and none in `bleu_lc`."""

    units: Literal["unigram", "bpe", "char"] = "unigram"
    """Symbols: subwords by a unigram model (Kudo 2018) or by merged pairs (Sennrich et al. 2016), both sentencepiece's,
    or single characters. They are learnt from the training split alone."""

    vocabulary: Annotated[int, Field(ge=16, le=250_000)] = 8000
    """Symbols of each side at most; of characters those that are frequent enough."""

    resample: PositiveFloat | None = None
    """Cut every training sentence anew in each epoch, with that much order (subword regularisation): of unigram the
    exponent α of a cut's probability, from 0.2 (wild) to 1 (nearly always the best; Kudo 2018); of bpe the probability
    that a merge is left out, say 0.1 (Provilkov et al. 2020). none always cuts the same way."""

    joint: bool = False
    """Whether both sides have one vocabulary, learnt from both."""

    max_length: Annotated[int, Field(ge=4)] = 100
    """Symbols of either side of a training pair at most. Longer pairs are left out, and how many is said."""

    max_source: Annotated[int, Field(ge=4)] = 400
    """Symbols of a source that is to be translated at most. The rest of a longer one is not read, and how many such
    there are is said. References are never cut."""

    val_share: Share = 1.0
    """Share of the val sentences that are translated after each epoch; the loss is over all of them. After training,
    all are translated."""

    @model_validator(mode="after")
    def _one_source(self) -> TranslationData:
        if self.name == EMBEDDED:
            if self.path is not None:
                raise ValueError("'verses' comes by itself and takes no 'path'\n\nhint: leave data.path out")
        elif self.path is None:
            raise ValueError("'path' is missing: the folder of the parallel files"
                             "\n\nhint: `name: verses` needs none")
        elif self.name is None and (self.source is None or self.target is None):
            raise ValueError("'source' and 'target' are missing: which files are the two languages?"
                             "\n\nhint: `source: de`, `target: en` for train.de and train.en")
        if self.name not in (None, *DIRECTIONS):
            raise ValueError(f"there is no parallel set '{self.name}'\n\nhint: one of {', '.join(DIRECTIONS)};"
                             " for files of your own leave data.name out")
        if len(set(self.languages)) == 1:
            raise ValueError(f"source and target are both '{self.languages[0]}'"
                             "\n\nhint: `source: de`, `target: en` for train.de and train.en")
        return self

    @model_validator(mode="after")
    def _characters_are_not_cut(self) -> TranslationData:
        if self.resample is not None and self.units == "char":
            raise ValueError("resample cuts words in other places, and characters have none"
                             "\n\nhint: units: unigram or bpe")
        return self

    @property
    def languages(self) -> tuple[str, str]:
        """Source and target."""
        source, target = DIRECTIONS.get(self.name or "", ("", ""))
        if (self.source, self.target) == (target, None):
            target = source
        return self.source or source, self.target or target


DIRECTIONS = {EMBEDDED: ("en", "ja"), "multi30k": ("de", "en")}


class TranslationModel(EncoderDecoderConfig):
    """An encoder-decoder, how it is taught and how it writes. Every field here can be a search dimension."""

    teacher_forcing: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Probability, in training, that the decoder reads the true symbol, not its own (scheduled sampling). Below 1,
    training is a loop over the target's steps."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the target's probability that is spread over the vocabulary, in training alone."""

    max_output: PositiveInt = 100
    """Symbols of a translation at most."""

    beam_size: PositiveInt = 4
    """Hypotheses that beam search keeps, after training; 1 leaves it out. Greedy search is always reported too."""

    length_penalty: float = 1.0
    """α of Wu et al. 2016: 0 compares plain probabilities, which favours short sentences."""
