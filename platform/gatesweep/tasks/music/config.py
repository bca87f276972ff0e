"""The `data:` and `model:` sections of `task: music`. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from gatesweep.config.section import Section
from gatesweep.models.config import ModelConfig

Share = Annotated[float, Field(gt=0, le=1)]
EMBEDDED = "chorales"
PUBLISHED = ("jsb", "nottingham", "musedata", "piano-midi")
"""Sets that are read from a file of the user's in their published layout, whose counts are checked."""


class MusicData(Section):
    """Which pieces, on which grid."""

    name: str | None = None
    """`chorales` comes with the package that the catalogue names; `jsb`, `nottingham`, `musedata` and `piano-midi` are
    published sets at `path`, whose counts are checked; none: whatever music is at `path`."""

    path: str | None = None
    """A published set as .json (lists of MIDI numbers) or .mat (piano rolls), or a folder that holds one; or scores in
    MusicXML (.mxl, .musicxml, .xml), shared out by their tunes."""

    grid: Literal["quarter", "eighth", "sixteenth"] = "quarter"
    """How far apart the frames of a score are, as a note's length. A published file has its own grid."""

    every: PositiveInt = 1
    """Of a published file keep every so many frames: 4 makes the quarters that results are published for out of
    sixteenths."""

    out_of_range: Literal["refuse", "drop"] = "refuse"
    """What happens to notes that no piano has (below 21 or above 108): the data are refused, or the notes left out,
    counted and said."""

    transpose: Annotated[int, Field(ge=0, le=24)] = 0
    """Move each training piece, anew in every epoch, by a number of semitones drawn from -this to this, as far as the
    piano has the notes. Val and test stay in their keys."""

    window: Annotated[int, Field(ge=2)] | None = None
    """Frames of a training piece at most: longer ones are cut, and each part begins anew. none: whole pieces. Val and
    test are never cut."""

    fraction: Share = 1.0
    """Share of the training pieces to use, drawn evenly; less makes a cheap first trial."""

    first_frame: bool = False
    """Whether a piece's first frame, which nothing comes before, is scored too. Published results leave it out; it is
    learnt either way."""

    @model_validator(mode="after")
    def _one_source(self) -> MusicData:
        if self.name is not None and self.name not in (EMBEDDED, *PUBLISHED):
            raise ValueError(f"no music is called '{self.name}'\n\nhint: {EMBEDDED}, {', '.join(PUBLISHED)}; "
                             "or `path` alone")
        if self.name == EMBEDDED and self.path is not None:
            raise ValueError(f"'{EMBEDDED}' comes from the catalogue and takes no 'path'\n\nhint: leave data.path out")
        if self.name != EMBEDDED and self.path is None:
            raise ValueError("'path' is missing: where the music lies"
                             f"\n\nhint: a .json or .mat file, a folder of scores; `name: {EMBEDDED}` needs none")
        return self


class MusicModel(ModelConfig):
    """An encoder that sees the past alone, and what it says of the next frame's notes."""

    head: Literal["independent", "autoregressive"] = "independent"
    """independent: given the past, every note is on or off for itself, as in most published LSTM results.
    autoregressive: a note also sees the lower ones of its own frame, through a masked network (MADE; Germain et al.
    2015), so that chords fit together; its NLL is much lower."""

    head_size: PositiveInt = 128
    """Of autoregressive: hidden units of the masked network."""

    embedding_size: PositiveInt | None = None
    """Map each frame to so many numbers, before the first layer; none reads the 88 notes as they are."""

    input_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability, in training, that a sounding note is not read."""

    @model_validator(mode="after")
    def _sees_the_past_alone(self) -> MusicModel:
        if self.bidirectional:
            raise ValueError("bidirectional: the next frame must not be seen\n\nhint: leave model.bidirectional out")
        return self
