"""Vectors of words from outside: the catalogue's GloVe, files of word2vec or GloVe, or word2vec trained here.

A word that the file lacks starts as noise of the spread that the found ones have, drawn from the seed; padding is zero.
Letters: V words of the vocabulary, F words of the file, D width.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatesweep.config.digest import digest
from gatesweep.config.places import find_root, home
from gatesweep.errors import DataError, UserError
from gatesweep.tasks.text.vocabulary import Vocabulary

Floats = NDArray[np.float32]
INSTALL = "pip install 'gatesweep[pretrained]'"
EPOCHS, WINDOW, NEGATIVE = 5, 5, 5


@dataclass(frozen=True)
class WordVectors:
    """Words and their vectors as read."""

    words: Sequence[str]
    vectors_FD: Floats
    place: str

    def matrix(self, vocabulary: Vocabulary, *, size: int | None, seed: int) -> tuple[Floats, NDArray[np.bool_]]:
        """`start_VD`, and which words were found; a word that is there in capitals alone is taken so.

        Raises:
            DataError: another width than `size`, or not one word in common.
        """
        width = self.vectors_FD.shape[1]
        if size is not None and size != width:
            raise DataError(f"its vectors have {width} numbers, and model.embedding_size is {size}", place=self.place,
                            hint=f"embedding_size: {width}, or leave it out")  # fmt: skip
        folded = {word.lower(): number for number, word in reversed(list(enumerate(self.words)))}
        exact = {word: number for number, word in enumerate(self.words)}
        from_V = np.array([exact.get(word, folded.get(word, -1)) for word in vocabulary.words])
        found_V = from_V >= 0
        if not found_V.any():
            raise DataError(f"has none of the {len(vocabulary):,} words of the vocabulary", place=self.place)
        rng = np.random.default_rng(seed)
        known = self.vectors_FD[from_V[found_V]]
        start_VD = rng.normal(0.0, float(known.std()), (len(vocabulary), width)).astype(np.float32)
        start_VD[found_V] = known
        start_VD[0] = 0.0
        return start_VD, found_V


def packaged(folder: Path) -> WordVectors:
    """The catalogue's set `glove`."""
    import pandas as pd

    words = pd.read_parquet(next(folder.glob("*.parquet")))["index"].tolist()
    vectors_FD = np.load(next(folder.glob("*.npy")), mmap_mode="r", allow_pickle=False)
    return WordVectors(words, vectors_FD, "glove")


def read_vectors(path: Path) -> WordVectors:
    """A file of word2vec (.bin, or text with a first line of two numbers) or GloVe (text without it), also gzipped.

    Raises:
        DataError: it is neither, or cut short.
        UserError: gensim is not installed.
    """
    try:
        from gensim.models import KeyedVectors
    except ImportError:
        raise UserError("files of word vectors are read by the package gensim", hint=INSTALL) from None
    binary = ".bin" in path.suffixes
    try:
        found = KeyedVectors.load_word2vec_format(
            str(path), binary=binary, no_header=not (binary or _has_header(path)), unicode_errors="strict"
        )
    except (ValueError, EOFError, OSError, IndexError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as {'binary' if binary else 'text'} word vectors: {error}", place=str(path),
                        hint="word2vec's .bin, or text: a word and its numbers a line") from error  # fmt: skip
    named_F = np.array([word is not None for word in found.index_to_key])  # a repeated word leaves a row without a name
    words, vectors_FD = [word for word in found.index_to_key if word is not None], found.vectors[named_F]
    _refuse_constant(words, vectors_FD, path)
    _refuse_no_number(words, vectors_FD, path)
    return WordVectors(words, vectors_FD, str(path))


def _refuse_no_number(words: Sequence[str], vectors_FD: Floats, path: Path) -> None:
    bad_F = ~np.isfinite(vectors_FD).all(axis=1)
    if bad_F.any():
        raise DataError(f"{int(bad_F.sum()):,} words have NaN or infinity in their vectors, the first is"
                        f" {words[int(bad_F.argmax())]!r}", place=str(path))


def _refuse_constant(words: Sequence[str], vectors_FD: Floats, path: Path) -> None:
    """gensim spreads a line's only number over the whole vector, without a word."""
    constant_F = (vectors_FD == vectors_FD[:, :1]).all(axis=1) & (vectors_FD.shape[1] > 1)
    if constant_F.any():
        raise DataError(f"cannot be read as word vectors: {int(constant_F.sum()):,} words have one number in place of"
                        f" {vectors_FD.shape[1]}, the first is {words[int(constant_F.argmax())]!r}", place=str(path))


def _has_header(path: Path) -> bool:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        return len(file.readline(1 << 16).split()) == 2


def trained(sentences: Sequence[Sequence[str]], *, size: int, seed: int) -> WordVectors:
    """Skip-gram with negative sampling (Mikolov et al. 2013) on these texts; kept in the home folder's cache.

    One worker and its own generator: the same texts and seed give the same numbers.

    Raises:
        UserError: gensim is not installed.
    """
    try:
        from gensim.models import Word2Vec
    except ImportError:
        raise UserError("word2vec is trained by the package gensim", hint=INSTALL) from None
    key = digest([_digest_of(sentences), size, seed, EPOCHS, WINDOW, NEGATIVE])[:32]
    file = home(find_root()) / "cache" / "word2vec" / f"{key}.npz"
    if not file.is_file():
        model = Word2Vec(sentences, vector_size=size, window=WINDOW, min_count=1, sg=1, negative=NEGATIVE, workers=1,
                         seed=seed, epochs=EPOCHS)  # fmt: skip
        _write(file, model.wv.index_to_key, model.wv.vectors)
    with np.load(file, allow_pickle=False) as kept:
        return WordVectors(kept["words"].tolist(), kept["vectors"], "word2vec of the training texts")


def _digest_of(sentences: Iterable[Sequence[str]]) -> str:
    return digest([" ".join(words) for words in sentences])


def _write(file: Path, words: Sequence[str], vectors_FD: Floats) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".npz", delete=False) as temporary:
        np.savez(temporary, words=np.array(words), vectors=vectors_FD)
    os.replace(temporary.name, file)
