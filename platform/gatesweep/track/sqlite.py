"""The local tracking database: one SQLite file, made whole or not at all, in WAL, migrated under a lock.

MLflow's first migration takes 2 to 3 s and is not made for two at once: the first process to come makes the database
under another name and renames it when it is complete, the others wait. Reopening costs MLflow's own check of the schema
(0.1 s).

MLflow sets a busy timeout of 20 s on each session itself. `synchronous` stays FULL: under WAL, NORMAL gained nothing
measurable (12.3 against 13.4 ms for a batch of 8 metrics).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.errors import StoreError
from gatesweep.track import vendor

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

LOCK_TIMEOUT_S = 120.0
BUSY_TIMEOUT_S = 20.0
CHECKED_BYTES = 64 * 2**20  # a full check reads the whole file; above this only `doctor` does it

_ASIDE = "move it aside to start a new one; sweeps' logs, checkpoints and reports do not depend on it"


def address(path: Path) -> str:
    """The tracking URI of a database file."""
    return f"sqlite:///{path}"


def file_of(uri: str) -> Path | None:
    """The file behind a `sqlite:///…` address; none for any other store."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]).absolute()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the database's migration lock (`<file>.lock`); waits for whoever has it.

    Raises:
        StoreError: the folder cannot be written, or the lock stays taken for two minutes.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", place=str(path.parent),
                         hint="choose another folder with GATESWEEP_HOME") from None
    try:
        _acquire(handle, path)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreError("another process has been migrating it for two minutes", place=str(path),
                                 hint="wait for it, or end it") from None
            time.sleep(0.05)


def prepare(path: Path, artifacts: Path) -> None:
    """Create the database, or check and migrate the one that is there, and put it in WAL. Call it under `locked`.

    Raises:
        StoreError: it is damaged, is not MLflow's, or cannot be written.
    """
    if not path.exists() or path.stat().st_size == 0:
        _create(path, artifacts)
    version = examine(path, whole=path.stat().st_size <= CHECKED_BYTES)
    if version != migrations().get_current_head():  # before MLflow sees it, which may migrate it without a copy
        upgrade(path, version)
    set_wal(path)


def _create(path: Path, artifacts: Path) -> None:
    """Migrate a fresh file beside `path` and rename it: a process killed on the way leaves no half-made store."""
    vendor.quiet()
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.exc import SQLAlchemyError

    for stale in path.parent.glob(f"{path.name}.new-*"):
        stale.unlink(missing_ok=True)
    fresh = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        store = SqlAlchemyStore(address(fresh), artifacts.as_uri())  # type: ignore[no-untyped-call]
        store.engine.dispose()
        os.replace(fresh, path)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise StoreError(f"the tracking database cannot be made: {error}", place=str(path),
                         hint="is the disk full, or the folder not yours?") from None


def examine(path: Path, *, whole: bool) -> str:
    """The schema version of an MLflow database; `whole` reads every page.

    Raises:
        StoreError: it cannot be read, is damaged, or is not MLflow's.
    """
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as database:
            verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0] if whole else "ok"
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            known = {"alembic_version", "runs"} <= tables
            version = database.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    except sqlite3.Error as error:
        raise StoreError(f"the tracking database is damaged or unreadable: {error}", place=str(path),
                         hint=_ASIDE) from None
    if verdict != "ok":
        raise StoreError(f"the tracking database is damaged: {verdict.splitlines()[-1]}", place=str(path), hint=_ASIDE)
    if version is None:
        raise StoreError("this SQLite file is not an MLflow store", place=str(path),
                         hint="name another file, or none for the default one")
    return str(version[0])


def experiments(path: Path, limit: int) -> list[tuple[str, str]]:
    """Id and name of the experiments that have runs, those with the newest first."""
    newest = ("SELECT experiment_id, name FROM experiments JOIN (SELECT experiment_id, max(start_time) AS started "
              "FROM runs WHERE lifecycle_stage = 'active' GROUP BY experiment_id) USING (experiment_id) "
              "WHERE lifecycle_stage = 'active' ORDER BY started DESC LIMIT ?")
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as database:
        return [(str(key), str(name)) for key, name in database.execute(newest, [limit])]


def set_wal(path: Path) -> str:
    """Ask for write-ahead logging, which lasts; the journal mode that the file is in afterwards.

    Readers (the UI) and the one writer do not block each other then. Some network filesystems cannot: the mode stays.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as database:
            return str(database.execute("PRAGMA journal_mode=WAL").fetchone()[0])
    except sqlite3.OperationalError as error:
        if "locked" in str(error):  # an older reader holds it: the next opening will do it
            return "delete"
        raise StoreError(f"the tracking database cannot be written: {error}", place=str(path),
                         hint="check the file's owner and rights") from None


def upgrade(path: Path, version: str) -> None:
    """Migrate a database of an older MLflow after copying it to `<file>.before-<version>`.

    Raises:
        StoreError: this MLflow cannot migrate it (a newer one made it).
    """
    if version not in {revision.revision for revision in migrations().walk_revisions()}:
        raise StoreError(f"its schema {version} is not one that this MLflow knows", place=str(path),
                         hint="a newer MLflow made it: upgrade this environment, or move the file aside")
    copy = path.with_name(f"{path.name}.before-{version}")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    from alembic import command
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        command.upgrade(_alembic(address(path)), "heads")
    except (CommandError, SQLAlchemyError) as error:
        raise StoreError(f"its schema {version} cannot be migrated: {error}", place=str(path),
                         hint=f"{copy} is as it was before; move both aside to start a new one") from None


def migrations() -> ScriptDirectory:
    """The schema versions that the installed MLflow knows. They import MLflow, and then take 20 ms."""
    vendor.quiet()
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_alembic())


def _alembic(uri: str = "") -> Config:
    from alembic.config import Config

    package = find_spec("mlflow")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "store" / "db_migrations"
    config = Config(folder / "alembic.ini")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", uri.replace("%", "%%"))
    return config
