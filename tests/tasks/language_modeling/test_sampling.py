"""Text that a model writes: drawn from the softmax at a temperature, the same for the same seed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from made_language import make_config, write_folder
from typer.testing import CliRunner

import gatesweep
from gatesweep.cli.app import app
from gatesweep.errors import ConfigError
from gatesweep.runs.build import prepare
from gatesweep.tasks.language_modeling.sampling import chances, write


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_chances_are_the_softmax_at_a_temperature(temperature: float):
    logits = torch.randn(30)
    weights = np.exp(logits.double().numpy() / temperature)
    torch.testing.assert_close(chances(logits, temperature, 1.0).numpy(), weights / weights.sum())


def test_top_p_keeps_the_fewest_words_that_reach_it():
    """Probabilities .5 .3 .15 .05: for .7 the first two, for .81 three; each time in the same proportions."""
    logits = torch.log(torch.tensor([0.05, 0.5, 0.15, 0.3]))
    assert chances(logits, 1.0, 0.7).tolist() == pytest.approx([0, 5 / 8, 0, 3 / 8])
    assert (chances(logits, 1.0, 0.81) > 0).tolist() == [False, True, True, True]
    assert (chances(logits, 1.0, 0.01) > 0).tolist() == [False, True, False, False]


def test_temperature_0_is_the_likeliest_word_and_never_one_that_is_barred():
    logits = torch.tensor([1.0, 3.0, 2.0])
    assert chances(logits, 0.0, 1.0).tolist() == [0, 1, 0]
    assert chances(logits, 0.0, 1.0, never=[1]).tolist() == [0, 0, 1]


def test_first_words_are_drawn_as_often_as_the_model_says(config_of):
    """A thousand seeds against the probabilities that a forward pass gives: a chi-squared of 11 words below 35."""
    network = prepare(config_of())[0].module.network.eval()
    with torch.no_grad():
        logits = network.logits(network(torch.tensor([[0, 3, 5]])).outputs_BTO)[0, -1]
    expected = 1000 * torch.softmax(logits / 0.3, 0).numpy()
    drawn = [next(iter(write(network, [0, 3, 5], 1, temperature=0.3, seed=seed))) for seed in range(1000)]
    seen = np.bincount(drawn, minlength=len(expected))
    assert ((seen - expected) ** 2 / expected).sum() < 35


def test_every_word_is_read_before_the_next_is_drawn(config_of):
    """The greedy text equals the one of whole passes over everything so far."""
    network = prepare(config_of())[0].module.network.eval()
    made, so_far = list(write(network, [0, 2], 8, temperature=0.0)), [0, 2]
    for word in made:
        with torch.no_grad():
            logits = network.logits(network(torch.tensor([so_far])).outputs_BTO)[0, -1]
        assert word == int(logits.argmax())
        so_far.append(word)


@pytest.fixture(scope="module")
def run_id(tmp_path_factory):
    """A trained run in a home of its own."""
    place = tmp_path_factory.mktemp("sampling")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATESWEEP_HOME", str(place / "home"))
        yield gatesweep.run(make_config(write_folder(place / "text"), trainer={"max_epochs": 1})).run_id


def _sampled(*arguments: str) -> dict:
    answer = CliRunner().invoke(app, ["sample", *arguments, "--json"])
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def test_the_command_writes_the_same_text_for_the_same_seed(run_id: str):
    asked = (run_id, "--prompt", "the zebra", "--tokens", "30", "--temperature", "0.8", "--top-p", "0.9")
    one, same, other = _sampled(*asked), _sampled(*asked), _sampled(*asked, "--seed", "1")
    assert one == same
    assert one["text"] != other["text"]
    assert one["unknown"] == ["zebra"]
    assert "<unk>" not in one["text"] + other["text"]
    assert len(one["text"].split()) + one["text"].count("\n") == 30


@pytest.mark.parametrize(
    ("option", "value"),
    [("--tokens", "0"), ("--temperature", "-1"), ("--top-p", "0"), ("--top-p", "1.5"), ("--seed", "-1")],
)
def test_numbers_out_of_range_are_refused_by_name(option: str, value: str):
    answer = CliRunner().invoke(app, ["sample", "0" * 32, option, value])
    assert answer.exit_code == 2
    assert f"{option}: {value}" in answer.stderr


def test_a_run_of_another_task_writes_no_text(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path / "home"))
    result = gatesweep.run({"task": "toy_task:ToyTask", "data": {}, "trainer": {"max_epochs": 1}})
    with pytest.raises(ConfigError, match="writes nothing"):
        gatesweep.sample(result.run_id)
