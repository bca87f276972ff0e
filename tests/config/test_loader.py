"""From raw mappings to sections, and errors in the user's words."""

from typing import Literal

import pytest
from pydantic import PositiveFloat

from gatesweep.config.digest import digest, seed_of
from gatesweep.config.dimension import Dimension
from gatesweep.config.loader import build, did_you_mean, override
from gatesweep.config.section import Section
from gatesweep.errors import ConfigError


class Optimizer(Section):
    """How weights move."""

    name: Literal["sgd", "none"] = "sgd"
    """Which."""
    lr: PositiveFloat = 1e-3
    """Rate."""
    clip_norm: PositiveFloat | None = 1.0
    """Ceiling."""


class Experiment(Section):
    """All."""

    optimizer: Optimizer = Optimizer()
    """Rule."""
    nesterov: bool = False
    """Flag."""


def test_the_field_decides_what_text_means():
    made = build(
        Experiment, {"optimizer": {"lr": "1e-4", "clip_norm": "none", "name": "none"}, "nesterov": "no"}, place="f"
    )
    assert made.optimizer.lr == 1e-4
    assert made.optimizer.clip_norm is None
    assert made.optimizer.name == "none"
    assert made.nesterov is False


@pytest.mark.parametrize(
    ("raw", "message", "hint"),
    [
        ({"optimizer": {"learning_rate": 1}}, "f.yaml: optimizer: unknown key 'learning_rate'", "did you mean 'lr'?"),
        ({"optimiser": {}}, "f.yaml: unknown key 'optimiser'", "did you mean 'optimizer'?"),
        (
            {"optimizer": {"lr": "fast"}},
            "f.yaml: optimizer.lr: input should be a valid number, unable to parse string as a number, not 'fast'",
            None,
        ),
        ({"optimizer": {"lr": -1}}, "f.yaml: optimizer.lr: input should be greater than 0, not -1", None),
        ({"optimizer": {"lr": "nan"}}, "f.yaml: optimizer.lr: input should be a finite number, not 'nan'", None),
        (
            {"optimizer": {"name": "sgdd"}},
            "f.yaml: optimizer.name: input should be 'sgd' or 'none', not 'sgdd'",
            "did you mean 'sgd'?",
        ),
    ],
)
def test_a_mistake_is_named_with_file_key_value_and_hint(raw, message, hint):
    with pytest.raises(ConfigError) as error:
        build(Experiment, raw, place="f.yaml")
    assert str(error.value).split("\n\n")[0] == message
    assert error.value.hint == hint
    assert error.value.exit_code == 2


def test_a_second_mistake_is_named_too():
    with pytest.raises(ConfigError) as error:
        build(Experiment, {"optimizer": {"lr": 0, "x": 1}}, place="f.yaml")
    assert str(error.value).count("f.yaml: optimizer") == 2


def test_a_section_cannot_change_after_birth():
    made = Experiment()
    with pytest.raises(ValueError, match="frozen"):
        made.nesterov = True  # type: ignore[misc]


def test_set_overrides_nested_values_and_leaves_the_rest():
    raw = {"optimizer": {"lr": "1"}, "space": {"model.cell": {"choice": ["a"]}}}
    changed = override(raw, ["optimizer.lr=3e-4", "trainer.max_epochs=3", "space.model.cell.choice=[b, c]"])
    assert changed == {
        "optimizer": {"lr": "3e-4"},
        "trainer": {"max_epochs": "3"},
        "space": {"model.cell": {"choice": ["b", "c"]}},
    }
    assert raw["optimizer"]["lr"] == "1"


@pytest.mark.parametrize("assignment", ["lr", "=3", "optimizer.lr.deep=1"])
def test_an_assignment_that_makes_no_sense_is_refused(assignment):
    with pytest.raises(ConfigError):
        override({"optimizer": {"lr": "1"}}, [assignment])


def test_words_of_other_tools_are_understood_in_suggestions():
    assert did_you_mean("optimizer.learning_rate", ["optimizer.lr", "model.cell"]) == "did you mean 'optimizer.lr'?"
    assert did_you_mean("num_samples", ["trials", "concurrent"]) == "did you mean 'trials'?"
    assert did_you_mean("zzz", ["a", "b"]) == "one of: a, b"


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"choice": []},
        {"uniform": [1, 0]},
        {"log_uniform": [0, 1]},
        {"choice": [1], "uniform": [0, 1]},
        {"uniform": [0.5, 0.5]},
        {"int_uniform": [1.5, 3]},
    ],
)
def test_a_dimension_without_sense_is_refused(raw):
    with pytest.raises(ConfigError):
        build(Dimension, raw, place="space")


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [1.5, None]}) == digest({"b": [1.5, None], "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.0000000000000002})


def test_seeds_are_a_function_of_their_parts():
    assert seed_of(1, "trial", 7) == seed_of(1, "trial", 7)
    assert len({seed_of(1, "trial", n) for n in range(100)}) == 100
    assert 0 <= seed_of(1, "trial", 7) < 2**32
