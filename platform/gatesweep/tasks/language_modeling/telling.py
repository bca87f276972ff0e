"""Lines for the log: what was read, what became `<unk>`, how it is laid out."""

from __future__ import annotations

from gatesweep.tasks.language_modeling.config import LanguageData
from gatesweep.tasks.language_modeling.corpus import Corpus, Part
from gatesweep.tasks.language_modeling.streams import StreamsModule


def describe(corpus: Corpus, data: LanguageData, module: StreamsModule) -> list[str]:
    """Lines for the log."""
    unit = "characters" if data.characters else "words"
    lines = [*corpus.said, f"vocabulary: {len(corpus.vocabulary):,} {unit}; the training text has {corpus.distinct:,},"
             " ends of lines beside"]  # fmt: skip
    lines += [told(split, part) for split, part in corpus.parts.items()]
    dropped = len(corpus.parts["train"].ids_N) % module.batch_size
    lines.append(f"training: {module.batch_size} streams, windows of {data.bptt} steps, the state carried, anew with"
                 f" each epoch; the last {dropped} tokens left out")
    lines.append(f"evaluation: {data.eval_streams} streams, the state carried, every token counted once")
    return lines


def told(split: str, part: Part) -> str:
    """One split in one line."""
    more = f", {part.empty:,} of them empty" if part.empty else ""
    share = 100 * part.unknown / len(part.ids_N)
    return (f"{split}: {len(part.ids_N):,} tokens in {part.lines:,} lines{more}; {part.unknown:,} ({share:.2f}%) are"
            " not in the vocabulary, and read as <unk>")  # fmt: skip
