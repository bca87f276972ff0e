"""Numbers, values and names as a reader sees them, on the page and on the terminal."""

from __future__ import annotations

import html
import json
import math
import re
from typing import Any

_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BREAKS = re.compile("[\u0085\u2028\u2029]")


def number(value: float | None, digits: int = 4) -> str:
    """Four significant digits, whole numbers whole: 0.01235, 128, 1.2e-05."""
    if value is None:
        return "—"
    if isinstance(value, bool) or not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    if abs(value) >= 10**digits:
        return f"{value:.0f}" if abs(value) < 1e9 else f"{value:.{digits - 1}e}"
    return f"{value:.{digits}g}"


def duration(seconds: float | None) -> str:
    """`8.4 s`, `2 min 41 s`, `3 h 05 min`, `2 d 4 h`."""
    if seconds is None:
        return "—"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    if minutes == 0:
        return f"{rest_s} s"
    if hours == 0:
        return f"{minutes} min {rest_s:02d} s"
    return f"{hours} h {rest_min:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def shown(value: Any) -> str:
    """A configuration value as the file would have it: `0.003`, `adamw`, `none`, `true`, `[1, 2]`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else compact(value)


def exact(value: Any) -> str:
    """Like `shown`, with every digit: what a command line needs to get the same value again."""
    return repr(value) if isinstance(value, float) else shown(value)


def compact(value: Any) -> str:
    """A nested value on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(part)}" for key, part in value.items()) or "—"
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        return str(value)


def clean(text: str) -> str:
    """Text without terminal colours, control characters and lone surrogates, which no file can hold."""
    text = _CONTROL.sub("", _TERMINAL_CODES.sub("", _BREAKS.sub("\n", text)))
    return text.encode("utf-8", "replace").decode("utf-8")


def escape(text: Any) -> str:
    """Any text, safe between tags and inside quoted attributes."""
    return html.escape(clean(str(text)), quote=True)


def shortened(text: str, most: int = 24) -> str:
    """At most `most` characters, the end given up for an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def script_json(value: Any) -> str:
    """JSON that may stand inside a script element: no `<`, `>` or `&`, pure ASCII, so no U+2028 either.

    Raises:
        ValueError: `value` holds a NaN or an infinity, which JSON does not know.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
