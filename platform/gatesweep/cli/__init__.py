"""The command line: thin, and quick to answer. Nothing heavy is imported before a command needs it."""

from __future__ import annotations


def main() -> None:
    """The console script `gatesweep`."""
    from gatesweep.cli.answer import answering
    from gatesweep.cli.app import app

    with answering():
        app()
