"""Recordings of a set or of the user's own: who says what in which file; what is odd is counted and said.

    wave          one .wav as numbers at one rate         recordings   what is known of a file before it is opened
    fsdd          {digit}_{speaker}_{take}.wav            commands     <word>/<speaker>_nohash_<n>.wav and its lists
    transcripts   any folder of wav + transcripts.csv     characters   the set `digits`: one recording a character
    vowels        LPC frames in .ts files                 sounds       all of a set, opened, judged and kept by content
    quality       silent, clipped, wrong rate, repeated, leaking between splits

"""

from __future__ import annotations

import importlib
from typing import Any

_LAZY = {
    "Recording": "recordings", "Recordings": "recordings", "read_fsdd": "fsdd", "read_commands": "commands",
    "read_transcripts": "transcripts", "read_characters": "characters", "read_vowels": "vowels", "Sounds": "sounds",
    "open_sounds": "sounds", "read_wave": "wave", "audio_quality": "quality", "is_audio": "quality",
}  # fmt: skip
__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'gatesweep.data.audio' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
