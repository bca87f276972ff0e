"""The linear model as a module says what the baseline that was fitted says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatesweep.models.bag_of_pairs import BagOfPairs
from gatesweep.tasks.classification.baselines import Bigrams

WORDS = 12


@pytest.mark.parametrize("labels", [2, 3])
def test_it_says_what_the_fitted_model_says_of_texts_of_any_length(labels: int) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, WORDS, rng.integers(1, 30)) for _ in range(90)]
    fitted = Bigrams(rows[:60], rng.integers(0, labels, 60), words=WORDS, labels=labels)
    bag = BagOfPairs(fitted.key_F, fitted.weight_RF, fitted.bias_R, words=WORDS)
    lengths_B = torch.tensor([len(row) for row in rows])
    ids_BT = torch.full((len(rows), 30), 5)  # what stands in the padding must not matter
    for place, row in enumerate(rows):
        ids_BT[place, : len(row)] = torch.from_numpy(row)
    expected = fitted.probabilities(rows)
    assert expected.std(axis=0).min() > 0.05
    np.testing.assert_allclose(bag(ids_BT, lengths_B).exp().numpy(), expected, atol=1e-5)


def test_its_numbers_are_kept_in_a_checkpoint_and_are_no_parameters() -> None:
    bag = BagOfPairs(np.array([1, 4]), np.array([[0.5, -2.0]]), np.array([0.25]), words=WORDS)
    assert set(bag.state_dict()) == {"key_F", "weight_FR", "bias_R"}
    assert list(bag.parameters()) == []
    said = bag(torch.tensor([[4, 4, 9]]), torch.tensor([3]))
    torch.testing.assert_close(said, torch.nn.functional.logsigmoid(torch.tensor([[1.75, -1.75]])))
