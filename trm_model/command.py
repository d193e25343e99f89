"""The command line of the library: ``python -m trm_model COMMAND --help``.

The commands of the graph (:mod:`pipelines.command`) are added to these in ``trm``. A command's
help and the shell's completion answer at once: this module imports click and three light modules,
and a command imports what it works with when it runs.
"""

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from trm_model import pretrained
from trm_model.errors import require
from trm_model.names import (
    OWN_VARIANTS_DEFAULT,
    OWN_VARIANTS_VARIABLE,
    own_variants_folder,
)
from trm_model.terminal import import_option, run

if TYPE_CHECKING:  # It takes its time to load.
    from trm_model.model.evaluation import Evaluation
    from trm_model.solving.trained import TrainedModel

_C = TypeVar("_C", bound=Callable[..., Any])


class Deferred(click.Command):
    """A command of another module, which is imported when the command or its help is asked for.

    :param target: ``package.module:name`` of a click command.
    :param summary: the line about it in the list of commands.
    """

    def __init__(self, name: str, target: str, summary: str) -> None:
        super().__init__(name, short_help=summary)
        self.target = target

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of the real command: the point from which click works with that one."""
        module, _, name = self.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command.make_context(info_name, args, parent=parent, **extra)


@click.group("trm", context_settings={"help_option_names": ["-h", "--help"]})
def trm() -> None:
    """Tiny recursive reasoning models: solve puzzles with them, and look at what they are."""


trm.add_command(
    Deferred(
        "puzzles",
        "trm_model.puzzles.command:puzzles",
        "Generate, solve and check puzzles, show and augment ARC tasks.",
    )
)


_own_variants = click.option(
    "--own",
    type=click.Path(path_type=Path),
    envvar=OWN_VARIANTS_VARIABLE,
    default=OWN_VARIANTS_DEFAULT,
    show_default=True,
    help="Folder of your own variants (YAML files).",
)


def complete_variant(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """The variants whose names begin so, for the shell's completion."""
    from trm_model.variants import all_variants

    return [name for name in all_variants(own_variants_folder()).known if name.startswith(begun)]


def complete_checkpoint(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The pretrained models whose names begin so, and paths."""
    named = [CompletionItem(name) for name in pretrained.names() if name.startswith(begun)]
    return named + parameter.type.shell_complete(context, parameter, begun)


def _say_broken(files: Mapping[str, str]) -> None:
    for message in files.values():
        click.echo(f"note: left out: {message}", err=True)


_NAMED = ("depth", "rollouts", "seed")
"""The settings of an evaluation that have options of their own."""


def _changes(_c: click.Context, _p: click.Parameter, settings: Sequence[str]) -> dict[str, Any]:
    """Settings ``FIELD=VALUE``, whose values are YAML, by field."""
    from trm_model.texts import from_yaml

    found: dict[str, Any] = {}
    for setting in settings:
        field, equals, text = setting.partition("=")
        require(
            bool(equals) and field not in (*_NAMED, *found),
            f"--set {setting}: expected FIELD=VALUE, once for each field"
            + (f"; give --{field} {text}" if field in _NAMED else ""),
        )
        found[field] = from_yaml(text)
    return found


_OF_MODEL = (
    click.option("--kind", help="The kind of puzzle, where the checkpoint leaves it open."),
    click.option("--depth", type=int, help="Supervision steps (default: as evaluated)."),
    click.option("--rollouts", type=int, help="Tries per puzzle, K (default: as evaluated)."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the noise at test."),
    click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="FIELD=VALUE",
        callback=_changes,
        help="Another setting of the evaluation, e.g. noise=0.3 or selection=first_to_halt; "
        "repeat.",
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …"),
    _own_variants,
    import_option,
    click.option(
        "--heads", type=int, help="Authors' file: attention heads (published: 8; the baseline: 12)."
    ),
    click.option(
        "--length",
        type=int,
        help="Authors' file: cells (published: 81 for Sudoku, 900 for mazes and ARC).",
    ),
    click.option(
        "--prefix",
        type=int,
        help="Authors' file: leading positions (default: from the shapes, or as published).",
    ),
    click.option(
        "--latent-updates",
        type=int,
        metavar="n",
        help="Authors' file: default as for Sudoku; published for mazes and ARC: 4.",
    ),
    click.option("--cycles", type=int, metavar="T", help="Authors' file: default as published."),
    click.option(
        "--identifiers",
        type=click.Path(path_type=Path),
        help="Authors' file: identifiers.json of the ARC data set that it was trained on.",
    ),
)
"""The options of commands that load a model and ask it puzzles."""


def of_model(command: _C) -> _C:
    """The options of a command that loads a model and asks it puzzles; see :func:`load_model` and
    :func:`evaluation_of`.
    """
    for option in reversed(_OF_MODEL):
        command = option(command)
    return command


def load_model(checkpoint: Path, options: Mapping[str, Any]) -> "TrainedModel":
    """The model that a command is asked for, by the values of :func:`of_model`."""
    known = ("heads", "length", "prefix", "latent_updates", "cycles", "identifiers")
    given = {name: options[name] for name in known if options[name] is not None}
    require(
        not given or given.keys() >= {"heads", "length"},
        "--heads and --length: expected both for a file of the authors'; give them",
    )

    from trm_model.solving.loading import AuthorsFile, load
    from trm_model.variants import load_variants

    # What registers classes of the user's own, which a stored file may name only then.
    _say_broken(load_variants(options["own"]).broken)
    theirs = AuthorsFile(**given) if given else None
    return load(checkpoint, device=options["device"], kind=options["kind"], theirs=theirs)


def evaluation_of(model: "TrainedModel", options: Mapping[str, Any]) -> "Evaluation":
    """How the model is to answer, by the values of :func:`of_model`."""
    return model.evaluation(**{name: options[name] for name in _NAMED}, **options["changes"])


@trm.command("solve")
@click.argument(
    "checkpoint",
    type=click.Path(path_type=Path),
    shell_complete=complete_checkpoint,
    help="A run's folder, a checkpoint's folder in it, a state dict of the authors', or a "
    f"pretrained model's name ({', '.join(pretrained.names())}).",
)
@click.argument(
    "puzzle",
    help="A file, - for standard input, or the puzzle itself: a Sudoku string, a maze of '# SG', "
    "an ARC task in JSON.",
)
@of_model
@click.option("--show-steps", is_flag=True, help="Show the answer after each supervision step.")
@click.option(
    "--gif",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the puzzle being solved, step by step, as an animated GIF.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--task", help="ARC: the task's name (default: the file's).")
@click.option("--puzzle-id", type=int, help="ARC: the row of the puzzle table itself.")
@click.option(
    "--votes",
    type=int,
    default=0,
    metavar="K",
    help="ARC: let K versions of the task that the model was trained on vote.",
)
def solve(
    checkpoint: Path,
    puzzle: str,
    show_steps: bool,
    gif: Path | None,
    as_json: bool,
    task: str | None,
    puzzle_id: int | None,
    votes: int,
    **options: Any,
) -> None:
    """Solve a puzzle with a trained model.

    The exit code is 0 whether the answer is right or wrong. Options that begin with "Authors'
    file" say what the shapes in a checkpoint of the authors do not tell.
    """
    model = load_model(checkpoint, options)

    from trm_model.solving.printing import describe, to_text
    from trm_model.solving.trained import find_text

    where, text = find_text(puzzle)
    result = describe(
        model,
        text,
        where=where,
        task_name=task or (Path(puzzle).stem if where == puzzle else ""),
        puzzle_id=puzzle_id,
        evaluation=evaluation_of(model, options),
        votes=votes,
        gif=gif,
    )
    print(json.dumps(result) if as_json else to_text(result, show_steps=show_steps))


def _numbers(_c: click.Context, _p: click.Parameter, text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: expected whole numbers such as 0,1,2") from error


@trm.command("inspect")
@click.argument(
    "checkpoint",
    type=click.Path(path_type=Path),
    shell_complete=complete_checkpoint,
    help="As of trm solve.",
)
@click.argument("puzzles", nargs=-1, metavar="[PUZZLE]...", help="As of trm solve.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="In place of puzzles: the folder of a data set, such as data/examples/sudoku_4x4/current.",
)
@click.option("--split", default="test", show_default=True, help="Of the data set.")
@click.option(
    "--examples",
    callback=_numbers,
    metavar="NUMBER,…",
    help="Of the split, counted from 0 (default: 0, without --failures).",
)
@click.option(
    "--failures",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Also draw the first N puzzles of the split that are not solved.",
)
@click.option(
    "--layers",
    callback=_numbers,
    metavar="NUMBER,…",
    help="Blocks whose maps are drawn, counted from 0 (default: all).",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="inspection",
    show_default=True,
    help="Folder for the pictures and tables.",
)
@of_model
def inspect(
    checkpoint: Path,
    puzzles: Sequence[str],
    data: Path | None,
    split: str,
    examples: Sequence[int] | None,
    failures: int,
    layers: Sequence[int] | None,
    out: Path,
    **options: Any,
) -> None:
    """Look into a model while it answers puzzles.

    Of each puzzle a picture is drawn: how far each network call moves y and z (do they reach a
    fixed point?), the halting logit and what y and z say after each step, and which cells look at
    which. residuals.csv and readings.csv have the figures.
    """
    require(
        bool(puzzles) != (data is not None),
        f"{len(puzzles)} puzzles and {'a' if data else 'no'} data set: expected one of them; give "
        "a PUZZLE, or --data FOLDER and --examples",
    )
    model = load_model(checkpoint, options)
    evaluation = evaluation_of(model, options)

    from trm_model.inspection.inspection import inspect_examples, inspect_questions, publish

    print(f"model: {model.description}")
    if data is None:
        require(not failures, "--failures without --data FOLDER: expected a data set; give one")
        found = inspect_questions(model, puzzles, evaluation=evaluation, layers=layers)
    else:
        from storage.store import follow_pointers
        from trm_model.inspection.failures import publish_failures
        from trm_model.puzzles.plans import open_examples

        stored = open_examples(follow_pointers(data) / f"{split}.zarr")
        if failures:
            print(publish_failures(model, stored, evaluation, failures, out))
        if failures and examples is None:
            return
        found = inspect_examples(
            model, stored, examples or [0], evaluation=evaluation, layers=layers
        )
    for line in [*found.summary(), *(f"made {path}" for path in publish(found, out))]:
        print(line)


@trm.command("variants")
@click.argument(
    "name",
    required=False,
    shell_complete=complete_variant,
    help="A variant, of which the cost is shown.",
)
@_own_variants
@click.option("--width", type=int, help="D, of every position (default: as published).")
@click.option("--heads", type=int, help="Attention heads (default: as published).")
@click.option("--expansion", type=float, help="Inner width over width (default: as published).")
@click.option("--prefix", type=int, help="P, leading positions (default: as published).")
@click.option(
    "--puzzle-width", type=int, help="Of a row of the puzzle table (default: as published)."
)
@click.option("--vocabulary", type=int, default=11, show_default=True, help="Tokens.")
@click.option("--length", type=int, default=81, show_default=True, help="L, cells per example.")
@click.option("--puzzles", type=int, default=1, show_default=True, help="Rows of the puzzle table.")
@click.option("--batch-size", type=int, default=768, show_default=True, help="Examples a step.")
@click.option(
    "--max-steps", type=int, default=16, show_default=True, help="Supervision steps per example."
)
def variants(
    name: str | None,
    own: Path,
    vocabulary: int,
    length: int,
    puzzles: int,
    batch_size: int,
    max_steps: int,
    **size: Any,
) -> None:
    """List what each variant changes, or show what one costs.

    The sizes default to the papers' on Sudoku-Extreme.
    """
    from trm_model.errors import ConfigurationError
    from trm_model.model.printing import cost_lines, variant_lines
    from trm_model.model.size import Size
    from trm_model.variants import all_variants

    found = all_variants(own)
    if name is None:
        print("\n".join(variant_lines(found.known)))
        _say_broken(found.broken)
        return
    variant = found.named(name)
    try:
        lines = cost_lines(
            variant,
            Size(**{field: value for field, value in size.items() if value is not None}),
            vocabulary=vocabulary,
            length=length,
            num_puzzles=puzzles,
            batch_size=batch_size,
            max_steps=max_steps,
        )
    except ConfigurationError as error:
        # A variant may be for other puzzles than those of the paper.
        raise ConfigurationError(f"with --length {length}: {error}; or give other sizes") from error
    print("\n".join(lines))


@trm.command("conformance")
@click.argument(
    "folder",
    type=click.Path(path_type=Path),
    help="Recordings of the authors' code: configs.json (or one NAME.json each) and NAME.npz.",
)
def conformance(folder: Path) -> int:
    """Compare our numbers with those of the authors' code.

    One line is printed for each value: its largest error and the tolerance there. The exit code is
    1 where a value differs or nothing was compared.
    """
    from trm_model.authors import conformance as recordings

    return recordings.main([str(folder)])


def main(arguments: Sequence[str]) -> int:
    """``python -m trm_model``; returns the exit code."""
    return run(trm, arguments, program="python -m trm_model")
