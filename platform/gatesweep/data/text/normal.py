"""The form in which two texts count as the same: compatibility forms folded, no case, no markup, no punctuation.

    text_key("It's <br />GREAT!!") == text_key("it s great") == "it s great"
"""

from __future__ import annotations

import re
import unicodedata

_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_OTHER = re.compile(r"[\W_]+")


def text_key(text: str) -> str:
    """Texts of one key are duplicates; an empty key means that a text says nothing."""
    folded = unicodedata.normalize("NFKC", _BREAK.sub(" ", text)).casefold()
    return _OTHER.sub(" ", folded).strip()
