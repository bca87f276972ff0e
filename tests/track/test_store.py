"""The tracking store: created once, migrated first, in WAL; every way of not being there has one clear message."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from math import isnan
from pathlib import Path
from urllib.parse import unquote

import pytest

from gatesweep.errors import EXIT_USER, NotFound, StoreError
from gatesweep.track import sqlite, vendor
from gatesweep.track.addresses import charts_address, compare_address, run_address, trials_address
from gatesweep.track.check import check
from gatesweep.track.store import Point, Refused, Store, open_store

from .conftest import MD5, Data

Homes = Callable[[str], Path]


def rows(store: Store, question: str) -> list[tuple[object, ...]]:
    assert store.file is not None
    with closing(sqlite3.connect(store.file)) as database:
        return database.execute(question).fetchall()


def a_run(store: Store, **tags: str) -> str:
    return store.create_run(store.experiment("traffic"), "t0001", tags, 1_700_000_000_000).run_id


def test_an_opened_store_is_in_wal_and_whole(store: Store) -> None:
    assert rows(store, "PRAGMA journal_mode") == [("wal",)]
    assert rows(store, "PRAGMA quick_check") == [("ok",)]


def test_a_reader_with_an_open_transaction_does_not_keep_the_driver_from_writing(store: Store) -> None:
    run_id = a_run(store)
    with closing(sqlite3.connect(str(store.file), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM metrics").fetchone()
        store.log_batch(run_id, [Point("val/mae", 1.0, 1, 1)])
        assert reader.execute("SELECT count(*) FROM metrics").fetchone() == before == (0,)
    assert rows(store, "SELECT count(*) FROM metrics") == [(1,)]


def test_two_processes_that_open_a_new_store_at_once_both_get_it(tmp_path: Path) -> None:
    script = ("import sys; from pathlib import Path; from gatesweep.track.store import open_store\n"
              "s = open_store(Path(sys.argv[1])); print(s.experiment('traffic'))")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    both = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "home")], env=environment, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0] == said[1], "the same experiment, and not a word of MLflow's chatter"
    assert said[0][1] == ""


def test_opening_again_creates_and_migrates_nothing(fresh_home: Homes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_create", lambda *a: pytest.fail("created again"))
    monkeypatch.setattr(sqlite, "upgrade", lambda *a: pytest.fail("migrated again"))
    home = fresh_home("home")
    assert open_store(home).experiment("traffic") == open_store(home).experiment("traffic")


def test_a_store_whose_making_was_killed_is_made_anew(tmp_path: Path, template: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlflow.db.new-4711").write_bytes(b"half a store")
    (tmp_path / "mlflow.db").touch()  # as an older sqlite3 would leave one that nobody wrote to
    whole: list[Path] = []

    def quick(path: Path, artifacts: Path) -> None:  # the slow part, from the template
        whole.append(path)
        shutil.copy(template, path)

    monkeypatch.setattr(sqlite, "_create", quick)
    open_store(tmp_path)
    assert whole == [tmp_path / "mlflow.db"]


def test_a_making_removes_what_a_killed_one_left(made_beside_a_killed_one: list[str]) -> None:
    assert [name for name in made_beside_a_killed_one if ".new-" in name] == []
    assert {"mlflow.db", "mlflow.db.lock"} <= set(made_beside_a_killed_one)


def test_a_store_of_an_older_mlflow_is_migrated_after_a_copy(fresh_home: Homes) -> None:
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config

    file = fresh_home("home") / "mlflow.db"
    command.downgrade(_get_alembic_config(sqlite.address(file)), "-1")
    old = sqlite.examine(file, whole=True)
    assert check(file.parent)[0] == "warn"
    store = open_store(file.parent)
    assert sqlite.examine(file, whole=True) != old
    assert sqlite.examine(file.with_name(f"mlflow.db.before-{old}"), whole=True) == old
    assert store.experiment("traffic")


def test_a_store_of_a_newer_mlflow_is_refused_and_stays_as_it_is(fresh_home: Homes) -> None:
    file = fresh_home("home") / "mlflow.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'fffffffffff'")
        database.commit()
    with pytest.raises(StoreError, match="newer MLflow"):
        open_store(file.parent)
    assert sqlite.examine(file, whole=True) == "fffffffffff"
    assert not list(file.parent.glob("*.before-*"))


@pytest.mark.parametrize("damage", ["text", "middle", "foreign"])
def test_a_damaged_store_is_refused_and_named(fresh_home: Homes, damage: str) -> None:
    file = fresh_home("home") / "mlflow.db"
    if damage == "text":
        file.write_text("runs: all lost\n" * 1000)
    elif damage == "middle":
        with file.open("r+b") as raw:
            raw.seek(8 * 4096)
            raw.write(b"\xff" * 40 * 4096)
    else:
        file.unlink()
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE shopping (item TEXT)")
    before = file.read_bytes()
    with pytest.raises(StoreError) as caught:
        open_store(file.parent)
    assert str(file) in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == EXIT_USER
    assert file.read_bytes() == before
    assert check(file.parent)[0] == "fail"


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("not a folder")
    with pytest.raises(StoreError, match="GATESWEEP_HOME"):
        open_store(tmp_path / "home")


def test_a_folder_of_files_is_refused_with_the_way_out(tmp_path: Path) -> None:
    for old in ("./mlruns", "file:///tmp/mlruns"):
        with pytest.raises(StoreError, match="sqlite:///"):
            open_store(tmp_path, old)


def test_a_server_that_refuses_or_says_nothing_fails_within_seconds(tmp_path: Path,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "ANSWER_TIMEOUT_S", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        address = f"http://user:secret@127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"nothing within 0\.3 s") as caught:
            open_store(tmp_path, address)
        assert time.monotonic() - began < 3
        assert "secret" not in str(caught.value)
        assert "MLFLOW_TRACKING_URI" in str(caught.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(StoreError, match="connection refused"):
        open_store(tmp_path)
    assert not (tmp_path / "mlflow.db").exists()
    assert check(tmp_path)[0] == "fail"


def test_a_database_server_that_is_not_there_fails_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(StoreError, match="connection refused"):
            open_store(tmp_path, f"postgresql://u:p@127.0.0.1:{taken.getsockname()[1]}/mlflow")


def test_a_web_server_that_is_not_mlflow_is_refused(tmp_path: Path) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *words: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with pytest.raises(StoreError, match="404"):
            open_store(tmp_path, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def test_racing_creations_of_an_experiment_give_one(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: store.experiment("race"), range(16)))) == 1


def test_a_deleted_experiment_is_named_with_the_way_to_restore_it(store: Store) -> None:
    store._client.delete_experiment(store.experiment("gone"))
    with pytest.raises(StoreError, match="restore"):
        store.experiment("gone")


def test_the_same_point_sent_twice_is_one_row_and_nan_is_a_value(store: Store) -> None:
    run_id = a_run(store)
    points = [Point("val/mae", 0.5, 10, 1), Point("val/mae", float("nan"), 20, 2)]
    for _ in range(2):
        store.log_batch(run_id, points, {"model.cell": "gru"}, {"tag": "v"})
    first, second = store.history(run_id, "val/mae")
    assert first == points[0]
    assert isnan(second.value)
    assert second[2:] == (20, 2)


def test_a_batch_beyond_mlflows_limits_arrives_whole(store: Store) -> None:
    run_id = a_run(store)
    points = [Point(f"m{i % 7}", float(i), 1000 + i, i) for i in range(2500)]
    params = {f"p.{i}": str(i) for i in range(250)}
    store.log_batch(run_id, points, params, {f"t{i}": "x" for i in range(150)})
    assert rows(store, "SELECT count(*) FROM metrics") == [(2500,)]
    assert store.get_run(run_id).params == params
    assert len([key for key in store.get_run(run_id).tags if key.startswith("t")]) == 150


def test_a_parameter_that_changes_is_refused_for_good(store: Store) -> None:
    run_id = a_run(store)
    store.log_batch(run_id, params={"lr": "0.1"})
    with pytest.raises(Refused):
        store.log_batch(run_id, params={"lr": "0.2"})


def test_a_dataset_logged_twice_is_one_row_and_its_digest_is_the_pin(store: Store) -> None:
    run_id, other = a_run(store), a_run(store)
    for run in (run_id, run_id, other):
        store.log_inputs(run, [Data()])
    assert store.get_run(run_id).datasets == {"traffic": MD5}
    assert rows(store, "SELECT name, digest, dataset_source_type FROM datasets") == [("traffic", MD5, "dvc")]
    assert rows(store, "SELECT count(*) FROM inputs") == [(2,)]
    [(source,)] = rows(store, "SELECT dataset_source FROM datasets")
    assert json.loads(str(source)) == {"path": "data/traffic", "md5": MD5}


def test_a_digest_that_mlflow_would_cut_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="traffic"):
        store.log_inputs(a_run(store), [Data(md5="0" * 64)])


def test_runs_are_found_by_all_of_their_tags_in_any_experiment(store: Store) -> None:
    mine = a_run(store, **{"gatesweep.sweep_id": "s-1", "gatesweep.kind": "sweep"})
    a_run(store, **{"gatesweep.sweep_id": "s-1", "gatesweep.kind": "trial"})
    a_run(store, **{"gatesweep.sweep_id": "s-2", "gatesweep.kind": "sweep"})
    found = store.find_run({"gatesweep.sweep_id": "s-1", "gatesweep.kind": "sweep"})
    assert found is not None
    assert found.run_id == mine
    assert len(store.runs_of("s-1")) == 2
    assert store.find_run({"gatesweep.sweep_id": "s-3"}) is None
    with pytest.raises(StoreError, match="quote"):
        store.search({"gatesweep.sweep_id": "x' or '1' = '1"})


def test_an_unknown_run_or_artifact_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.get_run("0" * 32)
    with pytest.raises(NotFound, match=r"config\.yaml"):
        store.artifact(a_run(store), "config.yaml")


def test_artifacts_come_back_as_they_went_also_from_a_home_with_a_space(store: Store, tmp_path: Path) -> None:
    run_id = a_run(store)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.png").write_bytes(b"\x89PNG")
    store.write_text(run_id, "deep/config.yaml", "cell: grü\n")
    store.log_artifacts(run_id, tmp_path / "figures", "figures")
    store.log_artifacts(run_id, tmp_path / "figures" / "a.png")
    assert store.artifact(run_id, "deep/config.yaml").read_text(encoding="utf-8") == "cell: grü\n"
    assert store.artifact(run_id, "figures/a.png").read_bytes() == store.artifact(run_id, "a.png").read_bytes()
    assert store.artifact(run_id, "a.png").is_relative_to(store.home / "artifacts" / "traffic")
    listed = {entry.path for entry in store._client.list_artifacts(run_id)}  # as MLflow's own client and UI see them
    assert listed == {"deep", "figures", "a.png"}


def test_the_addresses_open_the_pages_that_they_name() -> None:
    assert run_address("3", "ab") == "http://127.0.0.1:5000/#/experiments/3/runs/ab?workflowType=machine_learning"
    compare = compare_address("3", ["ab", "cd"], "https://host/")
    wanted = 'https://host/#/compare-runs?runs=["ab","cd"]&experiments=["3"]&workflowType=machine_learning'
    assert unquote(compare) == wanted
    assert '"' not in compare
    trials = trials_address("3", "s-1", "")
    assert trials == "#/experiments/3/runs?viewStateShareKey=s-1&workflowType=machine_learning"
    assert charts_address("3", "s-1", "") == f"{trials}&compareRunsMode=CHART"


def test_a_comparison_of_a_thousand_runs_is_an_address_that_still_opens() -> None:
    assert len(compare_address("3", [f"{number:032x}" for number in range(1000)])) < 8000


def test_addresses_name_the_server_that_holds_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ann:hunter2@tracker:5000/")
    assert run_address("3", "ab").startswith("https://tracker:5000/#/experiments/3/runs/ab?")


def test_the_doctor_tells_a_whole_store_from_none(fresh_home: Homes, tmp_path: Path) -> None:
    home = fresh_home("home")
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode=DELETE")
    assert check(home)[0] == "warn"
    open_store(home)
    level, said = check(home)
    assert level == "ok"
    assert "migrated" in said
    level, said = check(tmp_path / "nothing" / "here")
    assert level == "ok"
    assert "not made yet" in said
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(("code", "said"), [(401, "no such user with that password"), (403, "not this user")])
def test_a_server_that_refuses_the_user_is_not_one_that_is_away(code: int, said: str) -> None:
    error = vendor.not_answering("http://me:secret@host", OSError(f"API request failed with error code {code} != 200"))
    assert said in error.message
    assert "MLFLOW_TRACKING_PASSWORD" in str(error.hint)
    assert "secret" not in str(error)
    assert "does not answer" in vendor.not_answering("http://host", OSError("reset")).message
