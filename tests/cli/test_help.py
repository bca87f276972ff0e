"""What `--help` says is whole, and its examples work."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gatesweep.cli.app import app
from gatesweep.runs.experiment import load_experiment
from gatesweep.sweep.spec import load_spec

CONFIGS = Path(__file__).parents[2] / "configs"
NARROW = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}


def _said(*arguments: str) -> str:
    answer = CliRunner().invoke(app, list(arguments), env=NARROW)
    assert answer.exit_code == 0, answer.output
    return answer.output


@pytest.mark.parametrize("group", [(), ("cells",), ("data",)])
def test_the_list_of_commands_cuts_no_sentence(group):
    commands = _said(*group, "--help").partition("Commands:")[2].strip().splitlines()
    assert len(commands) >= 4
    assert [line for line in commands if not line.endswith(".")] == []
    assert [line for line in commands if line.endswith("...")] == []


@pytest.mark.parametrize(
    ("command", "load", "file"),
    [
        ("run", load_experiment, CONFIGS / "experiments" / "traffic.yaml"),
        ("sweep", load_spec, CONFIGS / "sweeps" / "traffic.yaml"),
        ("resume", load_spec, CONFIGS / "sweeps" / "traffic.yaml"),
    ],
)
def test_the_example_of_set_is_one_that_the_command_takes(command, load, file):
    assignment = re.search(r"e\.g\. --set\s+(\S+?=\S+)\.\s+Repeatable", _said(command, "--help"))
    assert assignment, _said(command, "--help")
    assert load(file, [assignment[1]]) != load(file, [])


def test_schema_explains_a_field_on_lines_that_a_person_can_read():
    said = _said("schema", "sweep")
    assert "How many configurations." in json.dumps(json.loads(said))
    assert max(map(len, said.splitlines())) < 700
