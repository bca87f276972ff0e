"""`gatesweep import`: a file that validates, or one message and no file."""

import json
from pathlib import Path

import pytest
from command_line import call

from gatesweep.errors import EXIT_USER
from gatesweep.sweep.spec import load_spec

ROOT = Path(__file__).parents[2]
FILES = ROOT / "tests" / "sweep" / "imported_files"
TRAFFIC = ROOT / "configs" / "experiments" / "traffic.yaml"


@pytest.fixture
def there(tmp_path: Path, own_home: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wandb.yaml").write_text((FILES / "wandb.yaml").read_text())
    return tmp_path


def test_the_command_writes_a_file_that_validates_and_tells_the_rest_as_json(capsys, monkeypatch, there):
    arguments = ("import", "wandb.yaml", "--experiment", str(TRAFFIC), "--out", "ours.yaml")
    code, out, err = call(capsys, monkeypatch, *arguments, "--json")
    answer = json.loads(out)
    assert (code, answer["checked"], answer["out"]) == (0, True, "ours.yaml")
    assert {each["key"]: each["value"] for each in answer["unmapped"]}["program"] == "train.py"
    assert all(each["why"] for each in answer["unmapped"])
    assert all(f"not mapped: {each['key']} = " in err for each in answer["unmapped"])
    assert call(capsys, monkeypatch, "validate", "ours.yaml")[0] == 0
    before = (there / "ours.yaml").read_bytes()
    code, out, err = call(capsys, monkeypatch, "import", "wandb.yaml", "--out", "ours.yaml")
    assert (code, out) == (EXIT_USER, "")
    assert "ours.yaml: is there already" in err
    assert (there / "ours.yaml").read_bytes() == before
    assert call(capsys, monkeypatch, "import", "wandb.yaml", "--out", "ours.yaml", "--force")[0] == 0
    assert (there / "ours.yaml").read_bytes() != before


def test_without_an_experiment_the_file_says_where_one_belongs(capsys, monkeypatch, there):
    code, out, _ = call(capsys, monkeypatch, "import", "wandb.yaml")
    assert code == 0
    named = out.replace("  # file: ../experiments/traffic.yaml ", f"  file: {TRAFFIC} ")
    (there / "ours.yaml").write_text(named)
    assert load_spec(there / "ours.yaml").experiment.model.layers == 2


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True))


@pytest.mark.parametrize("text", [BOMB, "method: [", "- a\n- b\n", "", "\x00", "method: random\nparameters: {}\n",
                                  "? [a, b]\n: c\n"])
def test_what_is_no_such_file_is_refused_and_nothing_is_written(capsys, monkeypatch, there, text):
    (there / "bad.yaml").write_text(text)
    code, out, err = call(capsys, monkeypatch, "import", "bad.yaml", "--out", "ours.yaml", "--json")
    assert (code, out) == (EXIT_USER, "")
    assert "bad.yaml" in err
    assert "Traceback" not in err
    assert sorted(each.name for each in there.iterdir()) == ["bad.yaml", "wandb.yaml"]
