"""The files of runs: read and written in place where the store is a local one, else through MLflow's client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from gatesweep.errors import NotFound, StoreError
from gatesweep.track import vendor
from gatesweep.track.stored import Refused, copy_into, write_whole

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


class Artifacts:
    """Runs' artifacts. Every error of MLflow's comes out as a `StoreError`."""

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self.uri = uri
        self._client = client
        self._artifact_uris: dict[str, str] = {}

    def write_text(self, run_id: str, name: str, text: str) -> None:
        """An artifact from a text; `name` may hold folders."""
        with self._asking() as client:
            folder = self._folder(run_id)
            if folder is None:
                client.log_text(run_id, text, name)
            else:
                write_whole(folder / name, text)

    def log_artifacts(self, run_id: str, path: Path, artifact_path: str | None = None) -> None:
        """Copy a file or a folder's content to the run's artifacts, below `artifact_path`."""
        with self._asking() as client:
            folder = self._folder(run_id)
            if folder is not None:
                copy_into(path, folder / (artifact_path or "."))
            elif path.is_dir():
                client.log_artifacts(run_id, str(path), artifact_path)
            else:
                client.log_artifact(run_id, str(path), artifact_path)

    def artifact(self, run_id: str, name: str, into: Path | None = None) -> Path:
        """A local path of an artifact: itself where the store is local, else a download (below `into`).

        Raises:
            NotFound: the run has no such artifact; a name that leads out of its folder is none.
        """
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise NotFound(f"'{name}' is no artifact's name", place=f"run {run_id}", hint="was an artifact altered?")
        with self._asking() as client:
            folder = self._folder(run_id)
            if folder is None:
                if not _listed(client, run_id, name):
                    raise NotFound(f"run {run_id} has no artifact '{name}'", place=vendor.public(self.uri))
                if into is not None:
                    into.mkdir(parents=True, exist_ok=True)
                return Path(client.download_artifacts(run_id, name, str(into) if into else None))
        if not (folder / name).exists():
            raise NotFound(f"run {run_id} has no artifact '{name}'", place=str(folder))
        return folder / name

    def _folder(self, run_id: str) -> Path | None:
        """The run's artifact folder where it is a local one: writing there directly spares a question per file."""
        if run_id not in self._artifact_uris:
            self._lies_at(run_id, str(self._client.get_run(run_id).info.artifact_uri))
        parts = urlsplit(self._artifact_uris[run_id])
        return Path(unquote(parts.path)) if parts.scheme in ("file", "") else None

    def _lies_at(self, run_id: str, address: str) -> None:
        """What is known of a run's folder is not asked again."""
        self._artifact_uris[run_id] = address

    @contextmanager
    def _asking(self) -> Iterator[MlflowClient]:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield self._client
        except (MlflowException, SQLAlchemyError, OSError) as error:
            kind = Refused if vendor.is_permanent(error) else StoreError
            raise kind(str(error), place=vendor.public(self.uri)) from error


def _listed(client: MlflowClient, run_id: str, name: str) -> bool:
    parent = name.rpartition("/")[0]
    return any(entry.path == name for entry in client.list_artifacts(run_id, parent or None))
