"""A configuration's digest: the same words for the same settings, whatever the order of the keys."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; floats as Python's shortest exact form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex (64 characters)."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def seed_of(*parts: int | str) -> int:
    """A 32-bit seed that is a function of its parts: `seed_of(sweep_seed, "trial", 7)`."""
    return int.from_bytes(hashlib.sha256(canonical(list(parts)).encode()).digest()[:4], "big")
