"""Reading with a deadline that holds for every library: a thread reads, and whoever waits for it gives up in time."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

CHUNK_BYTES = 1 << 22


def chunks(opener: Callable[[], contextlib.AbstractContextManager[Any]], stall_s: float) -> Iterator[bytes]:
    """What the file that `opener` opens holds.

    Raises:
        TimeoutError: nothing came for `stall_s`; the thread that hangs is left behind, and ends with the process.
        Exception: whatever opening or reading raised.
    """
    ready: queue.Queue[bytes | BaseException] = queue.Queue(maxsize=2)
    left = threading.Event()

    def put(item: bytes | BaseException) -> bool:
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.5)
                return True
        return False

    def read() -> None:
        try:
            with opener() as file:
                while (chunk := file.read(CHUNK_BYTES)) and put(chunk):
                    pass
            put(b"")
        except BaseException as error:
            put(error)

    threading.Thread(target=read, name="gatesweep-read", daemon=True).start()
    try:
        while True:
            try:
                item = ready.get(timeout=stall_s)
            except queue.Empty:
                raise TimeoutError(f"nothing came for {stall_s:g} s") from None
            if isinstance(item, BaseException):
                raise item
            if not item:
                return
            yield item
    finally:
        left.set()
