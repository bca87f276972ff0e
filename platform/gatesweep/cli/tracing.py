"""`gatesweep trace`: the answer as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatesweep.cli.answer import libraries_on_stderr, print_json

if TYPE_CHECKING:
    from rich.tree import Tree

    from gatesweep.reproduce.trace_data import DataTrace, Holder, User
    from gatesweep.reproduce.trace_run import Code, DataUsed, RunTrace

STATES = {
    "pinned": "data.dvc pins it", "same": "its file is there, as it was",
    "other": "the file there has other bytes, or another version is pinned now", "absent": "not here",
}  # fmt: skip
"""`DataUsed.state` in words."""

WIDE = 10_000
"""A command that is too long for the terminal must stay one line to be copied; rich would cut it."""


def show(what: str, *, as_json: bool) -> None:
    """Trace, print."""
    from gatesweep import api

    with libraries_on_stderr():
        found = api.trace(what)
    if as_json:
        print_json(found.as_dict())
        return
    from rich.console import Console

    from gatesweep.reproduce.trace_run import RunTrace

    tree = _tree_of_run(found) if isinstance(found, RunTrace) else _tree_of_data(found)
    Console(highlight=False, width=WIDE).print(tree)


def _tree(text: str) -> Tree:
    from rich.text import Text
    from rich.tree import Tree

    return Tree(Text(text))


def _tree_of_run(found: RunTrace) -> Tree:
    itself = f"{found.kind} {found.sweep_id if found.kind == 'sweep' else found.run_id}"
    tree = _tree(itself if found.kind in ("run", "sweep") else found.given)
    run = tree if found.kind in ("run", "sweep") else tree.add(_tree(f"run {found.run_id}"))
    run.add(_tree(f"{found.name}, {found.outcome or found.status.lower()}, in {found.store}"))
    if found.kind == "sweep":
        run.add(_tree(f"its run is {found.run_id}"))
    elif found.sweep_id:
        trial = f"trial {found.trial_id} of " if found.trial_id else ""
        parent = f", whose run is {found.parent_run_id}" if found.parent_run_id else ""
        run.add(_tree(f"{trial}sweep {found.sweep_id}{parent}"))
    run.add(_tree(_words_of_code(found.code)))
    for each in found.data:
        run.add(_tree(_words_of_data(each)))
    if found.why_not:
        tags = "" if found.locked else ": only its tags speak, and"
        run.add(_tree(f"it {found.why_not}{tags or ':'} it cannot be trained again"))
    elif not found.data:
        run.add(_tree("no data: it made its own, or did not say"))
    again = run.add(_tree("to get it back"))
    for command in found.commands:
        again.add(_tree(command))
    return tree


def _words_of_code(code: Code) -> str:
    if code.commit is None:
        return f"no commit: {code.why_not or 'the run does not tell'}"
    dirty = {True: "with changes that are not in it", False: "a clean tree", None: "changes unknown"}[code.dirty]
    if code.patch and not code.dirty:
        dirty = "with Python files that are not in it"
    branch = f" on {code.branch}" if code.branch else ""
    return f"commit {code.commit}{branch}, {dirty}{'' if code.here else '; this repository does not have it'}"


def _words_of_data(used: DataUsed) -> str:
    return f"data {used.name}, md5 {used.md5}, {used.path}: {STATES[used.state]}"


def _tree_of_data(found: DataTrace) -> Tree:
    size = "" if found.size_bytes is None else f", {found.size_bytes:,} bytes"
    tree = _tree(f"{found.given}, md5 {found.md5}{size}")
    for holder in found.sets:
        at = tree.add(_tree(_words_of_holder(holder)))
        _add_runs(at, [user for user in found.runs if user.md5 == holder.md5])
    others = [user for user in found.runs if user.md5 not in {holder.md5 for holder in found.sets}]
    if others:
        _add_runs(tree.add(_tree("read by its path, as a file or folder of the user's own")), others)
    if not found.runs:
        tree.add(_tree(f"no run in {found.store} read it"))
    if found.unread:
        tree.add(_tree(f"may also be in versions whose listings are nowhere to be had: {', '.join(found.unread)}"))
    return tree


def _words_of_holder(holder: Holder) -> str:
    where = f" as {', '.join(holder.files)}" if holder.files else ""
    commits = ", ".join(commit[:10] for commit in holder.commits[:3])
    more = f" and {len(holder.commits) - 3} more" if len(holder.commits) > 3 else ""
    pinned = [*(["now"] if holder.now else []), *([f"at {commits}{more}"] if commits else [])]
    return f"set {holder.set}{where}, pin {holder.md5}, pinned {', '.join(pinned)}"


def _add_runs(tree: Tree, users: list[User]) -> None:
    """Single runs each on a line; the trials of a sweep below it."""
    sweeps: dict[str, Tree] = {}
    for user in users:
        commit = f"commit {user.commit[:10]}" if user.commit else "no commit"
        if user.sweep_id and user.sweep_id not in sweeps:
            sweeps[user.sweep_id] = tree.add(_tree(f"sweep {user.sweep_id}, {commit}"))
        at = sweeps.get(user.sweep_id or "", tree)
        if user.kind == "sweep":
            continue
        at.add(_tree(f"run {user.run_id}, {user.trial_id or user.name}, {user.status.lower()}, {commit}"))
