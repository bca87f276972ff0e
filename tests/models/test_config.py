"""The `model:` section: what it takes and what it refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gatesweep.cells import Recurrent
from gatesweep.cells.config import RecurrentConfig
from gatesweep.cells.names import BACKENDS, MATRIX_CELLS, NAMES
from gatesweep.models.config import ModelConfig
from gatesweep.models.families import FAMILIES, FIELDS, OPTIONS


@pytest.mark.parametrize("cell", [*NAMES, *MATRIX_CELLS, "np"])
def test_every_cell_is_taken_by_its_name(cell: str) -> None:
    assert ModelConfig(cell=cell).cell == cell


def test_the_schema_explains_every_field_and_lists_the_back_ends() -> None:
    fields = ModelConfig.model_json_schema()["properties"]
    assert all(field.get("description") for field in fields.values())
    assert fields["backend"]["enum"] == list(BACKENDS)


def test_the_cells_that_the_documentation_of_the_field_names_are_those_there_are() -> None:
    description = ModelConfig.model_json_schema()["properties"]["cell"]["description"]
    assert all(name in description for name in (*NAMES, *MATRIX_CELLS, "np"))


def test_the_families_there_are_are_those_of_the_field() -> None:
    fields = ModelConfig.model_json_schema()["properties"]
    assert tuple(fields["family"]["enum"]) == FAMILIES
    assert all(f"{family}:" in fields["family"]["description"] for family in FAMILIES)
    assert set(ModelConfig.model_fields) == OPTIONS


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_takes_the_fields_that_it_has_and_refuses_others_by_name(family: str) -> None:
    changed = {
        "cell": "gru", "layers": 2, "dropout": 0.1, "bidirectional": True, "weight_drop": 0.1, "heads": 2,
        "zoneout_h": 0.1, "layer_norm": True, "forget_bias": 2.0, "attention_heads": 2, "context": 8,
        "feedforward": 2.0, "kernel_size": 2, "xlstm_blocks": "m", "memory_slots": 4, "memory_width": 4,
        "memory_heads": 2,
    }  # fmt: skip
    for name, value in changed.items():
        if name in FIELDS[family]:
            assert getattr(ModelConfig(family=family, **{name: value}), name) == value
        else:
            with pytest.raises(ValidationError, match=f"family '{family}' has no {name}\n\nhint: leave {name} out"):
                ModelConfig(family=family, **{name: value})


@pytest.mark.parametrize(("values", "message"), [
    ({"family": "lstm"}, "'recurrent', 'attention', 'transformer'"),
    ({"family": "transformer", "heads": 4}, "its heads are attention_heads"),
    ({"family": "transformer", "hidden_size": 10}, "4 heads do not divide 10 numbers a step\n\nhint: take 2 or 5"),
    ({"family": "transformer", "hidden_size": 12}, "12 / 4 = 3 units a head; .*\n\nhint: .* that 8 divides"),
    ({"family": "attention", "hidden_size": 8, "projection_size": 3}, "4 heads do not divide 3"),
    ({"family": "attention", "cell": "lstm"}, "did you mean 'vanilla'"),
    ({"family": "xlstm", "cell": "mlstm"}, "its cells are those of xlstm_blocks"),
    ({"family": "xlstm", "heads": 3}, "3 heads do not divide 64"),
    ({"family": "xlstm", "hidden_size": 4, "heads": 4}, "4 heads of one unit each"),
    ({"family": "xlstm", "backend": "torch"}, "cannot run its cells by 'torch'"),
    ({"family": "xlstm", "xlstm_blocks": "sx"}, "pattern"),
    ({"family": "tcn", "kernel_size": 0}, "greater than or equal to 1"),
])
def test_sizes_that_no_encoder_of_a_family_can_have_are_refused(values, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelConfig(**values)


def test_a_tasks_own_fields_are_no_business_of_the_family() -> None:
    class Section(ModelConfig):
        tied: bool = False

    assert Section(family="tcn", tied=True).tied


@pytest.mark.parametrize(("values", "message"), [
    ({"cell": "lstm"}, "unknown cell 'lstm'; one of .*\n\nhint: did you mean 'vanilla'"),
    ({"cell": "gru", "peepholes": True}, "no cell state for peepholes"),
    ({"cell": "peephole", "backend": "torch"}, "torch has no kernel for cell 'peephole' with peepholes"),
    ({"cell": "vanilla", "peepholes": True, "backend": "torch"}, "torch has no kernel"),
    ({"dropout": 1.0}, "less than 1"),
    ({"dropout": -0.1}, "greater than or equal to 0"),
    ({"hidden_size": 0}, "greater than 0"),
    ({"layers": 0}, "greater than 0"),
    ({"backend": "cuda"}, "'auto', 'native', 'torch', 'parallel', 'fused', 'triton' or 'reference'"),
    ({"forget_bias": float("inf")}, "finite"),
    ({"hidden": 64}, "Extra inputs"),
    ({"weight_drop": 1.0}, "less than 1"),
    ({"variational_dropout": -0.5}, "greater than or equal to 0"),
    ({"chrono": 2}, "greater than or equal to 3"),
    ({"cell": "rnn", "chrono": 10}, "chrono: cell 'rnn' has no gate that forgets"),
])  # fmt: skip
def test_values_that_no_network_can_have_are_refused(values, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelConfig(**values)


def test_torchs_kernels_may_be_asked_of_a_peephole_cell_without_peepholes() -> None:
    assert ModelConfig(cell="peephole", peepholes=False, backend="torch").backend == "torch"


def test_every_field_is_an_argument_of_the_layer_that_it_describes() -> None:
    changed = {
        "cell": "coupled", "hidden_size": 6, "layers": 3, "dropout": 0.1, "variational_dropout": 0.2,
        "weight_drop": 0.3, "bidirectional": True, "residual": True, "learned_state": True, "peepholes": True,
        "forget_bias": 2.0, "chrono": 30, "backend": "reference", "recurrent_dropout": 0.4,
        "recurrent_dropout_kind": "gal", "zoneout_h": 0.15, "zoneout_c": 0.25, "cell_clip": 3.0, "layer_norm": True,
        "heads": 2, "projection_size": 3,
    }  # fmt: skip
    assert set(changed) == set(RecurrentConfig.model_fields)
    for apart in ({"projection_size"}, {"heads", "zoneout_h", "recurrent_dropout", "recurrent_dropout_kind"}):
        config = ModelConfig(**{name: value for name, value in changed.items() if name not in apart})
        layer = Recurrent(input_size=2, **config.arguments())
        assert layer.config.model_dump() == config.model_dump(include=set(changed))
