"""Vectors from outside: files, the ones trained here, a BERT-type encoder of two layers made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors
from labelled_texts import made_texts, network, task_of, written
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

from gatesweep.errors import DataError
from gatesweep.tasks.classification.config import ClassificationModel
from gatesweep.tasks.classification.features import Features
from gatesweep.tasks.text.vectors import read_vectors, trained
from gatesweep.tasks.text.vocabulary import Vocabulary

WORDS = ["good", "bad", "the", "Film"]


@pytest.fixture
def csv_file(tmp_path: Path, own_home: Path) -> Path:
    return written(made_texts(), tmp_path / "made.csv")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `transformers` writes it."""
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "film", "good", "bad", "plot", "great", "aw", "##ful", "a"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(words), hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=16, max_position_embeddings=64)  # fmt: skip
    config.save_pretrained(folder)
    save_file(BertModel(config, add_pooling_layer=False).state_dict(), folder / "model.safetensors", {"format": "pt"})
    return folder


def vectors(folder: Path, size: int = 6) -> dict[str, Path]:
    """The same vectors in the three layouts."""
    keyed = KeyedVectors(size)
    keyed.add_vectors(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), size)).astype(np.float32))
    files = {"glove": folder / "glove.txt", "text": folder / "w2v.vec", "bin": folder / "w2v.bin"}
    keyed.save_word2vec_format(str(files["glove"]), binary=False, write_header=False)
    keyed.save_word2vec_format(str(files["text"]), binary=False)
    keyed.save_word2vec_format(str(files["bin"]), binary=True)
    return files


def test_a_repeated_word_keeps_its_first_vector_and_nan_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "glove.txt"
    file.write_text("good 0.5 1.0\nbad 1.5 -1.0\ngood 9.0 8.0\n")
    found = read_vectors(file)
    assert (list(found.words), found.vectors_FD.tolist()) == (["good", "bad"], [[0.5, 1.0], [1.5, -1.0]])
    file.write_text("good 0.5 1.0\nbad nan nan\n")
    with pytest.raises(DataError, match="1 words have NaN or infinity in their vectors, the first is 'bad'"):
        read_vectors(file)


def test_glove_text_and_bin_files_give_the_same_vectors(tmp_path: Path) -> None:
    read = {kind: read_vectors(file) for kind, file in vectors(tmp_path).items()}
    expected = np.random.default_rng(0).normal(size=(len(WORDS), 6)).astype(np.float32)
    for found in read.values():
        assert list(found.words) == WORDS
        np.testing.assert_allclose(found.vectors_FD, expected, rtol=1e-6)


def test_a_word_takes_its_vector_in_capitals_too_a_new_one_noise_and_padding_zeros(tmp_path: Path) -> None:
    found = read_vectors(vectors(tmp_path)["bin"])
    vocabulary = Vocabulary(["<pad>", "<unk>", "film", "bad", "zyzzyva"])
    start_VD, found_V = found.matrix(vocabulary, size=6, seed=1)
    assert found_V.tolist() == [False, False, True, True, False]
    assert (start_VD[2] == found.vectors_FD[3]).all()
    assert (start_VD[3] == found.vectors_FD[1]).all()
    assert (start_VD[0] == 0).all()
    assert (start_VD[4] != 0).all()
    assert (start_VD == found.matrix(vocabulary, size=None, seed=1)[0]).all()


def test_a_file_of_another_width_is_refused_with_both_numbers(csv_file: Path, tmp_path: Path) -> None:
    file = vectors(tmp_path)["glove"]
    with pytest.raises(DataError, match=r"its vectors have 6 numbers, and model\.embedding_size is 50"):
        task_of(csv_file, model=network(embeddings=str(file), embedding_size=50))


def test_a_file_that_is_something_else_or_cut_short_is_refused(tmp_path: Path) -> None:
    files = vectors(tmp_path)
    files["bin"].write_bytes(files["bin"].read_bytes()[:-30])
    (tmp_path / "short.txt").write_text("good 0.1 0.2 0.3\nbad 0.1 0.2\n")
    (tmp_path / "one.txt").write_text("good 0.1 0.2 0.3\nbad 0.1\n")
    for file in (files["bin"], tmp_path / "short.txt", tmp_path / "one.txt"):
        with pytest.raises(DataError, match="cannot be read as"):
            read_vectors(file)


def test_how_much_of_the_text_has_a_vector_is_said(csv_file: Path, tmp_path: Path) -> None:
    task = task_of(csv_file, model=network(embeddings=str(vectors(tmp_path)["text"])))
    line = next(line for line in task.describe() if line.startswith("embeddings:"))
    assert "6 numbers a word, has 4 of" in line
    assert [dataset.name for dataset in task.datasets] == ["made.csv", "w2v.vec"]


def test_word2vec_of_the_training_texts_is_the_same_twice_and_kept(own_home: Path) -> None:
    sentences = [text.split() for text in made_texts()["text"]]
    first, kept = trained(sentences, size=6, seed=3), trained(sentences, size=6, seed=3)
    assert len(list((own_home / "cache" / "word2vec").iterdir())) == 1
    next((own_home / "cache" / "word2vec").iterdir()).unlink()
    again = trained(sentences, size=6, seed=3)
    assert list(first.words) == list(again.words)
    assert (first.vectors_FD == again.vectors_FD).all()
    assert (first.vectors_FD == kept.vectors_FD).all()
    assert (first.vectors_FD != trained(sentences, size=6, seed=4).vectors_FD).any()


def test_pieces_and_vectors_of_an_encoder_are_those_of_transformers(csv_file: Path, bert: Path) -> None:
    task = task_of(csv_file, model=ClassificationModel(embeddings=str(bert), hidden_size=8))
    words = (bert / "vocab.txt").read_text().split()
    row = task.prepared.reader.read(["The good, awful FILM<br />plot"])[0]
    assert [words[number] for number in row] == ["the", "good", "[UNK]", "aw", "##ful", "film", "plot"]
    reference = BertModel.from_pretrained(bert, add_pooling_layer=False).eval()
    ids_BT = torch.tensor([[2, 4, 6, 3, 0], [2, 4, 5, 7, 3]])
    mask_BT = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
    expected = reference(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
    found = task.module.network.context.eval()(ids_BT, torch.tensor([4, 5]))
    torch.testing.assert_close(found[0, :4], expected[0, :4])
    torch.testing.assert_close(found[1], expected[1])


def test_features_are_computed_once_a_text_and_equal_the_encoders(csv_file: Path, bert: Path, own_home: Path) -> None:
    model = ClassificationModel(embeddings=str(bert), freeze=True, hidden_size=8)
    said: list[str] = []
    task = task_of(csv_file, model=model, say=said.append)
    assert not [name for name in task.module.state_dict() if "bert" in name]
    batch = next(iter(task.loader("test")))
    assert len([line for line in said if "computing" in line]) == 1
    encoder = task_of(csv_file, model=model.model_copy(update={"freeze": False})).module.network.context.eval()
    for row, length in enumerate(batch.lengths_B.tolist()):
        alone = encoder(batch.ids_BT[row : row + 1, :length], torch.tensor([length]))[0]
        torch.testing.assert_close(batch.context_BTD[row, :length], alone, rtol=2e-3, atol=2e-3)
        assert (batch.context_BTD[row, length:] == 0).all()
    again = Features(task.datasets[1].md5, lambda: pytest.fail("computed again"), said.append)
    again.complete(task.prepared.side("test").read(400, task.data, task.prepared.reader))


def test_a_folder_that_is_no_encoder_is_refused(csv_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(DataError, match=r"no model.safetensors and no vocab.txt"):
        task_of(csv_file, model=ClassificationModel(embeddings=str(folder)))
    for name in ("model.safetensors", "vocab.txt"):
        (folder / name).write_text("[UNK]\n[CLS]\n[SEP]\n")
    with pytest.raises(DataError, match="'gpt2'"):
        task_of(csv_file, model=ClassificationModel(embeddings=str(folder)))
