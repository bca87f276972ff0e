"""The tracking store: where runs are kept, a thin and bounded face over MLflow's client.

`open_store` takes, in this order, the address it is given, MLFLOW_TRACKING_URI, or `<home>/mlflow.db` with artifacts
under `<home>/artifacts`. Every error of the store comes out as a `StoreError`; a `Refused` one would come again on
every retry.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.errors import NotFound, StoreError
from gatesweep.track import sqlite, vendor
from gatesweep.track.addresses import SWEEP_ID
from gatesweep.track.artifacts import Artifacts
from gatesweep.track.stored import Point, Refused, StoredRun

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

    from gatesweep.track.inputs import Pinned

__all__ = ["Point", "Refused", "Store", "StoredRun", "open_store"]

_PAGE = 1000
_VALUE_CHARS, _TAG_CHARS = 6000, 8000


def open_store(home: Path, uri: str | None = None, *, must_answer: bool = True) -> Store:
    """The tracking store, created and migrated before it is returned.

    Args:
        home: the home folder, made if it is not there.
        uri: a tracking address; by default MLFLOW_TRACKING_URI, else the local store in `home`.
        must_answer: ask a server for a sign of life (at most a few seconds); without it, only the first use tells.

    Raises:
        StoreError: it is damaged, cannot be written, or does not answer.
    """
    home = home.absolute()
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or sqlite.address(home / "mlflow.db")
    file = sqlite.file_of(uri)
    if file is not None:
        return _open_local(home, file)
    if "://" not in uri or uri.startswith("file:"):
        raise StoreError("MLflow no longer keeps runs in a folder of files", place=uri,
                         hint="use sqlite:///<file>.db or a server's http://… address")
    if must_answer:
        vendor.must_answer(uri)
    store = _connected(uri, home)
    if must_answer:
        store.ping()
    return store


def _open_local(home: Path, file: Path) -> Store:
    with sqlite.locked(file):
        sqlite.prepare(file, home / "artifacts")
        return _connected(sqlite.address(file), home)


def _connected(uri: str, home: Path) -> Store:
    """MLflow's client opens a database at once, and checks its schema; of a server it asks nothing yet."""
    vendor.quiet()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return Store(vendor.client(uri), uri, home)
    except (MlflowException, SQLAlchemyError, ImportError) as error:
        raise vendor.not_answering(uri, error) if sqlite.file_of(uri) is None else StoreError(
            str(error), place=str(sqlite.file_of(uri)), hint="gatesweep doctor says more") from None


class Store(Artifacts):
    """Runs, their values and their artifacts. Safe to use from several threads."""

    def __init__(self, client: MlflowClient, uri: str, home: Path) -> None:
        super().__init__(client, uri)
        self.home = home

    @property
    def file(self) -> Path | None:
        """The database file of a local store."""
        return sqlite.file_of(self.uri)

    def ping(self) -> None:
        """One small question.

        Raises:
            StoreError: no answer, or one that is not MLflow's.
        """
        try:
            with self._asking() as client:
                client.search_experiments(max_results=1)
        except StoreError as error:
            raise error if self.file else vendor.not_answering(self.uri, error.__cause__ or error) from None

    def experiment(self, name: str) -> str:
        """The id of an experiment, created if it is not there, also when others are creating it at the same time.

        Raises:
            StoreError: no answer; or somebody deleted the experiment and MLflow still holds its name.
        """
        found = self._experiment(name)
        if found is None:
            location = (self.home / "artifacts" / name).as_uri() if self.file else None
            try:
                with self._asking() as client:
                    return str(client.create_experiment(name, artifact_location=location))
            except StoreError as error:
                if getattr(error.__cause__, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._experiment(name)
            if found is None:
                raise StoreError(f"experiment '{name}' comes and goes", place=vendor.public(self.uri))
        return found

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        """A tag of an experiment; the last value stays."""
        with self._asking() as client:
            client.set_experiment_tag(experiment_id, key, value)

    def _experiment(self, name: str) -> str | None:
        with self._asking() as client:
            found = client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage != "active":
            raise StoreError(f"experiment '{name}' was deleted in MLflow, which keeps its name",
                             place=vendor.public(self.uri),
                             hint=f"mlflow experiments restore --experiment-id {found.experiment_id}")
        return None if found is None else str(found.experiment_id)

    def search(self, tags: Mapping[str, str], experiment_id: str | None = None) -> list[StoredRun]:
        """Every run that carries all of these tags and was not deleted, oldest first."""
        return self._search(" and ".join(f"tags.`{key}` = '{_plain(value)}'" for key, value in tags.items()),
                            experiment_id)

    def using(self, digest: str) -> list[StoredRun]:
        """Every run that reads data of this digest and was not deleted, oldest first."""
        return self._search(f"dataset.digest = '{_plain(digest)}'")

    def _search(self, wanted: str, experiment_id: str | None = None) -> list[StoredRun]:
        with self._asking() as client:
            places = [experiment_id] if experiment_id else [
                e.experiment_id for e in _pages(lambda token: client.search_experiments(page_token=token))]
            runs = list(_pages(lambda token: client.search_runs(places, wanted, max_results=_PAGE, page_token=token)))
        return sorted(map(self._stored, runs), key=lambda run: (run.started_ms, run.run_id))

    def find_run(self, tags: Mapping[str, str], experiment_id: str | None = None) -> StoredRun | None:
        """The oldest run that carries all of these tags."""
        return next(iter(self.search(tags, experiment_id)), None)

    def runs_of(self, sweep_id: str, experiment_id: str | None = None) -> list[StoredRun]:
        """A sweep's parent and children."""
        return self.search({SWEEP_ID: sweep_id}, experiment_id)

    def get_run(self, run_id: str) -> StoredRun:
        """One run by its id.

        Raises:
            NotFound: the store has no such run.
        """
        try:
            with self._asking() as client:
                return self._stored(client.get_run(run_id))
        except Refused as error:
            raise NotFound(f"no run '{run_id}'", place=vendor.public(self.uri),
                           hint="gatesweep list --runs shows the runs, gatesweep list the sweeps; a trial is called"
                                " <sweep_id>/t0007, a sweep's best one best:<sweep_id>") from error

    def model_run(self, name: str, version: str | None, alias: str | None) -> str | None:
        """The run that a registered model's version comes from; without version and alias, a logged model of this id.

        Raises:
            Refused: there is none.
        """
        with self._asking() as client:
            if alias:
                return client.get_model_version_by_alias(name, alias).run_id
            if version == "latest":
                there = client.search_model_versions(f"name = '{_plain(name)}'")
                version = str(max((int(each.version) for each in there), default=1))
            if version:
                return client.get_model_version(name, version).run_id
            return client.get_logged_model(name).source_run_id

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str], started_ms: int) -> StoredRun:
        """A new run, RUNNING, with its tags from the start."""
        given = {key: value[:_TAG_CHARS] for key, value in tags.items()}
        with self._asking() as client:
            return self._stored(client.create_run(experiment_id, start_time=started_ms, tags=given, run_name=name))

    def log_batch(self, run_id: str, metrics: Sequence[Point] = (), params: Mapping[str, str] | None = None,
                  tags: Mapping[str, str] | None = None) -> None:
        """Metrics, parameters and tags in as few calls as MLflow's limits allow. Sending it again changes nothing."""
        from mlflow.entities import Metric, Param, RunTag

        rows = [Metric(p.key, p.value, p.timestamp_ms, p.step) for p in metrics]
        texts = [Param(key, value[:_VALUE_CHARS]) for key, value in (params or {}).items()]
        marks = [RunTag(key, value[:_TAG_CHARS]) for key, value in (tags or {}).items()]
        with self._asking() as client:
            client.log_batch(run_id, metrics=rows, params=texts, tags=marks)  # which keeps to MLflow's limits itself

    def log_inputs(self, run_id: str, datasets: Sequence[Pinned]) -> None:
        """Say which pinned data a run reads. Sending it again changes nothing."""
        from gatesweep.track.inputs import dataset_inputs

        if datasets:
            with self._asking() as client:
                client.log_inputs(run_id, dataset_inputs(datasets))

    def set_terminated(self, run_id: str, status: str, ended_ms: int) -> None:
        """Close a run as FINISHED, FAILED or KILLED."""
        with self._asking() as client:
            client.set_terminated(run_id, status, ended_ms)

    def reopen(self, run_id: str) -> None:
        """A closed run is RUNNING again."""
        with self._asking() as client:
            client.update_run(run_id, status="RUNNING")

    def delete_run(self, run_id: str) -> None:
        """Put a run into MLflow's bin."""
        with self._asking() as client:
            client.delete_run(run_id)

    def history(self, run_id: str, key: str) -> list[Point]:
        """Every value of one metric of a run, in the order of its steps."""
        with self._asking() as client:
            rows = client.get_metric_history(run_id, key)
        points = (Point(m.key, m.value, m.timestamp, m.step) for m in rows)
        return sorted(points, key=lambda p: (p.step, p.timestamp_ms))

    def _stored(self, run: Run) -> StoredRun:
        info, data = run.info, run.data
        self._lies_at(info.run_id, str(info.artifact_uri))
        used = run.inputs.dataset_inputs if run.inputs else []
        return StoredRun(info.run_id, info.experiment_id, info.run_name or "", info.status, info.start_time,
                         info.end_time, str(info.artifact_uri), dict(data.tags), dict(data.params), dict(data.metrics),
                         {i.dataset.name: i.dataset.digest for i in used})


def _pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def _plain(value: str) -> str:
    if "'" in value:
        raise StoreError(f"a tag to search for cannot hold a quote: {value}")
    return value
