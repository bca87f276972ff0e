"""Words out of running text.

    word_tokens("I didn't <br />like it: 7/10!")  ->  i did n't like it : 7 / 10 !
"""

from __future__ import annotations

import re

MARKUP = re.compile(r"<[a-zA-Z/][^<>]{0,40}>")
"""Line breaks and the like, as web pages leave them in their text."""

WORD = re.compile(
    r"""
      [^\W\d_]+?(?=n['’]t\b)      # did | n't
    | n['’]t\b
    | ['’](?:s|re|ve|ll|d|m)\b    # it | 's
    | [^\W\d_]+(?:-[^\W\d_]+)*    # letters, with dashes inside
    | \d+(?:[.,]\d+)*             # 7, 1.5, 10,000
    | [^\w\s]                     # punctuation, one sign at a time
    """,
    re.VERBOSE | re.IGNORECASE,
)


def word_tokens(text: str, *, lower: bool = True) -> list[str]:
    """Words, numbers and signs in their order; markup is left out, negations and clitics stand alone (as in the Penn
    Treebank)."""
    found = WORD.findall(MARKUP.sub(" ", text))
    return [token.lower() for token in found] if lower else found
