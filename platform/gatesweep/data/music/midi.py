"""Piano rolls to a standard MIDI file: one track, a note for as long as it sounds in a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import UserError

TICKS = 480
"""To a quarter note."""


def write_midi(path: Path, frames: Sequence[Sequence[int]], *, quarters: float = 1.0, tempo: float = 90.0) -> None:
    """Write MIDI numbers, frame by frame.

    Args:
        quarters: how long a frame is, in quarter notes.
        tempo: quarter notes a minute.

    Raises:
        UserError: mido is not installed, or the file cannot be written.
    """
    mido = _mido()
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))])
    sounding: set[int] = set()
    now = 0
    for step, notes in enumerate([*frames, ()]):
        at, next_ones = round(step * quarters * TICKS), set(notes)
        changes = [("note_off", note) for note in sorted(sounding - next_ones)]
        changes += [("note_on", note) for note in sorted(next_ones - sounding)]
        for kind, note in changes:
            track.append(mido.Message(kind, note=note, velocity=72 if kind == "note_on" else 0, time=at - now))
            now = at
        sounding = next_ones
    track.append(mido.MetaMessage("end_of_track", time=round(len(frames) * quarters * TICKS) - now))
    try:
        mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track]).save(path)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror or error}", place=str(path)) from error


def _mido() -> Any:
    try:
        import mido
    except ImportError as error:
        raise UserError("MIDI files are written by mido, which is not installed",
                        hint="pip install 'mido>=1.3,<2'") from error
    return mido
