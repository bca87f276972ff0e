"""What a trial prints, kept where `gatesweep logs --trial` finds it: logs/<t0007>/a<attempt>-<nonce>.log.

Whatever reaches stdout and stderr while the attempt runs also goes into a bounded buffer here, which is put into the
sweep's place with every checkpoint and at the end. A process runs one trial at a time.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from gatesweep.errors import StorageError
from gatesweep.storage import Place

MOST_BYTES = 1 << 20
"""Of a trial that prints more, the newest is kept."""


class Output:
    """`with Output(place, name):` keeps what is printed meanwhile."""

    def __init__(self, at: Place, name: str) -> None:
        self._at, self._name = at, name
        self._text = bytearray()
        self._lock = threading.Lock()
        self._changed = False

    def __enter__(self) -> Output:
        self._streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (_Tee(stream, self._take) for stream in self._streams)
        return self

    def __exit__(self, *error: object) -> None:
        sys.stdout, sys.stderr = self._streams
        self.put()

    def line(self, text: str) -> None:
        """A line of our own, with the time."""
        self._take(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n")

    def put(self) -> None:
        """Bring the place up to date. Storage that is away now is asked again next time: this is no reason to die."""
        with self._lock:
            if not self._changed:
                return
            text, self._changed = bytes(self._text), False
        try:
            self._at.write(self._name, text)
        except (StorageError, OSError):
            with self._lock:
                self._changed = True

    def _take(self, text: str) -> None:
        with self._lock:
            self._text += text.encode(errors="replace")
            del self._text[: max(0, len(self._text) - MOST_BYTES)]
            self._changed = True


class _Tee:
    """A stream that somebody else reads along."""

    def __init__(self, stream: Any, heard: Any) -> None:
        self._stream, self._heard = stream, heard

    def write(self, text: str) -> int:
        self._heard(text)
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
