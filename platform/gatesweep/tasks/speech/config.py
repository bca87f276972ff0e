"""The `data:` and `model:` sections of `task: speech_recognition`. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from gatesweep.cells.config import Probability
from gatesweep.config.section import Section
from gatesweep.models.encoder_decoder_config import EncoderDecoderConfig
from gatesweep.tasks.speech.sound_config import AugmentConfig, FeatureConfig, Share

Target = Literal["word", "speaker", "text"]
NAMED = ("digits", "vowels", "fsdd", "speech_commands")
EMBEDDED = ("digits", "vowels")


class StringConfig(Section):
    """Utterances of several words, made by putting isolated ones of one speaker one after the other."""

    least: PositiveInt = 2
    """Words of a string at least."""

    most: PositiveInt = 5
    """Words of a string at most."""

    train: PositiveInt = 1000
    """Strings of an epoch; every epoch draws others."""

    val: PositiveInt = 200
    """Strings of val, the same for ever."""

    test: PositiveInt = 300
    """Strings of test, the same for ever."""

    pause_ms: NonNegativeFloat = 200.0
    """Silence between two words, and before and after all, is drawn evenly from 0 to this."""

    @model_validator(mode="after")
    def _ordered(self) -> StringConfig:
        if self.least > self.most:
            raise ValueError(f"least is {self.least} and most {self.most}\n\nhint: for example {{least: 2, most: 5}}")
        return self


class SpeechShares(Section):
    """Shares of the recordings, each label in proportion, where neither the set nor a held-out speaker says it."""

    val: Share = 0.1
    """Share that chooses between epochs and between trials."""

    test: Share = 0.1
    """Share that the chosen model is scored on once."""


class SpeechData(Section):
    """Which recordings, who is held out, what is asked of them, and what the model reads of each."""

    name: Literal["digits", "vowels", "fsdd", "speech_commands"] | None = None
    """`digits` (one recording a character: a smoke test) and `vowels` (LPC frames, 9 speakers) come with packages that
    the catalogue names; `fsdd` and `speech_commands` are published sets in a folder of yours, whose counts are checked;
    none: any folder of .wav files with a transcripts.csv."""

    path: str | None = None
    """The folder of a set that does not come by itself, relative to the folder you are in."""

    target: Target = "word"
    """What is asked: the one thing that is said in a recording; who says it; or its text, symbol by symbol."""

    units: Literal["char", "word", "phone"] = "char"
    """Symbols of a text: characters with the space; words; or phones, which a transcript has with spaces between."""

    strings: StringConfig | None = None
    """Makes utterances of several words out of isolated ones. none takes the recordings as they are."""

    characters: Annotated[str, Field(pattern="^[0-9A-Z]{2,36}$")] = "0123456789"
    """Of `digits`: which of its recordings."""

    partial: bool = False
    """Whether a published set may lack recordings; how many there are is said."""

    test_takes: tuple[NonNegativeInt, ...] = (0, 1, 2, 3, 4)
    """Of fsdd: repetitions that are test. Those of the publication are 0 to 4."""

    val_takes: tuple[NonNegativeInt, ...] = (5, 6, 7)
    """Of fsdd: repetitions that are val, where `val_speaker` names nobody."""

    test_speaker: str | None = None
    """Whose recordings are test, all of them and nobody else's; none goes by takes, lists or shares."""

    val_speaker: str | None = None
    """Whose recordings are val, likewise."""

    splits: SpeechShares = SpeechShares()
    """How recordings are shared out where nothing else says it."""

    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Which recordings come where, and which strings are val and test; apart from `seed`."""

    fraction: Share = 1.0
    """Share of the training recordings to use, each label in proportion; less makes a cheap first trial."""

    unpaired: Literal["refuse", "drop"] = "refuse"
    """Transcripts without their file and files without a transcript."""

    broken: Literal["refuse", "drop"] = "refuse"
    """Files that hold no sound: empty, cut off, no .wav."""

    rate: Annotated[int, Field(ge=1000, le=192_000)] = 8000
    """Samples a second that every recording is brought to; several channels become their mean. Both are counted."""

    features: FeatureConfig = FeatureConfig()
    """What is computed of the sound; of vowels, which come as frames, `cmvn` and `deltas` alone."""

    augment: AugmentConfig = AugmentConfig()
    """What is done to training utterances."""

    noise_snr_db: float | None = None
    """White noise that val and test are scored with, at this signal-to-noise ratio; none adds nothing."""

    @model_validator(mode="after")
    def _one_source(self) -> SpeechData:
        if self.name in EMBEDDED and self.path is not None:
            raise ValueError(f"'{self.name}' comes by itself and takes no 'path'\n\nhint: leave data.path out")
        if self.name not in EMBEDDED and self.path is None:
            raise ValueError("'path' is missing: the folder of the recordings\n\nhint: `name: digits` needs none")
        takes = {"test_takes", "val_takes"}
        if self.name != "fsdd" and any(getattr(self, key) != type(self).model_fields[key].default for key in takes):
            raise ValueError("'test_takes' and 'val_takes' go with `name: fsdd`")
        if self.name == "fsdd" and set(self.test_takes) & set(self.val_takes):
            raise ValueError("a take is in val_takes and in test_takes\n\nhint: each take on one side")
        if self.test_speaker is not None and self.test_speaker == self.val_speaker:
            raise ValueError(f"'{self.test_speaker}' is held out twice\n\nhint: another val_speaker, or none")
        return self

    @model_validator(mode="after")
    def _fits(self) -> SpeechData:
        if self.name == "vowels":
            if self.target != "speaker" or self.strings or self.augment.of_sound or self.noise_snr_db is not None:
                raise ValueError("'vowels' are frames of one vowel each, without their sound"
                                 "\n\nhint: `target: speaker`, without strings, and of augment the masks alone")
            if self.features.cepstra is not None:
                raise ValueError("features.cepstra: 'vowels' are cepstra already\n\nhint: leave it out")
            if self.test_speaker or self.val_speaker:
                raise ValueError("'vowels' asks who speaks: no speaker can be held out")
        if self.target == "speaker" and (self.test_speaker or self.val_speaker):
            raise ValueError("who speaks cannot be asked of a speaker that training never heard"
                             "\n\nhint: hold out takes, or ask for the word")
        if self.name == "digits" and self.strings is None:
            raise ValueError("'digits' has one recording of each character: there is nothing to hold out"
                             "\n\nhint: data.strings makes utterances of them")
        if self.features.cepstra is not None and self.augment.freq_masks:
            raise ValueError("augment.freq_masks hide bands, and features.cepstra have none"
                             "\n\nhint: freq_masks: 0; time_masks stay")
        if self.strings and self.target != "text":
            raise ValueError("a string has several words\n\nhint: `target: text`")
        return self

    def unreported(self, model: SpeechModel) -> frozenset[str]:
        """Metrics of the task that no training of this configuration reports."""
        if self.target != "text":
            return frozenset(("wer", "cer", "per"))
        return frozenset(("wer", "cer") if self.units == "phone" else ("per",))


class SpeechModel(EncoderDecoderConfig):
    """What listens, and how it writes. Every field here can be a search dimension."""

    output: Literal["label", "frames", "ctc", "attention"] = "label"
    """label: one answer out of all frames, by `pooling`. frames: one out of each frame, the acoustic model of a hybrid
    recogniser. ctc: symbols and blanks, aligned by training itself (Graves et al. 2006). attention: a decoder that
    writes symbol by symbol."""

    pooling: Literal["max", "mean", "last", "attention", "max_mean", "concat"] = "max_mean"
    """Of label: one vector out of all frames."""

    stack: Annotated[int, Field(ge=1, le=16)] = 1
    """Frames that are read as one step: fewer steps, each wider."""

    input_dropout: Probability = 0.0
    """Probability, in training, of zeroing each value of the features."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target's probability that is spread over all answers, in training alone; ctc has none."""

    change_cost: NonNegativeFloat = 5.0
    """Of frames that make a text: nats that each change between two answers costs, so that single frames make no
    words."""

    streaming: bool = False
    """Whether the model may be asked while the sound comes in: no step sees a later one. Needs `bidirectional: false`
    and cmvn global or none."""

    beam_size: PositiveInt = 8
    """Hypotheses that beam search keeps, after training; 1 leaves it out. Greedy search is always reported too."""

    length_penalty: float = 0.0
    """Of attention: α of Wu et al. 2016; 0 compares plain probabilities."""

    max_output: PositiveInt = 100
    """Of attention: symbols of an output at most."""

    lm: str | None = None
    """A language_modeling run over the same units, by its id, or the file state.ckpt of its checkpoint: beam search
    adds `lm_weight` times its log probability (shallow fusion)."""

    lm_weight: NonNegativeFloat = 0.3
    """λ: log P(y | x) + λ log P_lm(y) + β |y|."""

    lm_bonus: float = 0.0
    """β: for each symbol, against the language model's liking for short texts."""

    @model_validator(mode="after")
    def _hangs_together(self) -> SpeechModel:
        if self.streaming and self.bidirectional:
            raise ValueError("streaming: a bidirectional model sees what comes later\n\nhint: bidirectional: false")
        if self.streaming and self.output in ("label", "attention"):
            raise ValueError(f"streaming: '{self.output}' waits for the end\n\nhint: output: ctc or frames")
        if self.tie == "all":
            raise ValueError("tie: sound has no embeddings to share\n\nhint: tie: target or none")
        if self.lm is not None and self.output not in ("ctc", "attention"):
            raise ValueError(f"lm: '{self.output}' has no beam search\n\nhint: output: ctc or attention")
        return self
