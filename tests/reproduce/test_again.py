"""The surroundings of a rerun: the variables that it gets, and the environment that is built from a lock."""

from __future__ import annotations

import os
import platform
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

import gatesweep
from gatesweep.errors import UserError
from gatesweep.reproduce.again import _environment, answer_of
from gatesweep.reproduce.envs import READY, interpreter
from gatesweep.track.store import Store

HERE = f"CPython {platform.python_version()}"


def test_a_rerun_has_the_recorded_variables_and_no_others_of_their_kind(
        store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"OMP_NUM_THREADS": "7", "MKL_CBWR": "AVX2", "LD_PRELOAD": "", "GATESWEEP_ROOT": "/elsewhere",
                        "EDITOR": "ed"}.items():
        monkeypatch.setenv(name, value)
    found = _environment({"OMP_NUM_THREADS": "1", "LD_PRELOAD": "other.so", "EDITOR": "vi"}, store, None)
    assert found["OMP_NUM_THREADS"] == "1"
    assert "MKL_CBWR" not in found, "the run had none"
    assert (found["LD_PRELOAD"], found["EDITOR"]) == ("", "ed"), "places of this machine, and what no number depends on"
    assert (found["GATESWEEP_HOME"], found["MLFLOW_TRACKING_URI"]) == (str(store.home), store.uri)
    assert "GATESWEEP_ROOT" not in found


def test_the_code_of_the_tree_comes_first_where_it_holds_the_platform(store: Store, tmp_path: Path) -> None:
    ours = str(Path(gatesweep.__file__).parents[1])
    assert _environment({}, store, tmp_path)["PYTHONPATH"].split(":")[0] == ours
    (tmp_path / "platform" / "gatesweep").mkdir(parents=True)
    assert _environment({}, store, tmp_path)["PYTHONPATH"].split(":")[0] == str(tmp_path / "platform")


def test_what_pythonpath_names_in_the_repository_is_the_trees_own(
        store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, top = tmp_path / "root", tmp_path / "top"
    (root / "lib").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root / "lib")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root / "lib"), "lib", "/elsewhere", str(tmp_path / "link")]))
    found = _environment({}, store, top, root)["PYTHONPATH"].split(os.pathsep)
    assert found[1:] == [str(top / "lib"), "lib", "/elsewhere", str(top / "lib")]


def test_an_interrupt_goes_on_to_the_training_and_is_waited_for(
        store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = tmp_path / "python"
    training.write_text("#!/bin/sh\ntrap 'sleep 0.5; touch closed; exit 130' INT\ntouch started\n"
                        "while :; do sleep 0.05; done\n")  # fmt: skip
    training.chmod(0o755)

    def interrupt() -> None:
        while not (tmp_path / "started").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores it
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            answer_of(["run"], tmp_path / "c.yaml", tmp_path, store, environment={}, python=str(training))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "closed").exists()


@pytest.mark.parametrize(("packages", "python", "message"), [
    ({}, "CPython 3.4.1", "the run had CPython 3.4.1"),
    ({"gatesweep": "0.0.1"}, HERE, "the run had gatesweep 0.0.1"),
])
def test_what_a_venv_cannot_give_is_refused_before_one_is_built(
        packages: dict[str, str], python: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        interpreter(packages, python, tmp_path, lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_cannot_be_installed_is_named_and_a_built_environment_is_taken_again(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UserError, match="no-such-package==1"):
        interpreter({"no-such-package": "1", "pip": "1"}, HERE, tmp_path, lambda line: None)
    (folder,) = (tmp_path / "cache" / "environments").iterdir()
    assert not (folder / READY).exists()
    (folder / READY).touch()
    said: list[str] = []
    assert interpreter({"no-such-package": "1", "pip": "2"}, HERE, tmp_path, said.append) == str(
        folder / "bin" / "python"), "pip is nobody's number"
    assert said == []
    assert sys.executable != str(folder / "bin" / "python")
