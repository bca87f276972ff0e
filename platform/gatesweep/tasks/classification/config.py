"""The `data:` and `model:` sections of `task: sequence_classification`. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from gatesweep.cells.config import Probability
from gatesweep.config.section import Section
from gatesweep.models.config import ModelConfig

Share = Annotated[float, Field(gt=0, le=1)]


class TextShares(Section):
    """Shares of the texts, each label in proportion; texts beyond their sum are unused."""

    train: PositiveFloat = 0.8
    """Share to learn from; vocabulary, class weights and baselines see this alone."""

    val: PositiveFloat = 0.1
    """Share that chooses between epochs and between trials."""

    test: PositiveFloat = 0.1
    """Share that the chosen model is scored on once."""

    @model_validator(mode="after")
    def _at_most_one(self) -> TextShares:
        total = self.train + self.val + self.test
        if total > 1 + 1e-9:
            raise ValueError(f"train, val and test add up to {total:g}, more than there is"
                             "\n\nhint: for example {train: 0.8, val: 0.1, test: 0.1}")  # fmt: skip
        return self


class ClassificationData(Section):
    """Which labelled texts, how they are shared out, and what of each is read."""

    name: Literal["reviews", "imdb"] | None = None
    """`reviews` comes with the catalogue; `imdb` is the folder aclImdb as published, with `path`; none: `path` is a CSV
    of your own."""

    part: Literal["imdb", "rotten_tomatoes", "all"] = "imdb"
    """Of `reviews`: 25,000 long reviews of IMDb, 8,530 single sentences of Rotten Tomatoes, or both."""

    path: str | None = None
    """A CSV file with the columns text and label, or the folder of a standard set; relative to the folder you are in.
    A column split (train, val, test) says which text is for what; without it `splits` does."""

    splits: TextShares = TextShares()
    """How texts are shared out where the data does not say it. Of `imdb`, whose test texts are given, the share of val
    is taken from those of train."""

    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Which texts come where; apart from `seed`, so that seeds are compared on the same texts."""

    films: Literal["apart", "mixed"] = "apart"
    """Whether all texts of a film come on one side, where films are known. Mixed, a model may recognise the film, and
    scores higher than it will on new ones."""

    fraction: Share = 1.0
    """Share of the training texts to use, each label in proportion; a smaller share is a part of any larger one."""

    lower: bool = True
    """Whether words are read in small letters."""

    min_count: PositiveInt = 2
    """Rarer words of the training texts are `<unk>`."""

    max_vocabulary: Annotated[int, Field(ge=3)] = 30_000
    """Most frequent words to keep; the others become `<unk>`, counted and said."""

    words: str | None = None
    """A file of words, one a line, or a checkpoint that holds some: the vocabulary, in place of that of the training
    texts. `init_from.vocabulary: theirs` fills it in."""

    max_length: PositiveInt = 256
    """Tokens that are read of a training text; longer ones are cut, counted and said."""

    eval_max_length: PositiveInt = 400
    """The same of val and test texts."""

    cut: Literal["end", "start", "middle"] = "end"
    """What of a longer text is left out: its end; its start; or its middle, so that both remain (Sun et al. 2019,
    "How to fine-tune BERT for text classification?", section 5.3.1)."""

    batch_tokens: PositiveInt | None = None
    """Ceiling on the tokens of a batch with its padding, beside `trainer.batch_size`: what bounds memory."""

    class_weights: Literal["none", "balanced"] = "none"
    """Whether the training loss counts every label as much in all (balanced: weight N / (labels * its texts)), or every
    text. Metrics never do."""

    label_smoothing: Probability = 0.0
    """Share of the target's weight that is spread over all labels in training."""

    @model_validator(mode="after")
    def _source(self) -> ClassificationData:
        if self.name is None and self.path is None:
            raise ValueError("one of 'name' and 'path' must say where the texts come from"
                             "\n\nhint: `name: reviews`, or `path: my.csv`")  # fmt: skip
        if self.name == "imdb" and self.path is None:
            raise ValueError("'imdb' is read from a folder of yours\n\nhint: `path: aclImdb`, as published")
        if self.name == "reviews" and self.path is not None:
            raise ValueError("'reviews' comes from the catalogue and takes no 'path'")
        if self.name != "reviews" and self.part != "imdb":
            raise ValueError("'part' goes with `name: reviews`")
        return self


class ClassificationModel(ModelConfig):
    """Embeddings, encoder, pooling, head. Every field here can be a search dimension."""

    embeddings: str = "learned"
    """Where the words' vectors start: learned (from scratch); word2vec (trained on the training texts first); glove (of
    the catalogue, 50 numbers a word); a file of word2vec or GloVe, text or .bin; or contextual ones of a BERT-type
    encoder: minilm (of the catalogue) or a folder of yours with config.json, model.safetensors and vocab.txt."""

    embedding_size: PositiveInt | None = None
    """Width of the words' vectors; a file of another width is refused. none: the file's, or 64 where there is none."""

    freeze: bool = False
    """Whether the vectors stay as they start. The outputs of a frozen BERT-type encoder are computed once a text and
    kept in the cache of the home folder."""

    beside: NonNegativeInt = 0
    """Width of vectors learned from scratch that each token has beside those of a BERT-type encoder."""

    word_dropout: Probability = 0.0
    """Probability, in training, that a word is read as `<unk>`."""

    embedding_dropout: Probability = 0.0
    """Probability, in training, of zeroing each value of the words' vectors."""

    encoder: bool = True
    """Whether a sequence encoder (`cell`, `hidden_size`, …) reads the vectors; else they are pooled as they are."""

    segment_length: Annotated[int, Field(ge=2)] | None = None
    """Tokens after which the encoder starts anew, so that a long text is read as several short ones before all are
    pooled (chopping, Johnson & Zhang 2016): faster, and nothing hangs on what was said a page ago. none: in one go."""

    pooling: Literal["max", "mean", "last", "attention", "max_mean", "concat"] = "max_mean"
    """One vector out of all steps: the largest of each value; their mean; the last (of a bidirectional encoder: each
    direction's); a mean weighted by learned attention; max and mean; or last, max and mean (ULMFiT, Howard & Ruder
    2018, section 3.3)."""

    pool_words: bool = False
    """Whether the mean of the words' vectors themselves is pooled, too, beside the encoder's outputs (a deep averaging
    network, Iyyer et al. 2015): what single words say need not pass through the encoder."""

    pooled_dropout: Probability = 0.0
    """Probability, in training, of zeroing each value of the pooled vector. `dropout` acts on every step before it, and
    shifts what a maximum finds."""

    bag: NonNegativeFloat = 0.0
    """Weight with which the linear baseline, a bag of words and pairs fitted to the training texts, votes beside the
    network in all scores but train/loss: log p = log p_network + bag · log p_bag, up to a constant (Mesnil et al. 2015,
    "Ensemble of generative and discriminative techniques"). It reads the tokens that the network reads. 0: no vote."""

    head_size: PositiveInt | None = None
    """Width of a hidden layer between pooling and labels; none: there is none."""

    @property
    def contextual(self) -> bool:
        """Whether the vectors are those of a BERT-type encoder: a name, or a folder rather than a file."""
        return self.embeddings == "minilm" or (self.is_path and not _is_file_name(self.embeddings))

    @property
    def is_path(self) -> bool:
        """Whether `embeddings` is a place of the user's."""
        return self.embeddings not in ("learned", "word2vec", "glove", "minilm")

    @model_validator(mode="after")
    def _embeddings_fit(self) -> ClassificationModel:
        if self.beside and not self.contextual:
            raise ValueError("'beside' goes with a BERT-type encoder; other vectors are learned themselves"
                             "\n\nhint: embedding_size is their width")  # fmt: skip
        if not self.encoder:
            idle = [name for name in ("segment_length", "pool_words") if getattr(self, name)]
            if idle:
                raise ValueError(f"{' and '.join(map(repr, idle))}: there is no encoder for it to go with"
                                 f"\n\nhint: leave {' and '.join(idle)} out, or encoder: true")  # fmt: skip
        if self.embeddings == "learned" and self.freeze:
            raise ValueError("vectors that are learned from scratch cannot be frozen"
                             "\n\nhint: `embeddings: glove`, or freeze: false")  # fmt: skip
        if self.contextual and self.embedding_size is not None:
            raise ValueError("a BERT-type encoder is as wide as it is\n\nhint: leave embedding_size out; `beside` is"
                             " the width of learned vectors next to it")  # fmt: skip
        return self


def _is_file_name(text: str) -> bool:
    """Word vectors come as .txt, .vec, .bin, also gzipped; a folder has no such ending."""
    return text.lower().endswith((".txt", ".vec", ".bin", ".gz"))
