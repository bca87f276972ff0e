"""seeds: one configuration over several seeds, none of them trained twice."""

from __future__ import annotations

import contextlib
import json
import signal
import statistics
import subprocess
from collections.abc import Iterator

import pytest
from command_line import call

import gatesweep
from gatesweep.errors import EXIT_USER, EXIT_VERDICT, ConfigError, NotFound, UserError
from gatesweep.reproduce.compare import compare
from gatesweep.reproduce.group import TAG, group_of
from gatesweep.reproduce.seeds import seeds
from gatesweep.reproduce.spread import Seeds
from gatesweep.runs.lookup import config_of
from gatesweep.runs.stale import HOLDER
from gatesweep.runs.training import Listener, run
from gatesweep.track.holder import Holder
from gatesweep.track.store import Store


@pytest.fixture(autouse=True)
def _no_repository(store: Store) -> Iterator[None]:
    with contextlib.chdir(store.home):
        yield


def _listener(said: list[str], **hears) -> Listener:
    return Listener(say=said.append, **hears)


def test_a_run_s_own_seed_is_the_first_and_the_others_are_trained_as_runs_of_its_group(store, train) -> None:
    origin = train(model={"hidden_size": 7}, seed=5)
    found = seeds(origin, store, n=3)
    assert [each.seed for each in found.all] == [5, 6, 7]
    assert [each.trained for each in found.all] == [False, True, True]
    assert found.all[0].run_id == origin
    stored = [store.get_run(each.run_id) for each in found.all]
    assert {run.tags[TAG] for run in stored} == {found.group}
    assert [config_of(run, store).seed for run in stored] == [5, 6, 7]
    assert {group_of(config_of(run, store).as_dict()) for run in stored} == {found.group}
    assert [run.status for run in stored] == ["FINISHED"] * 3
    values = [run.metrics["test/mae"] for run in stored]
    assert found.metrics["test/mae"] == values
    assert len(set(values)) == 3
    mae = found.summary().loc["test/mae"]
    assert mae.tolist() == pytest.approx(
        [statistics.fmean(values), statistics.stdev(values), min(values), max(values)])  # fmt: skip
    best = [min(point.value for point in store.history(run.run_id, "val/mae")) for run in stored]
    assert found.metrics["val/mae"] == best
    assert found.table().columns[:3].tolist() == ["seed", "run_id", "test/loss"]
    assert not any(name.startswith("time/") for name in found.metrics)


def test_seeds_that_are_there_are_not_trained_again_and_more_are_added(store, train) -> None:
    origin = train(model={"hidden_size": 8})
    first = seeds(origin, store, n=2)
    started: list[str] = []
    again = seeds(first.all[1].run_id, store, n=2, overrides=["seed=1"], listener=Listener(started=started.append))
    assert [each.run_id for each in again.all] == [each.run_id for each in first.all]
    assert started == []
    assert again.metrics == first.metrics
    more = seeds(origin, store, n=3, listener=Listener(started=started.append))
    assert [each.run_id for each in more.all] == [*(each.run_id for each in first.all), *started]
    assert len(started) == 1


def test_a_seed_trained_alone_gives_the_numbers_that_it_has_in_the_group(store, train) -> None:
    found = seeds(train(model={"hidden_size": 8}), store, n=2)
    alone = store.get_run(train(model={"hidden_size": 8}, seed=2))
    assert alone.run_id != found.all[1].run_id
    assert alone.metrics["test/mae"] == found.metrics["test/mae"][1]


def test_other_settings_are_another_group_to_which_the_run_does_not_belong(store, train) -> None:
    origin = train(model={"hidden_size": 9})
    found = seeds(origin, store, n=2, overrides=["optimizer.lr=0.01", "trainer.max_epochs=1"])
    assert [each.trained for each in found.all] == [True, True]
    assert config_of(store.get_run(found.all[0].run_id), store).optimizer.lr == 0.01
    assert TAG not in store.get_run(origin).tags
    assert "has another configuration" in found.notes[0]


def _spoil(store: Store, run_id: str, **parts) -> None:
    lock = json.loads(store.artifact(run_id, "lock.json").read_text())
    store.write_text(run_id, "lock.json", json.dumps({**lock, **parts}))


@pytest.mark.parametrize(("part", "why"), [
    ("commit", "is of commit abcdef123456, and here is none"),
    ("patch", "is of a tree with other uncommitted changes"),
    ("data", "was trained on other data"),
    ("lock", "has no lock.json"),
])  # fmt: skip
def test_a_run_from_other_code_or_data_does_not_count_and_is_trained_anew(store, train, part: str, why: str) -> None:
    origin = train(trainer={"max_epochs": 1}, seed=40, fresh=True)
    lock = json.loads(store.artifact(origin, "lock.json").read_text())
    if part == "commit":
        _spoil(store, origin, code={**lock["code"], "commit": "abcdef1234567"})
    elif part == "patch":
        store.write_text(origin, "diff.patch", "+ a line\n")
    elif part == "data":
        _spoil(store, origin, data=[{"name": "traffic", "md5": "aa.dir", "path": "data/traffic"}])
    else:
        store.artifact(origin, "lock.json").unlink()
    found = seeds(origin, store, n=2)
    assert found.all[0].trained
    assert found.all[0].run_id != origin
    assert f"seed 40 is trained anew: run {origin[:8]} {why}" in " ".join(found.notes)
    assert TAG not in store.get_run(origin).tags
    store.delete_run(found.all[0].run_id)  # the next parameter must not find it


@pytest.fixture
def _hears_interrupts() -> Iterator[None]:
    """Whatever started the tests: a shell lets what it runs in the background ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_hears_interrupts")
def test_an_interrupted_seed_is_gone_on_with_and_ends_as_if_it_had_not_been(store, train) -> None:
    origin = train(model={"hidden_size": 10}, trainer={"max_epochs": 4})
    begun: list[str] = []

    def interrupt(report) -> None:
        if len(begun) == 2 and report.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seeds(origin, store, n=4, listener=Listener(started=begun.append, epoch=interrupt))
    assert store.get_run(begun[1]).status == "KILLED"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    heard: list[int] = []
    again: list[str] = []
    found = seeds(origin, store, n=4, listener=Listener(started=again.append, epoch=lambda r: heard.append(r.epoch)))
    assert [each.run_id for each in found.all[:3]] == [origin, *begun]
    assert again[0] == begun[1]
    assert heard == [3, 4, 1, 2, 3, 4]
    assert [each.trained for each in found.all] == [False, False, True, True]
    whole = store.get_run(train(model={"hidden_size": 10}, trainer={"max_epochs": 4}, seed=3))
    assert found.metrics["test/mae"][2] == whole.metrics["test/mae"]
    assert store.get_run(begun[1]).status == "FINISHED"


def test_a_seed_that_another_process_is_training_is_refused_before_anything_starts(store, train) -> None:
    origin = train(model={"hidden_size": 11}, fresh=True)
    store.reopen(origin)
    folder = store.home / "runs" / origin
    folder.mkdir(parents=True)
    (folder / HOLDER).write_text(json.dumps(Holder.myself().as_dict()))
    started: list[str] = []
    with pytest.raises(UserError, match="seed 1 is being trained now"):
        seeds(origin, store, n=2, listener=Listener(started=started.append))
    assert started == []


def test_a_seed_that_fails_is_named_and_the_others_go_on(store, train) -> None:
    origin = train(model={"hidden_size": 12}, trainer={"max_epochs": 1})
    said: list[str] = []
    found = seeds(origin, store, n=2, overrides=["data.trouble=nan", "optimizer.lr=0.9"], listener=_listener(said))
    assert [bool(each.failed) for each in found.all] == [True, True]
    assert found.metrics == {}
    assert found.completed == ()
    assert store.get_run(found.all[1].run_id).status == "FAILED"
    failed = found.all[0].run_id
    mended = seeds(failed, store, n=2, overrides=["optimizer.lr=0.01"])  # a failed run's configuration, mended
    assert [bool(each.failed) for each in mended.all] == [False, False]


def test_what_seeds_trained_is_what_compare_finds(store, train) -> None:
    small, large = (train(model={"hidden_size": size}, seed=20) for size in (3, 24))
    for run_id in (small, large):
        seeds(run_id, store, n=2)
    (test,) = compare([f"seeds:{small}", f"seeds:{large}"], store).tests
    assert test.found.seeds == (20, 21)


def test_the_last_seed_is_followed_by_zero(store, train) -> None:
    found = seeds(train(seed=2**32 - 1, trainer={"max_epochs": 1}), store, n=2)
    assert [each.seed for each in found.all] == [2**32 - 1, 0]


def test_one_seed_unknown_runs_sweeps_and_foreign_runs_are_refused(store, train) -> None:
    with pytest.raises(ConfigError, match="1 of them show no spread"):
        seeds(train(), store, n=1)
    with pytest.raises(NotFound, match="no run 'nonsense'"):
        seeds("nonsense", store)
    sweep = store.create_run(store.experiment("s"), "s", {"gatesweep.kind": "sweep", "gatesweep.sweep_id": "s-1"}, 1)
    with pytest.raises(NotFound, match="is a sweep, not a training") as refused:
        seeds(sweep.run_id, store)
    assert "best:s-1" in refused.value.hint
    foreign = store.create_run(store.experiment("f"), "f", {}, 1)
    with pytest.raises(NotFound, match=r"has no config\.yaml"):
        seeds(foreign.run_id, store)
    with pytest.raises(ConfigError, match="unknown key 'learning_rate'"):
        seeds(train(), store, overrides=["optimizer.learning_rate=1"])


def test_the_command_prints_one_object(capsys, monkeypatch, train) -> None:
    origin = train(model={"hidden_size": 13}, trainer={"max_epochs": 1})
    code, out, err = call(capsys, monkeypatch, "seeds", origin, "--n", "2", "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["seeds"], told["trained"], told["failed"]) == ([1, 2], [2], [])
    assert told["run_ids"][0] == origin
    mae = told["metrics"]["test/mae"]
    assert mae["mean"] == pytest.approx(sum(mae["values"]) / 2)
    assert mae["sd"] == pytest.approx(statistics.stdev(mae["values"]))
    assert f"seed 1: run {origin[:8]} is there" in err


def test_the_terminal_shows_mean_and_spread_of_each_metric_and_every_run(capsys, monkeypatch, train) -> None:
    origin = train(model={"hidden_size": 13}, trainer={"max_epochs": 1})
    code, out, _ = call(capsys, monkeypatch, "seeds", origin, "--n", "2")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.strip().startswith("test/mae")]
    assert " ± " in line
    assert f"seed 1  run {origin}  was there" in out
    assert f"gatesweep compare seeds:{origin}" in out


def test_without_one_completed_seed_the_answer_is_no_and_bad_input_is_two(capsys, monkeypatch, train) -> None:
    origin = train(model={"hidden_size": 12}, trainer={"max_epochs": 1})
    wrong = ("--set", "data.trouble=nan", "--set", "optimizer.lr=0.8")
    code, out, err = call(capsys, monkeypatch, "seeds", origin, "--n", "2", "--json", *wrong)
    assert code == EXIT_VERDICT
    assert [each["seed"] for each in json.loads(out)["failed"]] == [1, 2]
    assert "not one of 2 seeds" in err
    code, out, err = call(capsys, monkeypatch, "seeds", "nonsense", "--json")
    assert (code, out) == (EXIT_USER, "")
    assert "no run 'nonsense'" in err


def test_the_package_has_seeds(store, train) -> None:
    found = gatesweep.seeds(train(model={"hidden_size": 13}, trainer={"max_epochs": 1}), n=2)
    assert isinstance(found, Seeds)
    assert len(found.completed) == 2


def test_in_a_repository_only_runs_of_this_very_code_count(store, tmp_path, toy) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "code.py").write_text("1\n")
    git("add", "code.py")
    git("commit", "-m", "one")
    with contextlib.chdir(tmp_path):
        origin = run(toy(model={"hidden_size": 14}, trainer={"max_epochs": 1}), store).run_id
        assert [each.trained for each in seeds(origin, store, n=2).all] == [False, True]
        (tmp_path / "code.py").write_text("2\n")
        edited = seeds(origin, store, n=2)
        assert [each.trained for each in edited.all] == [True, True]
        assert "is of a tree with other uncommitted changes" in edited.notes[0]
        again = seeds(origin, store, n=2)  # the same uncommitted changes
        assert [each.run_id for each in again.all] == [each.run_id for each in edited.all]
        git("commit", "-am", "two")
        assert "is of commit" in seeds(origin, store, n=2).notes[0]
