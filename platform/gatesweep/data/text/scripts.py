"""Which script a text is written in, by the first word of its letters' Unicode names: LATIN, CYRILLIC, HIRAGANA, CJK, …

A set's own scripts are those of at least 1% of its letters; a text is in the wrong script when more than half of its
letters are in another one.
"""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter
from collections.abc import Sequence

OWN_SHARE = 0.01
WRONG_SHARE = 0.5


def scripts_of(text: str) -> Counter[str]:
    """Script -> letters."""
    if text.isascii():
        letters = sum(map(str.isalpha, text))
        return Counter({"LATIN": letters} if letters else {})
    found: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if character.isalpha():
            found[_script(character)] += count
    return found


@functools.lru_cache(maxsize=1 << 16)
def _script(character: str) -> str:
    first = unicodedata.name(character, "UNNAMED").split()[0]
    return {"FULLWIDTH": "LATIN", "KATAKANA-HIRAGANA": "KATAKANA", "HALFWIDTH": "KATAKANA",
            "IDEOGRAPHIC": "CJK"}.get(first, first)


def wrong_script(texts: Sequence[str], expected: Sequence[str] = ()) -> tuple[list[int], dict[str, float]]:
    """Places of the texts in a wrong script, and the share of each script in all letters.

    Args:
        expected: the scripts that belong there; by default the set's own.
    """
    each = [scripts_of(text) for text in texts]
    total: Counter[str] = Counter()
    for counts in each:
        total.update(counts)
    letters = total.total()
    shares = {name: count / letters for name, count in total.most_common()}
    own = set(expected) or {name for name, share in shares.items() if share >= OWN_SHARE}
    wrong = [place for place, counts in enumerate(each)
             if sum(count for name, count in counts.items() if name not in own) > WRONG_SHARE * counts.total()]
    return wrong, shares
