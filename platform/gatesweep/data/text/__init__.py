"""Text of a set or of the user's own: read strictly, what is odd counted and said, nothing mended silently.

    lines       one file as lines: UTF-8, gz or not              normal     the form in which texts are compared
    words       Penn Treebank, WikiText, any folder of *.txt     pairs      two languages, line by line
    labelled    text,label CSV        imdb  folders of IMDb      parallel   {train,val,test*}.{de,en}[.gz]
    reviews     the set `reviews`     films who shares a film    verses     the set `verses`
    account     what was read, dropped, noted

The names below load when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_LAZY = {
    "Lines": "lines", "read_lines": "lines", "text_key": "normal", "read_word_files": "words", "WordFiles": "words",
    "read_labelled_csv": "labelled", "refuse_unseen": "labelled", "read_imdb": "imdb", "read_reviews": "reviews",
    "Pair": "pairs", "Pairs": "pairs", "read_parallel": "parallel", "read_verses": "verses", "TextAccount": "account",
}  # fmt: skip
__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'gatesweep.data.text' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
