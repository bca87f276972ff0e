"""A score in MusicXML (4.0, partwise), plain or packed as .mxl, as the notes that sound and when.

What is read: pitches, durations, chords, several voices in a part (`backup`, `forward`), transposing instruments,
pickups. What is not: grace notes, cue notes and unpitched percussion, which are counted; repeats, which are played
once. Times are exact fractions of a quarter note.

Bytes from outside are parsed by expat with every declaration of an entity refused, so that nothing is fetched and
nothing grows; of a packed score the one named member is read, up to `MOST_BYTES`.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ...errors import DataError

MOST_BYTES = 64 << 20
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class Note(NamedTuple):
    """One sounding note; a tied one may come in several pieces."""

    midi: int
    start: Fraction
    """In quarter notes from the begin of the score."""
    stop: Fraction


@dataclass(frozen=True)
class Part:
    """One instrument or voice."""

    name: str
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Score:
    """All parts, aligned measure by measure."""

    parts: tuple[Part, ...]
    length: Fraction
    """In quarter notes."""
    left_out: dict[str, int] = field(default_factory=dict)
    """What was not read -> how often."""


def read_score(path: Path) -> Score:
    """A score's file, `.mxl`, `.musicxml` or `.xml`.

    Raises:
        DataError: unreadable, damaged, no partwise MusicXML, or notes that cannot be told.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", place=str(path)) from error
    packed = raw[:4] == b"PK\x03\x04"
    return score_of(_tree(_unpacked(raw, str(path)) if packed else raw, str(path)), place=str(path))


def score_of(root: Element, *, place: str) -> Score:
    """The notes of a parsed score.

    Raises:
        DataError: see `read_score`.
    """
    if root.tag != "score-partwise":
        raise DataError(f"is <{root.tag}>, not <score-partwise>", place=place,
                        hint="save it as partwise MusicXML, as notation programs do")
    names = {str(each.get("id")): " ".join((each.findtext("part-name") or "").split())
             for each in root.iterfind("part-list/score-part")}  # fmt: skip
    left_out: Counter[str] = Counter()
    readings = [_Reading(part, left_out, f"{place}: part {number}")
                for number, part in enumerate(root.iterfind("part"), 1)]  # fmt: skip
    measures = [list(reading.measures()) for reading in readings]
    if not any(measures):
        raise DataError("has no measure", place=place)
    starts = _starts(measures)
    parts = tuple(
        Part(names.get(reading.identity, ""), tuple(
            Note(midi, starts[number] + start, starts[number] + stop)
            for number, measure in enumerate(each) for midi, start, stop in measure.notes))
        for reading, each in zip(readings, measures, strict=True)
    )  # fmt: skip
    return Score(parts, starts[-1], dict(left_out))


class _Measure(NamedTuple):
    notes: list[Note]
    """From the begin of the measure."""
    length: Fraction


def _starts(measures: list[list[_Measure]]) -> list[Fraction]:
    """Where each measure begins, and the end: a measure is as long as the longest that a part has there."""
    starts = [Fraction(0)]
    for number in range(max(map(len, measures))):
        starts.append(starts[-1] + max(each[number].length for each in measures if number < len(each)))
    return starts


class _Reading:
    """One part, measure by measure; what an attribute says holds until the next."""

    def __init__(self, part: Element, left_out: Counter[str], place: str) -> None:
        self.part, self.left_out, self.place = part, left_out, place
        self.identity = str(part.get("id"))
        self.divisions, self.transpose = Fraction(1), 0

    def measures(self) -> Iterator[_Measure]:
        for measure in self.part.iterfind("measure"):
            yield self._measure(measure, f"{self.place}, measure {measure.get('number')}")

    def _measure(self, measure: Element, place: str) -> _Measure:
        notes: list[Note] = []
        now = before = length = Fraction(0)
        for each in measure:
            if each.tag == "attributes":
                self._attributes(each, place)
            elif each.tag in ("backup", "forward"):
                now += self._duration(each, place) * (-1 if each.tag == "backup" else 1)
            elif each.tag == "note" and not self._skipped(each):
                start = before if each.find("chord") is not None else now
                before, stop = start, start + self._duration(each, place)
                now = max(now, stop) if each.find("chord") is not None else stop
                if each.find("pitch") is not None:
                    notes.append(Note(self._midi(each, place), start, stop))
            if now < 0:
                raise DataError("a backup leads before the measure", place=place)
            length = max(length, now)
        return _Measure(notes, length)

    def _skipped(self, note: Element) -> bool:
        """Grace and cue notes take no time of their own; percussion has time and no pitch."""
        for kind in ("grace", "cue"):
            if note.find(kind) is not None:
                self.left_out[f"{kind} notes"] += 1
                return True
        if note.find("unpitched") is not None:
            self.left_out["unpitched notes"] += 1
        return False

    def _attributes(self, attributes: Element, place: str) -> None:
        if attributes.find("divisions") is not None:
            self.divisions = _number(attributes, "divisions", place)
            if self.divisions <= 0:
                raise DataError("divisions must be above 0", place=place)
        moved = attributes.find("transpose")
        if moved is not None:
            octaves = _number(moved, "octave-change", place) if moved.find("octave-change") is not None else 0
            self.transpose = _whole(_number(moved, "chromatic", place) + 12 * octaves, place)

    def _duration(self, each: Element, place: str) -> Fraction:
        found = _number(each, "duration", place)
        if found < 0:
            raise DataError(f"a duration of {found}", place=place)
        return found / self.divisions

    def _midi(self, note: Element, place: str) -> int:
        pitch = note.find("pitch")
        assert pitch is not None
        step = (pitch.findtext("step") or "").strip()
        if step not in STEPS:
            raise DataError(f"a note named {step!r}", place=place)
        alter = _number(pitch, "alter", place) if pitch.find("alter") is not None else Fraction(0)
        octave = _whole(_number(pitch, "octave", place), place)
        return 12 * (octave + 1) + STEPS[step] + _whole(alter, place) + self.transpose


def _number(parent: Element, name: str, place: str) -> Fraction:
    text = (parent.findtext(name) or "").strip()
    try:
        return _fraction(text)
    except (ValueError, ZeroDivisionError):
        raise DataError(f"<{parent.tag}> has <{name}> {text!r}, which is no number", place=place) from None


@lru_cache(4096)
def _fraction(text: str) -> Fraction:
    return Fraction(text)


def _whole(number: Fraction, place: str) -> int:
    if number.denominator != 1:
        raise DataError(f"a pitch between two semitones: {float(number):g}", place=place)
    return int(number)


def _unpacked(raw: bytes, place: str) -> bytes:
    """The score within a .mxl: the file that its container names first."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            container = _tree(_member(packed, "META-INF/container.xml", place), place)
            found = next((each for each in container.iter() if each.tag.rpartition("}")[2] == "rootfile"), None)
            if found is None:
                raise DataError("its container names no score", place=place)
            return _member(packed, str(found.get("full-path")), place)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"is no sound .mxl file: {error}", place=place, hint="copy it again") from error


def _member(packed: zipfile.ZipFile, name: str, place: str) -> bytes:
    try:
        with packed.open(name) as file:
            found = file.read(MOST_BYTES + 1)
    except KeyError:
        raise DataError(f"has no member {name}", place=place) from None
    if len(found) > MOST_BYTES:
        raise DataError(f"{name} is larger than {MOST_BYTES >> 20} MB: that is no score", place=place)
    return found


def _tree(raw: bytes, place: str) -> Element:
    """Elements without anything that a document type could bring in."""
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*declared: Any) -> None:
        raise DataError(f"declares the entity {declared[0]!r}, and a score needs none", place=place)

    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(raw, True)
        return builder.close()
    except expat.ExpatError as error:
        raise DataError(f"is no sound XML: {error}", place=place) from error
