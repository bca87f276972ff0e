"""Which vectors the tokens start with, the network around them, and what votes beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from gatesweep.data.fetch import Dataset, ensure, user_data
from gatesweep.models.bag_of_pairs import BagOfPairs
from gatesweep.models.bert import BertTokens, settings
from gatesweep.models.classifier import Classifier
from gatesweep.tasks.classification.config import ClassificationModel
from gatesweep.tasks.classification.features import Features
from gatesweep.tasks.classification.prepare import Prepared
from gatesweep.tasks.classification.reading import Pieces
from gatesweep.tasks.text.vectors import WordVectors, packaged, read_vectors, trained

DEFAULT_SIZE = 64


@dataclass(frozen=True)
class Source:
    """Where the vectors come from."""

    dataset: Dataset | None
    """A set or a file; none where they are learned from the texts alone."""

    pieces: Pieces | None
    """How texts are read, where a BERT-type encoder says it."""

    width: int = 0
    """Of that encoder."""

    said: list[str] = field(default_factory=list)
    """What was found, for the log."""


def source_of(model: ClassificationModel, say: Callable[[str], None]) -> Source:
    """The set or file of the embeddings, verified, and the pieces that it wants texts in.

    Raises:
        DataError: it is not there, or not what it should be.
    """
    if model.embeddings in ("learned", "word2vec"):
        return Source(None, None)
    named = model.embeddings in ("glove", "minilm")
    dataset = ensure(model.embeddings, say=say) if named else user_data(model.embeddings)
    if not model.contextual:
        return Source(dataset, None)
    width = int(settings(dataset.path)["hidden_size"])
    return Source(dataset, Pieces(dataset.path), width)


def features_of(model: ClassificationModel, source: Source, say: Callable[[str], None]) -> Features | None:
    """The cache of a frozen encoder's vectors; none without such an encoder."""
    if not (model.contextual and model.freeze):
        return None
    assert source.dataset is not None, "an encoder comes from a folder"
    folder = source.dataset.path
    return Features(source.dataset.md5, lambda: BertTokens(folder), say)


def build_network(model: ClassificationModel, prepared: Prepared, source: Source, seed: int) -> Classifier:
    """The network with weights that are a function of `seed`, whatever was drawn before."""
    vocabulary = prepared.reader.vocabulary
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        context = BertTokens(source.dataset.path) if model.contextual and not model.freeze and source.dataset else None
        return Classifier(
            model, labels=len(prepared.labels), embedding=_embedding(model, prepared, source, seed), context=context,
            context_size=source.width, pooling=model.pooling, encode=model.encoder, head_size=model.head_size,
            unknown=vocabulary.unknown or 0, word_dropout=model.word_dropout, embedding_dropout=model.embedding_dropout,
            pooled_dropout=model.pooled_dropout, segment_length=model.segment_length,
            pool_words=model.pool_words,
        )  # fmt: skip


def bag_of(prepared: Prepared, model: ClassificationModel) -> BagOfPairs | None:
    """The linear baseline as a module that votes; none where it has no weight."""
    if not model.bag:
        return None
    fitted = prepared.bigrams
    return BagOfPairs(fitted.key_F, fitted.weight_RF, fitted.bias_R, words=fitted.words)


def _embedding(model: ClassificationModel, prepared: Prepared, source: Source, seed: int) -> nn.Embedding | None:
    words = len(prepared.reader.vocabulary)
    if model.contextual or model.embeddings == "learned":
        size = model.beside if model.contextual else model.embedding_size or DEFAULT_SIZE
        return _learned(words, size) if size else None
    start_VD, found_V = _vectors(model, prepared, source, seed).matrix(
        prepared.reader.vocabulary, size=model.embedding_size, seed=seed)  # fmt: skip
    count_V = np.bincount(np.concatenate(prepared.sides["train"].rows), minlength=words)
    source.said.append(f"embeddings: {model.embeddings}, {start_VD.shape[1]} numbers a word, has {found_V.sum():,} of"
                       f" {words:,} words, {count_V[found_V].sum() / count_V.sum():.1%} of the training text")
    return nn.Embedding.from_pretrained(torch.from_numpy(start_VD), freeze=model.freeze, padding_idx=0)


def _learned(words: int, size: int) -> nn.Embedding:
    made = nn.Embedding(words, size, padding_idx=0)
    nn.init.normal_(made.weight, std=0.1)
    with torch.no_grad():
        made.weight[0].zero_()
    return made


def _vectors(model: ClassificationModel, prepared: Prepared, source: Source, seed: int) -> WordVectors:
    if model.embeddings == "word2vec":
        decode = prepared.reader.vocabulary.decode
        sentences = [decode(row) for row in prepared.sides["train"].rows]
        return trained(sentences, size=model.embedding_size or DEFAULT_SIZE, seed=seed)
    assert source.dataset is not None, "other vectors come from a set or a file"
    return packaged(source.dataset.path) if model.embeddings == "glove" else read_vectors(source.dataset.path)
