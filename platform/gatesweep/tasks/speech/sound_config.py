"""The sections `data.features` and `data.augment`: what a sound becomes before a network sees it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from gatesweep.cells.config import Probability
from gatesweep.config.section import Section

Share = Annotated[float, Field(gt=0, le=1)]


class FeatureConfig(Section):
    """Log-mel filterbank energies, as Kaldi computes them (kaldi-native-fbank), or their cepstrum."""

    mels: Annotated[int, Field(ge=4, le=256)] = 40
    """Triangular filters, evenly spaced on the mel scale."""

    window_ms: PositiveFloat = 25.0
    """Length of a frame's window."""

    shift_ms: PositiveFloat = 10.0
    """From one frame to the next."""

    low_hz: NonNegativeFloat = 20.0
    """Where the lowest filter begins."""

    cepstra: PositiveInt | None = None
    """That many coefficients of the orthonormal cosine transform of the energies in their place, the 0th among them
    (Davis & Mermelstein 1980): the envelope without its detail, which is the pitch's. none: the energies."""

    deltas: bool = False
    """Whether first differences over time stand beside them (Young et al., HTK book, equation 5.16, with two
    frames on both sides)."""

    cmvn: Literal["utterance", "speaker", "global", "none"] = "global"
    """What mean and variance are made 0 and 1 over, for each feature: all training frames; the utterance itself, which
    takes a microphone's colour away, and from a word of half a second its vowel's too; the speaker's recordings, those
    of train or, of one who is not in train, all that there are (their sound alone is looked at, never what is said in
    them); nothing."""

    @model_validator(mode="after")
    def _as_many(self) -> FeatureConfig:
        if self.cepstra is not None and self.cepstra > self.mels:
            raise ValueError(f"cepstra: {self.mels} filters have no {self.cepstra} coefficients\n\nhint: 13 is usual")
        return self


class AugmentConfig(Section):
    """What is done to training utterances alone, anew in every epoch, as a function of seed, epoch and utterance."""

    speed: Annotated[float, Field(ge=0, lt=0.9)] = 0.0
    """The sound is played at a speed drawn evenly in the logarithm from 1 / (1 + speed) to 1 + speed, pitch with it
    (Ko et al. 2015, "Audio augmentation for speech recognition", with three fixed ones)."""

    noise: Probability = 0.0
    """Probability that white noise is added."""

    noise_snr_db: tuple[float, float] = (5.0, 30.0)
    """Signal-to-noise ratio, drawn evenly between these."""

    gain_db: NonNegativeFloat = 0.0
    """The sound is made louder or softer by up to that much."""

    time_masks: NonNegativeInt = 0
    """SpecAugment (Park et al. 2019): stretches of frames that are set to the mean. m_T of the paper."""

    time_mask_frames: PositiveInt = 20
    """Longest of them, T of the paper; never over `time_mask_share` of an utterance."""

    time_mask_share: Share = 0.2
    """Share of an utterance that one stretch may cover at most, p of the paper."""

    freq_masks: NonNegativeInt = 0
    """The same of bands of features, m_F of the paper."""

    freq_mask_bands: PositiveInt = 8
    """Widest of them, F of the paper."""

    @property
    def of_sound(self) -> bool:
        """Whether the sound itself is changed, and features with it."""
        return bool(self.speed or self.noise or self.gain_db)

    @model_validator(mode="after")
    def _ordered(self) -> AugmentConfig:
        if self.noise_snr_db[0] > self.noise_snr_db[1]:
            raise ValueError("noise_snr_db goes from the lower to the higher ratio\n\nhint: for example [5, 30]")
        return self
