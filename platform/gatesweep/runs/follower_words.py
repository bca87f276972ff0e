"""What worker 0 and a following process of this machine say to each other: one line of JSON each way.

    order   {config, data_md5, rank, size, host, port, resumes, was}
    end     null, or {kind, message, place, hint} of what ended it
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gatesweep import errors
from gatesweep.errors import GatesweepError
from gatesweep.train.config import OptimizerConfig
from gatesweep.train.team import Before, Seat


def order(config: Mapping[str, Any], data_md5: Mapping[str, str], seat: Seat) -> bytes:
    """A training to follow, and the place in its team."""
    was = seat.before.was
    told = {"config": dict(config), "data_md5": dict(data_md5), "rank": seat.rank, "size": seat.size, "host": seat.host,
            "port": seat.port, "resumes": seat.before.resumes,
            "was": None if was is None else was.model_dump(mode="json")}  # fmt: skip
    return json.dumps(told).encode() + b"\n"


def read_order(line: bytes) -> tuple[dict[str, Any], dict[str, str], Seat]:
    """The configuration, the digests that the data must have, and the seat."""
    told = json.loads(line)
    was = None if told["was"] is None else OptimizerConfig.model_validate(told["was"])
    seat = Seat(told["rank"], told["size"], told["host"], told["port"], Before(told["resumes"], was))
    return told["config"], told["data_md5"], seat


def end(error: Exception | None) -> bytes:
    """How it ended; an error that is none of ours, by its text."""
    if error is None:
        return b"null\n"
    if isinstance(error, GatesweepError):
        told = {"kind": type(error).__name__, "message": error.message, "place": error.place, "hint": error.hint}
    else:
        told = {"kind": "", "message": str(error), "place": None, "hint": None}
    return json.dumps(told).encode() + b"\n"


def read_end(line: bytes) -> Exception | None:
    """The error again, of its own class where that is one of ours."""
    told = json.loads(line)
    if told is None:
        return None
    kind = getattr(errors, told["kind"], None)
    if isinstance(kind, type) and issubclass(kind, GatesweepError):
        return kind(told["message"], place=told["place"], hint=told["hint"])
    return RuntimeError(told["message"])
