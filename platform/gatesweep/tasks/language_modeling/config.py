"""The `data:` and `model:` sections of `task: language_modeling`. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from gatesweep.cells.config import Probability
from gatesweep.config.section import Section
from gatesweep.models.config import ModelConfig

Share = Annotated[float, Field(gt=0, le=1)]
WORD_FILES = ("ptb", "wikitext-2", "char-ptb")
"""Standard sets that are read from a folder of the user's in their published layout."""


class TextSplits(Section):
    """Shares of the reviews, or of the lines of a folder that has no files of its own for each split."""

    train: PositiveFloat = 0.9
    """Share to learn from; the vocabulary and the baselines see this alone."""

    val: PositiveFloat = 0.05
    """Share that chooses between epochs and between trials."""

    test: PositiveFloat = 0.05
    """Share that the chosen model is scored on once."""

    @model_validator(mode="after")
    def _at_most_one(self) -> TextSplits:
        total = self.train + self.val + self.test
        if total > 1 + 1e-9:
            raise ValueError(f"train, val and test add up to {total:g}, more than there is"
                             "\n\nhint: for example {train: 0.9, val: 0.05, test: 0.05}")
        return self


class LanguageData(Section):
    """Which text, cut into which units, and how it is laid out in time."""

    name: str | None = None
    """`reviews` (comes with the catalogue); `ptb`, `wikitext-2`, `char-ptb` with `path`; none: `path` alone."""

    path: str | None = None
    """A folder of text: a standard set in its published layout, whose counts are checked, or files of your own."""

    level: Literal["word", "char"] = "word"
    """What is predicted: the next word, or the next character. `char-ptb` is of characters whatever this says."""

    tokens: Literal["split", "words"] | None = None
    """What a word is: what stands between spaces, as in the standard sets; or words, numbers and signs, in small
    letters. none: words for `reviews`, else split."""

    splits: TextSplits = TextSplits()
    """How reviews are shared out, whole ones, by their films where those are known; and lines of a folder without
    files for each split, in their order."""

    fraction: Share = 1.0
    """Share of the training lines to use, the first ones; less makes a cheap first trial."""

    max_vocabulary: PositiveInt = 50_000
    """Most frequent words to keep, `<unk>` and `<eos>` included; the others become `<unk>`, counted and said."""

    min_count: PositiveInt | None = None
    """Rarer words of the training text become `<unk>`. none: 2, or 1 where the text brings `<unk>` itself."""

    eos: bool = True
    """Whether every line, or review, ends with `<eos>`, which counts as a word."""

    bptt: Annotated[int, Field(ge=2)] = 35
    """Steps that gradients flow back: the length of a window. The state goes on from window to window."""

    variable_bptt: bool = False
    """Whether training windows differ in length, by normal(bptt, 5), around bptt / 2 with probability .05 (Merity et
    al. 2017, section 4.1), each with a learning rate in proportion to its length."""

    eval_streams: PositiveInt = 10
    """Streams that val and test text is read in at once, the state carried; 1 gives every word all the text before it
    and takes longest. Every word is counted once whatever this is."""

    loss: Literal["token", "sequence"] = "token"
    """What is minimised: the mean over tokens; or, summed over a window's steps and averaged over its streams, `bptt`
    times as much (Zaremba et al. 2014), which learning rate and `clip_norm` have to suit."""

    @model_validator(mode="after")
    def _source(self) -> LanguageData:
        if self.name is None and self.path is None:
            raise ValueError("one of 'name' and 'path' must say where the text comes from"
                             "\n\nhint: `name: reviews`, or `path: my_folder`")  # fmt: skip
        if self.name in WORD_FILES and self.path is None:
            raise ValueError(f"'{self.name}' is read from a folder of yours\n\nhint: `path: FOLDER`, as published")
        if self.name is not None and self.name not in (*WORD_FILES, "reviews"):
            raise ValueError(f"no text is called '{self.name}'"
                             f"\n\nhint: reviews, {', '.join(WORD_FILES)}; or a folder of your own, with `path` alone")
        if self.name == "reviews" and self.path is not None:
            raise ValueError("'reviews' comes from the catalogue and takes no 'path'")
        if self.characters and self.tokens is not None:
            raise ValueError(f"tokens: '{self.tokens}' says what a word is, and characters are predicted"
                             "\n\nhint: leave 'tokens' out, or level: word")
        return self

    @property
    def characters(self) -> bool:
        """Whether characters are predicted."""
        return self.level == "char" or self.name == "char-ptb"

    @property
    def signs(self) -> bool:
        """Whether words are told from signs, rather than split at spaces."""
        return (self.tokens or ("words" if self.name == "reviews" else "split")) == "words"


class LanguageModel(ModelConfig):
    """Embedding, encoder, softmax. Every field here can be a search dimension."""

    embedding_size: PositiveInt | None = None
    """Width of the words' vectors; none takes the last layer's hidden size."""

    tied: bool = True
    """Whether the softmax's weights are the embedding's (Press & Wolf 2017, Inan et al. 2017); where the encoder's
    output is not `embedding_size` wide, a linear map stands between."""

    last_size: PositiveInt | None = None
    """Hidden units of the last layer where they differ from `hidden_size`."""

    embedding_dropout: Probability = 0.0
    """Probability, in training, of zeroing a word's whole vector, for all its places in a window (Gal & Ghahramani
    2016)."""

    input_dropout: Probability = 0.0
    """Probability, in training, of zeroing each value that the first layer reads."""

    hidden_dropout: Probability = 0.0
    """The same between layers; `dropout` acts there besides, and never locked."""

    output_dropout: Probability = 0.0
    """The same between the last layer and the softmax."""

    locked: bool = True
    """Whether input, hidden and output dropout keep one mask for all steps of a window ("variational"; Merity et al.
    2017); else every step has its own (Zaremba et al. 2014)."""

    init_range: PositiveFloat | None = None
    """Every parameter starts uniform within ± this; none: embedding and softmax within ±.1, the layers as they do by
    themselves."""

    ar: NonNegativeFloat = 0.0
    """Activation regularisation: this times the mean square of the outputs, after dropout (Merity et al. 2017)."""

    tar: NonNegativeFloat = 0.0
    """Temporal activation regularisation: this times the mean square of the outputs' changes from step to step, before
    dropout."""

    @model_validator(mode="after")
    def _one_encoder(self) -> LanguageModel:
        apart = [name for name in ("last_size", "hidden_dropout") if getattr(self, name)]
        strange = [name for name in ("residual", "variational_dropout") if getattr(self, name)]
        if apart and strange:
            raise ValueError(f"{strange[0]} is of all layers in one, and {apart[0]} sets them apart"
                             f"\n\nhint: leave {strange[0]} or {apart[0]} out")
        return self
