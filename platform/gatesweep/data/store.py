"""DVC's cache and remote: the only module that imports dvc, and only when something has to be fetched or entered.

    lay_out(root, pin, folder)   the set's files out of the cache, or out of the remote through the cache
    remote_address(root)         the default remote, as an address that holds on any machine
    enter(root, pin)             rebuilt bytes into the cache, so that `dvc status data.dvc` is clean
    write_pin(root, pin)         one entry of `data.dvc`, new or changed
    push(root, pin)              the set to the default remote

Only `write_pin` writes `data.dvc`, for `data add`, and it changes that one entry: the pins of the sets that are not on
this machine stay as they are.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from ..config.places import PIN_FILE
from ..errors import DataError
from .origin import without_credentials
from .pins import Pin, digest_of, md5s_in
from .scratch import Say


def is_tracked(root: Path | None) -> bool:
    """Whether there is a DVC repository (a bare `data.dvc` is enough to verify, not to store)."""
    return root is not None and (root / ".dvc").is_dir()


def open_repo(root: Path) -> Any:
    """The DVC repository at `root`, with git where there is git, without usage statistics."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    core: dict[str, Any] = {"analytics": False}
    try:
        try:
            return Repo(str(root), config={"core": core})
        except SCMError:  # a source archive without .git
            return Repo(str(root), config={"core": {**core, "no_scm": True}})
    except DvcException as error:
        raise DataError(f"DVC cannot open the repository: {error}", place=str(root / ".dvc"),
                        hint="dvc status shows the same") from error


def lay_out(root: Path, pin: Pin, folder: Path, say: Say) -> str | None:
    """Copy the set into the empty `folder`.

    Returns:
        `cache` or `remote`, wherever it came from; None when neither has it, or the remote did not answer (said).
    """
    with open_repo(root) as repo:
        if _copy_from_cache(repo, pin, folder):
            return "cache"
        if not (repo.config["core"].get("remote") and repo.config["remote"]):
            return None
        say(f"asking the DVC remote {repo.config['core']['remote']!r} for {pin.name}")
        try:
            repo.fetch(targets=[str(pin.path)])
        except Exception as error:  # every storage plugin raises errors of its own
            say(f"the DVC remote did not deliver {pin.name}: {first_line(error)}")
            return None
        if _copy_from_cache(repo, pin, folder):
            return "remote"
        say(f"the DVC remote does not hold {pin.name} as pinned")
        return None


def remote_address(root: Path) -> str | None:
    """The address of the default remote, a relative folder made absolute as DVC reads it; None where none is set."""
    with open_repo(root) as repo:
        name = repo.config["core"].get("remote")
        return str(repo.config["remote"][name]["url"]) if name else None


def shown(repo: Any, name: str) -> str:
    """A remote's address, without credentials."""
    return without_credentials(str(repo.config["remote"][name]["url"]))


def first_line(error: Exception) -> str:
    """What a library says, for one line of ours."""
    return (str(error) or type(error).__name__).splitlines()[0]


def _copy_from_cache(repo: Any, pin: Pin, folder: Path) -> bool:
    cache = repo.cache.local
    listing = Path(cache.oid_to_path(pin.md5))
    if not listing.is_file():
        return False
    files = {str(each["relpath"]): str(each["md5"]) for each in json.loads(listing.read_text(encoding="utf-8"))}
    objects = {path: Path(cache.oid_to_path(md5)) for path, md5 in files.items()}
    if digest_of(files) != pin.md5 or not all(each.is_file() for each in objects.values()):
        return False
    for path, found in objects.items():
        target = folder / path
        if not target.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"names a file outside the set: {path}", place=str(listing))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, target)
    if md5s_in(folder) == files:
        return True
    shutil.rmtree(folder)
    folder.mkdir()
    return False


def enter(root: Path, pin: Pin) -> None:
    """Enter the verified folder of `pin` into DVC's cache, as `dvc commit` would; a set that is in it costs little.

    Raises:
        DataError: another DVC process holds the repository, or the cache cannot be written.
    """
    with open_repo(root) as repo:
        from dvc.exceptions import DvcException

        try:
            with repo.lock:
                stage = repo.stage.load_one(path=str(root / PIN_FILE))
                stage.commit(filter_info=str(pin.path), relink=False)
        except (DvcException, OSError) as error:
            raise DataError(f"DVC's cache did not take the set: {first_line(error)}", place=str(pin.path),
                            hint=f"is another dvc running? then again: gatesweep data pull {pin.name}") from error


def lend(root: Path, clone: Path) -> None:
    """Make the DVC repository of a fresh clone use the cache and the default remote of `root`, with its local settings.

    Raises:
        DataError: DVC's settings cannot be written.
    """
    from configobj import ConfigObj

    with open_repo(root) as repo:
        name = repo.config["core"].get("remote")
        lent: dict[str, dict[str, str]] = {"cache": {"dir": str(repo.cache.local_cache_dir)}}
        if name:
            lent["core"] = {"remote": name}
            lent[f'remote "{name}"'] = {key: str(value) for key, value in repo.config["remote"][name].items()}
    place = clone / ".dvc" / "config.local"
    try:
        with place.open("wb") as file:  # not by DVC's own editor, which writes ASCII alone
            ConfigObj(lent, encoding="utf-8").write(file)
    except OSError as error:
        raise DataError(f"DVC's settings cannot be lent: {first_line(error)}", place=str(place)) from error


def write_pin(root: Path, pin: Pin) -> None:
    """Put the set's entry into `data.dvc`; the other entries, and comments, stay as they are."""
    from dvc.utils.serialize import modify_yaml

    place = root / PIN_FILE
    entry = {"md5": pin.md5, "size": pin.size_bytes, "nfiles": pin.files, "hash": "md5", "path": f"data/{pin.name}"}
    if not place.is_file():
        place.write_text(yaml.safe_dump({"outs": [entry]}, sort_keys=False), encoding="utf-8")
        return
    with modify_yaml(str(place)) as document:
        outs = document["outs"]
        there = next((out for out in outs if out["path"] == entry["path"]), None)
        if there is None:
            outs.append(entry)
        else:
            there.update(entry)


def push(root: Path, pin: Pin) -> str | None:
    """Send the set to the default remote; its name, or None where none is set.

    Raises:
        DataError: the remote does not take it.
    """
    with open_repo(root) as repo:
        name = repo.config["core"].get("remote")
        if not name:
            return None
        try:
            repo.push(targets=[str(pin.path)])
        except Exception as error:  # every storage plugin raises errors of its own
            raise DataError(f"the DVC remote {name!r} did not take {pin.name}: {first_line(error)}",
                            place=shown(repo, name), hint="--no-push pins it on this machine alone") from error
        return str(name)
