"""What a configuration may say, and what is refused before anything is read."""

from __future__ import annotations

from typing import Any

import pytest
from labelled_texts import network
from pydantic import ValidationError

from gatesweep.errors import ConfigError
from gatesweep.runs.experiment import experiment_from
from gatesweep.tasks.classification.config import ClassificationData, ClassificationModel
from gatesweep.tasks.classification.metrics import NAMES
from gatesweep.tasks.registry import TASKS


@pytest.mark.parametrize(("values", "said"), [
    ({}, "one of 'name' and 'path'"),
    ({"name": "imdb"}, "'imdb' is read from a folder of yours"),
    ({"name": "reviews", "path": "my.csv"}, "takes no 'path'"),
    ({"path": "my.csv", "part": "all"}, "'part' goes with"),
    ({"path": "my.csv", "splits": {"train": 0.9, "val": 0.2}}, "add up to 1.2"),
])  # fmt: skip
def test_texts_that_come_from_nowhere_or_twice_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ClassificationData(**values)


@pytest.mark.parametrize(("values", "said"), [
    ({"freeze": True}, "learned from scratch cannot be frozen"),
    ({"beside": 8}, "'beside' goes with a BERT-type encoder"),
    ({"embeddings": "minilm"}, "leave embedding_size out"),
    ({"encoder": False, "segment_length": 64, "pool_words": True}, "'segment_length' and 'pool_words': there is no"),
    ({"embeddings": "vectors.bin", "beside": 8}, "'beside' goes with a BERT-type encoder"),
])  # fmt: skip
def test_embeddings_that_contradict_themselves_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        network(**values)


@pytest.mark.parametrize(("embeddings", "contextual"), [
    ("learned", False), ("word2vec", False), ("glove", False), ("minilm", True), ("my/vectors.txt", False),
    ("my/GoogleNews.bin.gz", False), ("my/crawl.vec", False), ("my/bert-base", True),
])  # fmt: skip
def test_a_file_holds_word_vectors_and_a_folder_an_encoder(embeddings: str, contextual: bool) -> None:
    assert ClassificationModel(embeddings=embeddings).contextual is contextual


def test_the_metrics_are_those_that_the_registry_names() -> None:
    assert TASKS["sequence_classification"].metrics == NAMES


def test_a_run_to_start_from_must_be_named() -> None:
    with pytest.raises(ConfigError, match="one of 'run' and 'checkpoint' must say whose weights"):
        experiment_from({"task": "sequence_classification", "data": {"name": "reviews"},
                         "init_from": {"parts": ["encoder"]}}, place="test")  # fmt: skip
