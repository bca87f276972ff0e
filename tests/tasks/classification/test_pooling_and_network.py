"""Pooling against loops; the network's inputs, dropout and parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gatesweep.errors import ShapeError
from gatesweep.models.classifier import Classifier
from gatesweep.models.config import ModelConfig
from gatesweep.models.pooling import Pooling

LENGTHS = (5, 3, 1)


def looped(kind: str, h_TO: torch.Tensor, last_O: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One sequence, without padding."""
    if kind == "max":
        return torch.stack([max(h_TO[:, o], key=float) for o in range(h_TO.shape[1])])
    if kind == "mean":
        return sum(h_TO) / len(h_TO)
    if kind == "last":
        return last_O
    weight, vector = pooling.attention.score[0], pooling.attention.score[2].weight[0]
    scores = [float(vector @ torch.tanh(weight.weight @ h_O + weight.bias)) for h_O in h_TO]
    total = sum(torch.tensor(score).exp() for score in scores)
    return sum(torch.tensor(score).exp() / total * h_O for score, h_O in zip(scores, h_TO, strict=True))


@pytest.mark.parametrize(("kind", "parts"), [
    ("max", ("max",)), ("mean", ("mean",)), ("last", ("last",)), ("attention", ("attention",)),
    ("max_mean", ("max", "mean")), ("concat", ("last", "max", "mean")),
])  # fmt: skip
def test_pooling_equals_a_loop_over_each_sequence_alone(kind: str, parts: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    pooling = Pooling(kind, 4).requires_grad_(False)
    h_BTO, last_BO = torch.randn(3, 5, 4), torch.randn(3, 4)
    for row, length in enumerate(LENGTHS):
        h_BTO[row, length:] = float("nan")
    found = pooling(h_BTO, last_BO, torch.tensor(LENGTHS))
    for row, length in enumerate(LENGTHS):
        expected = [looped(part, h_BTO[row, :length], last_BO[row], pooling) for part in parts]
        torch.testing.assert_close(found[row], torch.cat(expected))
    assert found.shape[1] == pooling.output_size


def classifier(**options: object) -> Classifier:
    torch.manual_seed(0)
    return Classifier(ModelConfig(hidden_size=5, bidirectional=True), labels=3,
                      embedding=nn.Embedding(20, 4, padding_idx=0), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("encode", [True, False])
@pytest.mark.parametrize("pooling", ["max", "mean", "last", "attention", "max_mean", "concat"])
def test_padding_changes_nothing(pooling: str, encode: bool) -> None:
    made = classifier(pooling=pooling, encode=encode).eval()
    ids_BT = torch.tensor([[3, 4, 5, 6, 7], [8, 9, 0, 0, 0]])
    together = made(ids_BT, torch.tensor([5, 2]))
    torch.testing.assert_close(together[1:], made(ids_BT[1:, :2], torch.tensor([2])))
    torch.testing.assert_close(together[:1], made(ids_BT[:1], torch.tensor([5])))


def test_dropped_words_are_read_as_unknown_and_padding_never_is() -> None:
    made = classifier(word_dropout=0.5, unknown=1)
    ids_BT = torch.tensor([[3] * 400 + [0] * 400])
    read = made._dropped(ids_BT)[0]
    assert (read[400:] == 0).all()
    assert set(read[:400].tolist()) == {1, 3}
    assert 150 < int((read == 1).sum()) < 250
    assert torch.equal(made.eval()._dropped(ids_BT), ids_BT)


def test_ready_made_vectors_stand_beside_the_learned_ones_and_their_width_is_checked() -> None:
    made = classifier(context_size=6)
    ids_BT, lengths_B = torch.tensor([[3, 4]]), torch.tensor([2])
    assert made(ids_BT, lengths_B, torch.randn(1, 2, 6)).shape == (1, 3)
    with pytest.raises(ShapeError, match="are 0 wide, and the model was made for 6"):
        made(ids_BT, lengths_B)
    with pytest.raises(ShapeError, match="are 7 wide"):
        made(ids_BT, lengths_B, torch.randn(1, 2, 7))


@pytest.mark.parametrize("pooling", ["max", "mean", "last", "attention", "max_mean", "concat"])
def test_segments_equal_a_loop_over_pieces_of_each_text_alone(pooling: str) -> None:
    made = classifier(pooling=pooling, segment_length=3).eval().requires_grad_(False)
    ids_BT, lengths_B = torch.randint(2, 20, (4, 8)), torch.tensor([8, 7, 6, 1])
    for row, length in enumerate(lengths_B.tolist()):
        pieces = [made.encoder(made.embedding(piece)[None]) for piece in ids_BT[row, :length].split(3)]
        outputs_1TO = torch.cat([piece.outputs_BTO for piece in pieces], dim=1)
        expected = made.head(made.pooling(outputs_1TO, pieces[-1].summary_BO, torch.tensor([length])))
        torch.testing.assert_close(made(ids_BT, lengths_B)[row : row + 1], expected)


def test_a_text_no_longer_than_a_segment_is_read_in_one_go() -> None:
    whole, cut = classifier().eval(), classifier(segment_length=5).eval()
    ids_BT, lengths_B = torch.randint(2, 20, (3, 5)), torch.tensor(LENGTHS)
    assert torch.equal(whole(ids_BT, lengths_B), cut(ids_BT, lengths_B))
    assert not torch.allclose(whole(ids_BT, lengths_B), classifier(segment_length=2).eval()(ids_BT, lengths_B))


def test_pooled_values_are_dropped_in_training_alone() -> None:
    made = classifier(pooled_dropout=0.5)
    made.head = nn.Identity()
    ids_BT, lengths_B = torch.randint(2, 20, (40, 5)), torch.full((40,), 5)
    share = float((made(ids_BT, lengths_B) == 0).float().mean())
    assert 0.4 < share < 0.6
    assert bool((made.eval()(ids_BT, lengths_B) != 0).all())


def test_the_words_own_mean_stands_beside_what_the_encoder_gives() -> None:
    made, without = classifier(pool_words=True).eval(), classifier().eval()
    made.head, without.head = nn.Identity(), nn.Identity()
    ids_BT, lengths_B = torch.randint(2, 20, (3, 5)), torch.tensor(LENGTHS)
    pooled_BP = made(ids_BT, lengths_B)
    torch.testing.assert_close(pooled_BP[:, :-4], without(ids_BT, lengths_B))
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(pooled_BP[row, -4:], made.embedding(ids_BT[row, :length]).mean(dim=0))
