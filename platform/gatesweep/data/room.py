"""Room on a node's disk: sets that nobody uses are thrown away, the longest unused first, when a new one needs it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

from .node_disk import FULL, free_bytes, unclaimed
from .scratch import Say
from .shelf import Shelf

T = TypeVar("T")


def make_room(shelf: Shelf, needs_bytes: int, limit_bytes: int | None, keep: frozenset[str], say: Say) -> None:
    """See the module. The lock of the shelf is held.

    Args:
        limit_bytes: of all objects together; none leaves that to the disk.
        keep: objects that are wanted now.

    Raises:
        OSError: ENOSPC: there is less, whatever is thrown away.
    """
    while (room := _room(shelf, limit_bytes)) < needs_bytes:
        if not drop_one(shelf, keep, say):
            over = free_bytes(shelf.folder) >= needs_bytes
            raise OSError(errno.ENOSPC, f"the limit of {limit_bytes:,} bytes leaves {room:,}" if over
                          else os.strerror(errno.ENOSPC))


def with_room(shelf: Shelf, action: Callable[[], T], keep: frozenset[str], say: Say) -> T:
    """What `action` gives; again, with a set less, as long as the disk is full and there is one to throw away.

    Raises:
        OSError: as `action`.
    """
    while True:
        try:
            return action()
        except OSError as error:
            if error.errno not in FULL or not drop_one(shelf, keep, say):
                raise


def drop_one(shelf: Shelf, keep: frozenset[str], say: Say) -> bool:
    """Throw away what an interrupted fetch left over, or else one set; False where there is nothing to throw away."""
    if shelf.sweep_out(keep):
        return True
    for md5 in _longest_unused_first(shelf):
        with unclaimed(shelf.claim_at(md5)) as nobody_uses_it:
            if nobody_uses_it:
                say(f"no room for more: the set {md5} leaves {shelf.folder}, where nobody uses it")
                shelf.throw_away(md5)
                shelf.sweep_out(keep)
                return True
    return False


def _longest_unused_first(shelf: Shelf) -> list[str]:
    def last_use(md5: str) -> float:
        mark = shelf.claim_at(md5)
        return mark.stat().st_mtime if mark.exists() else 0.0

    return sorted((each.name for each in shelf.sets.glob("*")), key=last_use)


def _room(shelf: Shelf, limit_bytes: int | None) -> int:
    free = free_bytes(shelf.folder)
    if limit_bytes is None:
        return free
    used = sum(path.lstat().st_size for path in shelf.objects.glob("??/*"))
    return min(free, limit_bytes - used)
