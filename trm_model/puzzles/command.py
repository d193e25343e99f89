"""The puzzles' command: generate, solve and check puzzles, show and augment ARC tasks.

``python -m trm_model.puzzles FAMILY ACTION --help``. Puzzles are read from files
``source,question,answer,rating`` (CSV with that header) or plain lines with one question each, and
written in the same forms or as drawings; ARC's tasks are read by the names of their sets or from
JSON files, and written as drawings or as JSON that can be imported.

Exit code 0; 2 with one line for a mistake or a puzzle that is wrong.
"""

import pkgutil
from collections.abc import Sequence

import click

from trm_model.terminal import import_option, run


class FamilyGroup(click.Group):
    """The families that have actions, those that ``--import`` has registered included. Each is
    imported when it is asked for: help of the program that this is a part of need not wait for
    numba."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        from trm_model.puzzles.registry import family_named, names

        return [name for name in names() if family_named(name).command is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        from trm_model.puzzles.registry import family_named

        command: click.Command = pkgutil.resolve_name(str(family_named(cmd_name).command))
        return command


@click.group(cls=FamilyGroup)
@import_option
def puzzles() -> None:
    """Generate, solve and check puzzles, show and augment ARC tasks."""


def main(arguments: Sequence[str]) -> int:
    """``python -m trm_model.puzzles``; returns the exit code."""
    return run(puzzles, arguments, program="python -m trm_model.puzzles")
