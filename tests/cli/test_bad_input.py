"""Every mistake of a user: one message with the place and a hint, exit code 2, nothing half-made."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from command_line import call, write_project

from gatesweep.cli import main
from gatesweep.errors import EXIT_USER

TRAFFIC = """
task: forecasting
data: {name: traffic}
"""


@pytest.fixture
def folder(tmp_path: Path, own_home: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_project(tmp_path)


SETTINGS = [
    ("space.optimizer.learning_rate={uniform: [0, 1]}", "sweep.yaml: space: unknown key 'optimizer.learning_rate'",
     "did you mean 'optimizer.lr'?"),
    ("budget.trial=3", "sweep.yaml: budget: unknown key 'trial'", "did you mean 'trials'?"),
    ("budget.trials=many", "sweep.yaml: budget.trials: input should be a valid integer", ""),
    ("budget.trials=0", "sweep.yaml: budget.trials: input should be greater than 0, not '0'", ""),
    ("objective.metric=val/bleu", "toy_task:ToyTask reports no 'val/bleu' while it trains", "val/mae"),
    ("objective.metric=val/mea", "reports no 'val/mea' while it trains", "did you mean 'val/mae'?"),
    ("objective.metric=test/mae", "reports no 'test/mae' while it trains", "val/mae"),
    ("experiment.trainer.monitor=test/mae", "reports no 'test/mae' while it trains", "val/mae"),
    ("space.trainer.threads={choice: [1, 2]}", "'trainer.threads' is set by the sweep itself", "resources.cpus"),
    ("space.model.hidden_size={uniform: [4, 8]}", "'model.hidden_size' is no field for a range of fractions",
     "{int_uniform: [4, 8]}"),
    ("space.model.hidden_size={choice: [1000000000]}", "model.hidden_size: input should be less than or equal", ""),
    ("experiment.trainer.devices=4", "trainer.devices: input should be less than or equal to 1", ""),
    ("experiment=[a]", "'experiment' is neither a file nor its sections", ""),
    ("space={}", "sweep.yaml: space: is empty", "add a dimension"),
    ("space.optimizer.lr={log_uniform: [0, 1]}", "a logarithmic range starts above 0", ""),
    ("space.model.hidden_size={choice: [4, -8]}", "model.hidden_size: input should be greater than 0, not '-8'", ""),
    ("space.model.dropout={uniform: [0, 1.5]}", "model.dropout: input should be less than 1", ""),
    ("space.model.cell={choice: [vanila]}", "vanila", "vanilla"),
    ("space.optimizer.momentum={uniform: [0, 0.9], when: {optimizer.name: sgd}}",
     "'optimizer.momentum' depends on 'optimizer.name', which is no dimension", ""),
    ("search.name=grid", "a grid takes choices only, and 'optimizer.lr' is a range", "list its values"),
    ("scheduler.grace_epochs=9", "scheduler.grace_epochs: 9 is more than the experiment's max_epochs 3", ""),
    ("resources.cpus=999", "one trial asks for 999 CPUs", "set resources.cpus to at most"),
    ("resources.gpus=9", "one trial asks for 9 GPUs", "set resources.gpus to 0"),
    ("resources.workers=3", "batch_size: 64 examples cannot be shared evenly by 3 workers", "batch_size: 63"),
    ("resources.workers=64", "one trial asks for 64 workers of 1 CPU, of which", "set resources.workers to at most"),
    ("resources.labels.zone=a", "one trial asks for a node with {zone: a}, and no node has it", "start such nodes"),
    ("experiment.task=nonsense", "there is no task 'nonsense'", "my_package.my_module:MyTask"),
    ("experiment.optimizer.name=adamm", "optimizer.name: input should be", "did you mean 'adam"),
    ("name=Not A Name", "sweep.yaml: name:", ""),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "message", "hint"), SETTINGS)
def test_a_wrong_setting_of_a_sweep_is_refused_before_anything_is_made(
    capsys, monkeypatch, folder, own_home, setting, message, hint
):
    code, out, err = call(capsys, monkeypatch, "sweep", "sweep.yaml", "--json", "--set", setting)
    assert code == EXIT_USER
    assert out == ""
    assert message in err
    assert hint in err
    assert "Traceback" not in err
    assert not (own_home / "sweeps").exists()
    assert not (own_home / "mlflow.db").exists()


def test_a_missing_file_is_named_with_its_neighbours(capsys, monkeypatch, folder):
    code, _, err = call(capsys, monkeypatch, "sweep", "swep.yaml")
    assert code == EXIT_USER
    assert "swep.yaml: no such file" in err
    assert "sweep.yaml" in err


@pytest.mark.parametrize("id_", ["Bad Id", "../up", "", "a/b"])
def test_an_unusable_id_is_refused(capsys, monkeypatch, folder, id_):
    code, _, err = call(capsys, monkeypatch, "sweep", "sweep.yaml", "--id", id_ or " ")
    assert code == EXIT_USER
    assert "no usable sweep id" in err


def test_an_id_in_use_is_refused_and_nothing_of_it_changes(capsys, monkeypatch, folder, own_home):
    there = own_home / "sweeps" / "mine"
    there.mkdir(parents=True)
    (there / "log.jsonl").write_bytes(b"untouched")
    code, _, err = call(capsys, monkeypatch, "sweep", "sweep.yaml", "--id", "mine")
    assert code == EXIT_USER
    assert "is there already" in err
    assert "gatesweep resume mine" in err
    assert (there / "log.jsonl").read_bytes() == b"untouched"


def test_a_tracking_server_that_does_not_answer_is_named(capsys, monkeypatch, folder, own_home):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, _, err = call(capsys, monkeypatch, "run", "exp.yaml")
    assert code == EXIT_USER
    assert "http://127.0.0.1:9" in err
    assert "Traceback" not in err
    assert not (own_home / "runs").exists()


def test_a_damaged_store_is_named(capsys, monkeypatch, folder, own_home):
    own_home.mkdir()
    (own_home / "mlflow.db").write_bytes(b"this is no database, whatever its name says" * 100)
    code, _, err = call(capsys, monkeypatch, "run", "exp.yaml")
    assert code == EXIT_USER
    assert "mlflow.db" in err
    assert "Traceback" not in err


def test_a_damaged_log_is_named_with_its_line(capsys, monkeypatch, folder, own_home):
    from fakes import make_spec, opened

    there = own_home / "sweeps" / "broken"
    there.mkdir(parents=True)
    ledger = opened(there, make_spec())
    ledger.next("a")
    ledger.log.close()
    content = (there / "log.jsonl").read_bytes().splitlines(keepends=True)
    (there / "log.jsonl").write_bytes(content[0] + content[1].replace(b"t0000", b"t0009") + content[2])
    code, _, err = call(capsys, monkeypatch, "resume", "broken")
    assert code == EXIT_USER
    assert "log.jsonl: line 2 is damaged" in err


@pytest.mark.parametrize("name", ["toy-20260101-abcdef", "0123456789abcdef0123456789abcdef", "nonsense"])
def test_resuming_what_is_not_there_is_refused(capsys, monkeypatch, folder, name):
    code, _, err = call(capsys, monkeypatch, "resume", name)
    assert code == EXIT_USER
    assert name in err


def test_one_changed_byte_in_a_data_file_is_refused_and_named(capsys, monkeypatch, folder, own_home, root):
    shutil.copy(root / "data.dvc", folder / "data.dvc")
    (folder / "data" / "traffic").mkdir(parents=True)
    (folder / "data" / "traffic" / "hourly_traffic_volume.csv").write_text("altered")
    (folder / "traffic.yaml").write_text(TRAFFIC)
    code, _, err = call(capsys, monkeypatch, "run", "traffic.yaml")
    assert code == EXIT_USER
    assert "hourly_traffic_volume.csv" in err
    assert "gatesweep data pull traffic --force" in err
    assert not (own_home / "runs").exists()


def _refused(capsys, monkeypatch, *settings: str) -> tuple[str, str]:
    """(message, hint) of an experiment with these settings."""
    assigned = [word for setting in settings for word in ("--set", setting)]
    code, out, err = call(capsys, monkeypatch, "validate", "exp.yaml", *assigned)
    assert code == EXIT_USER
    assert out == ""
    message, _, hint = err.rstrip("\n").partition("\n\nhint: ")
    return message, hint


MODELS = [
    (["model=5"], "exp.yaml: model: is a section of the file, not a value like '5'",
     "it has keys of its own: model.cell, model.hidden_size, model.layers, …"),
    (["model.cell="], "exp.yaml: model.cell: has no value", "give it one, or leave cell out"),
    (["model.cell=gru_before", "model.layer_norm=true"],
     "exp.yaml: model: layer_norm: cell 'gru_before' has no single recurrent half to normalise",
     "leave layer_norm out"),
    (["model.projection_size=64"],
     "exp.yaml: model: projection_size: 64 must be above 0 and below the 64 hidden units",
     "another projection_size or hidden_size, or leave projection_size out"),
    (["model.projection_size=8", "model.zoneout_h=0.1"],
     "exp.yaml: model: projection_size: cell 'vanilla' cannot be projected where zoneout keeps h",
     "leave projection_size out, or zoneout_h"),
    (["model.heads=3"], "exp.yaml: model: heads: 3 heads do not divide 64 hidden units", "take 2 or 4"),
    (["model.heads=3", "model.cell=mlstm"], "exp.yaml: model: heads: 3 heads do not divide 64 hidden units",
     "take 2 or 4"),
    (["model.heads=2", "model.cell=fgr"],
     "exp.yaml: model: heads: cell 'fgr' cannot have 2 heads: its recurrent weights read i, f, o besides h",
     "leave heads out"),
    (["model.heads=2", "model.cell=mingru"],
     "exp.yaml: model: heads: cell 'mingru' has no recurrent weights for heads to divide", "leave heads out"),
    (["model.heads=2", "model.projection_size=8"],
     "exp.yaml: model: heads: cell 'vanilla' cannot have 2 heads with a projection: its recurrent weights read 8"
     " outputs, not the units", "leave heads out, or projection_size"),
    (["model.backend=torch", "model.zoneout_h=0.1"],
     "exp.yaml: model: torch has no kernel for cell 'vanilla' with zoneout_h",
     "backend auto, native, fused, triton or reference"),
    (["model.backend=fused", "model.layer_norm=true"],
     "exp.yaml: model: backend 'fused' cannot run cell 'vanilla' with layer_norm: it has native and reference alone",
     "backend auto, native or reference"),
    (["model.backend=native", "model.cell=mlstm"],
     "exp.yaml: model: backend 'native' cannot run cell 'mlstm': it has parallel and reference alone",
     "backend auto, parallel or reference"),
    (["model.backend=fused", "model.cell=gru_before"],
     "exp.yaml: model: backend 'fused' cannot run cell 'gru_before': it has native and reference alone",
     "backend auto, native or reference"),
    (["model.cell=gru", "model.zoneout_c=0.1"], "exp.yaml: model: zoneout_c: cell 'gru' carries h and no c",
     "leave zoneout_c out"),
    (["model.cell=rnn", "model.zoneout_h=0.1", "model.recurrent_dropout=0.1"],
     "exp.yaml: model: recurrent_dropout: cell 'rnn' has no place for 'dropout(candidate)'",
     "leave recurrent_dropout out, or take recurrent_dropout_kind gal"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "message", "hint"), MODELS, ids=lambda each: " ".join(each[:2])[:40])
def test_a_model_that_no_equation_gives_is_refused_by_its_key_and_its_cells_own_name_with_the_way_out(
    capsys, monkeypatch, folder, settings, message, hint
):
    assert _refused(capsys, monkeypatch, *settings) == (message, hint)


def test_two_mistakes_have_a_hint_each(capsys, monkeypatch, folder):
    _, _, err = call(capsys, monkeypatch, "validate", "exp.yaml", "--set", "model.hiden_size=3", "--set",
                      "trainer.max_epochs=0", "--set", "optimizer.learning_rate=2")  # fmt: skip
    first, second, third = err.split("exp.yaml: ")[1:]
    assert first == "model: unknown key 'hiden_size'\n\nhint: did you mean 'hidden_size'?\n\n"
    assert second == "optimizer: unknown key 'learning_rate'\n\nhint: did you mean 'lr'?\n\n"
    assert third == "trainer.max_epochs: input should be greater than 0, not '0'\n"


def test_an_experiments_mistakes_are_named_too(capsys, monkeypatch, folder):
    code, _, err = call(capsys, monkeypatch, "validate", "exp.yaml", "--set", "optimizer.learning_rate=1")
    assert code == EXIT_USER
    assert err.startswith("exp.yaml: optimizer: unknown key 'learning_rate'")
    assert "did you mean 'lr'?" in err


def test_validate_prints_one_object_on_request(capsys, monkeypatch, folder):
    code, out, err = call(capsys, monkeypatch, "validate", "exp.yaml", "sweep.yaml", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"valid": [{"file": "exp.yaml", "kind": "experiment"},
                                         {"file": "sweep.yaml", "kind": "sweep"}]}  # fmt: skip
    code, out, err = call(capsys, monkeypatch, "validate", "exp.yaml", "sweep.yaml", "--json", "--set", "x=1")
    assert (code, out) == (EXIT_USER, "")
    assert "unknown key 'x'" in err


def test_every_command_takes_json_but_those_that_print_nothing_else_or_serve_pages(folder):
    from typer.main import get_command

    from gatesweep.cli.app import app

    def without(command, name: str) -> list[str]:
        below = getattr(command, "commands", {})
        if below:
            return [each for child, sub in below.items() for each in without(sub, f"{name} {child}".strip())]
        return [] if any("--json" in option.opts for option in command.params) else [name]

    assert sorted(without(get_command(app), "")) == ["schema", "ui"]


def test_a_run_that_is_not_there_is_answered_with_how_runs_are_found(capsys, monkeypatch, folder):
    code, _, err = call(capsys, monkeypatch, "evaluate", "nosuch")
    assert code == EXIT_USER
    assert "no run 'nosuch'" in err
    assert "hint: gatesweep list --runs shows the runs, gatesweep list the sweeps" in err


@pytest.mark.parametrize(("target", "message"), [
    ("no/such/forecasts.csv", "no/such/forecasts.csv: its folder is not there\n\nhint: mkdir -p no/such"),
    (".", ".: is a folder\n\nhint: name a file in it"),
])  # fmt: skip
def test_forecasts_that_cannot_be_written_are_refused_before_anything_is_scored(
    capsys, monkeypatch, folder, target, message
):
    code, _, err = call(capsys, monkeypatch, "evaluate", "nosuch", "--predictions", target)
    assert code == EXIT_USER
    assert message in err
    assert not (folder / "no").exists()


def test_validate_and_schema_need_no_torch(folder, capsys, monkeypatch, root):
    import subprocess

    code = (
        "import sys; sys.argv = ['gatesweep', 'validate', sys.argv[1]]\nfrom gatesweep.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'ray', 'mlflow', 'pandas', 'pytorch_lightning', 'dvc', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(root / "configs/sweeps/traffic.yaml")], check=True, cwd=root)


@pytest.mark.parametrize("kind", ["experiment", "sweep"])
def test_the_editors_schemas_are_the_codes_own(root, kind):
    from gatesweep.sweep.schema import schema_of

    assert json.loads((root / "configs" / "schema" / f"{kind}.json").read_text()) == json.loads(
        json.dumps(schema_of(kind))
    ), f"write it again: gatesweep schema {kind} | python -m json.tool --indent 1 > configs/schema/{kind}.json"


def test_every_shipped_configuration_is_valid_and_carries_the_schema_line(capsys, monkeypatch, root):
    monkeypatch.chdir(root)
    files = sorted((root / "configs").glob("*/*.yaml"))
    assert len(files) >= 4
    for file in files:
        assert file.read_text().startswith("# yaml-language-server: $schema=../schema/")
    monkeypatch.setattr(sys, "argv", ["gatesweep", "validate", *map(str, files)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert capsys.readouterr().err.count("a valid") == len(files)
