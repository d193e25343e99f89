"""The command ``trm``: the library's commands (:mod:`trm_model.command`) and those of the graph.

Dagster is imported when a command runs, not for its help or the shell's completion.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from assets.stages import (
    DATA_STAGES,
    EVALUATE_STAGES,
    INSPECT_STAGES,
    OVERALL_STAGES,
    REPORT_STAGES,
    SEEDS,
    STAGES,
    TRAIN_STAGES,
)
from assets.titles import require_benchmark, titles
from trm_model.command import (
    complete_checkpoint,
    complete_variant,
    evaluation_of,
    load_model,
    of_model,
)
from trm_model.command import trm as library
from trm_model.terminal import import_option, run

Function = TypeVar("Function", bound=Callable[..., Any])


@click.group("trm", context_settings=library.context_settings)
def trm() -> None:
    """Train and study tiny recursive reasoning models, from puzzles to reports.

    A benchmark is a named data set with its training recipe, such as sudoku_4x4. Each variant of
    the model and seed of its weights is a partition of it, such as 'trm_mlp|0'.
    """


for _command in library.commands.values():
    trm.add_command(_command)


class OfBenchmark(click.Command):
    """A command on a benchmark; its help lists them."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See :class:`click.Command`."""
        del ctx
        with formatter.section("Benchmarks"):
            formatter.write_dl(list(titles().items()))


def _complete_benchmark(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    return [name for name in titles() if name.startswith(begun)]


def _complete_partition(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[str]:
    """The variants before a seed is begun, then their seeds."""
    variant, bar, _ = begun.partition("|")
    if not bar:
        return [f"{name}|0" for name in complete_variant(context, parameter, begun)]
    return [key for seed in range(SEEDS) if (key := f"{variant}|{seed}").startswith(begun)]


def _known_benchmark(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    if name is not None:
        require_benchmark(name)
    return name


def _benchmark(function: Function, *, required: bool = True) -> Function:
    return click.argument(
        "benchmark",
        required=required,
        is_eager=True,
        callback=_known_benchmark,
        shell_complete=_complete_benchmark,
        help="A benchmark's name, e.g. sudoku_4x4.",
    )(function)


def _partition(function: Function) -> Function:
    return click.option(
        "--partition",
        "partitions",
        multiple=True,
        metavar="VARIANT|SEED",
        shell_complete=_complete_partition,
        help="A variant and a seed; repeat, or give a range FIRST...LAST.",
    )(function)


def _stage(stages: Sequence[str], default: str) -> Callable[[Function], Function]:
    return click.option(
        "--stage",
        "stages",
        multiple=True,
        type=click.Choice(stages),
        help=f"Only these stages; repeat. Default: {default}.",
    )


def _settings(function: Function) -> Function:
    option = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="STAGE.FIELD=VALUE",
        help="Configuration, e.g. puzzles.path=my.csv.gz or checkpoint.steps=100.",
    )
    # What settings and stored runs name of the user's own.
    return option(import_option(function))


@trm.command("data", cls=OfBenchmark)
@_benchmark
@_stage(DATA_STAGES, "puzzles and examples")
@_settings
def data(benchmark: str, stages: Sequence[str], settings: Sequence[str]) -> int:
    """Make a benchmark's data set, again if it is there.

    The same seed gives the same bytes. Shards are a copy as webdataset, also for a bucket.
    """
    from pipelines.execute import materialize

    return materialize(benchmark, stages=stages or ("puzzles", "examples"), settings=settings)


@trm.command("train", cls=OfBenchmark)
@_benchmark
@_partition
@_stage(TRAIN_STAGES, "data where they are missing, all of these, and the reports")
@_settings
def train(
    benchmark: str, partitions: Sequence[str], stages: Sequence[str], settings: Sequence[str]
) -> int:
    """Train variants on a benchmark, evaluate and score them.

    The data are made first where they are missing, and the reports are written last. A training
    that was interrupted goes on from its newest checkpoint; the same training is not repeated.
    """
    _require_partition(partitions)

    from pipelines.execute import materialize

    return materialize(benchmark, partitions=partitions, stages=stages or None, settings=settings)


@trm.command("plan", cls=OfBenchmark)
@_benchmark
@_partition
@_settings
@click.option(
    "--recipe", "recipes", is_flag=True, help="Show every setting, too, as --set takes it."
)
def plan(
    benchmark: str, partitions: Sequence[str], settings: Sequence[str], *, recipes: bool
) -> int:
    """Say what trainings would take, without starting any.

    Steps, parameters with and without the puzzle table, floating-point operations and memory.
    """
    _require_partition(partitions)

    from pipelines.plan import tell_plans

    return tell_plans(benchmark, partitions, settings, recipes=recipes)


@trm.command("study")
@click.argument("name", required=False, help="A study's name; none: which there are.")
@click.option(
    "--point",
    "points",
    multiple=True,
    metavar="KEY",
    help="Only these points, and no report; KEY as --plan shows it, before the colon.",
)
@click.option("--plan", is_flag=True, help="Say what the points take, and start nothing.")
@import_option
def study(name: str | None, points: Sequence[str], plan: bool) -> int:
    """Train, evaluate and compare the points of a study.

    What has been done is kept, what was interrupted goes on, and the report shows what there is.
    """
    from pipelines.study import make_study, tell_studies, tell_study

    if name is None:
        return tell_studies()
    return tell_study(name) if plan else make_study(name, points)


@trm.command("evaluate", cls=OfBenchmark)
@_benchmark
@_partition
@_stage(
    (*EVALUATE_STAGES, *INSPECT_STAGES, *REPORT_STAGES),
    "all of these but inspection, which looks into the model on a few puzzles",
)
@_settings
def evaluate(
    benchmark: str, partitions: Sequence[str], stages: Sequence[str], settings: Sequence[str]
) -> int:
    """Evaluate and score what is trained, and write the reports."""
    _require_partition(partitions)

    from pipelines.execute import materialize

    return materialize(
        benchmark,
        partitions=partitions,
        stages=stages or (*EVALUATE_STAGES, *REPORT_STAGES),
        settings=settings,
    )


def _require_partition(partitions: Sequence[str]) -> None:
    if not partitions:
        raise click.UsageError(
            "no partition: give --partition VARIANT|SEED, e.g. --partition 'trm_mlp|0'"
        )


@trm.command("test", cls=OfBenchmark)
@click.argument(
    "checkpoint",
    type=click.Path(path_type=Path),
    shell_complete=complete_checkpoint,
    help="As of trm solve: a run, one of its checkpoints, a file of the authors' or a name.",
)
@_benchmark
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Only the first so many puzzles, of ARC tasks (default: as the benchmark is evaluated).",
)
@click.option("--all", "every", is_flag=True, help="All puzzles, whatever the limit.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Rollouts computed together (default: as many as the device has memory for; 256 on a "
    "CPU); the scores do not depend on it.",
)
@of_model
def test(
    checkpoint: Path,
    benchmark: str,
    limit: int | None,
    every: bool,
    batch_size: int | None,
    **options: Any,
) -> int:
    """Test any checkpoint on any benchmark of its family.

    The checkpoint may be of another benchmark or of the authors. Its scores are printed and stored
    in the table scores_elsewhere, apart from those that the reports compare.
    """
    model = load_model(checkpoint, options)

    from pipelines.testing import tell_scores

    evaluation = evaluation_of(model, options)
    return tell_scores(
        benchmark, model, evaluation, limit=limit, every=every, batch_size=batch_size
    )


@trm.command("check", cls=OfBenchmark)
@_benchmark
@_partition
@_stage(
    (*STAGES, *OVERALL_STAGES),
    "with a partition checkpoint to scores, else puzzles and examples",
)
@import_option
def check(benchmark: str, partitions: Sequence[str], stages: Sequence[str]) -> int:
    """Check what is stored again, without making it again.

    One line is printed for each check. The exit code is 2 where one failed that counts.
    """
    from pipelines.execute import check as check_stored

    return check_stored(benchmark, partitions=partitions, stages=stages or None)


def _form(function: Function) -> Function:
    return click.option(
        "--format",
        "form",
        type=click.Choice(("table", "csv", "json")),
        default="table",
        show_default=True,
    )(function)


@trm.command("runs", cls=OfBenchmark)
@partial(_benchmark, required=False)
@click.option("--all", "every", is_flag=True, help="All runs, not the latest alone.")
@_form
def runs(benchmark: str | None, every: bool, form: str) -> None:
    """List the trainings, the latest of each configuration.

    The latest is first. step is that of the newest checkpoint, of steps; score is what reports
    compare, by the run's latest test on n puzzles; curve shows the share of solved training
    examples of a run under way, and left how long it will take; changes says what the run changes
    of its benchmark's recipe and of its variant. trm compare takes the first letters of a run's
    name.
    """
    from pipelines.listing import list_runs

    click.echo(list_runs(benchmark, every=every, form=form))


@trm.command("scores", cls=OfBenchmark)
@partial(_benchmark, required=False)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="This one, e.g. exact_accuracy_of_group; repeat. Default: all of the whole test.",
)
@click.option("--all", "every", is_flag=True, help="All scores, not the latest alone.")
@click.option("--elsewhere", is_flag=True, help="Those of trm test, whatever was trained on.")
@_form
def scores(
    benchmark: str | None, metrics: Sequence[str], every: bool, elsewhere: bool, form: str
) -> None:
    """List the scores, the latest of each configuration.

    low and high bound the 95 % interval of the value, n is the number of test puzzles, and step
    the training step of the weights.
    """
    from pipelines.listing import list_scores

    click.echo(list_scores(benchmark, metrics=metrics, every=every, form=form, elsewhere=elsewhere))


@trm.command("compare")
@_benchmark
@click.argument("first", help="VARIANT, VARIANT|SEED or the key of a run.")
@click.argument("second", help="The same of the other.")
@click.option(
    "--newest", is_flag=True, help="Take each run's latest test, even one with other settings."
)
@import_option
def compare(benchmark: str, first: str, second: str, newest: bool) -> int:
    """Compare two runs or variants on the same test puzzles.

    The difference of their accuracy is printed with its 95 % interval: of two runs with McNemar's
    test, of variants by a bootstrap over puzzles and seeds. Of a run counts its latest test as the
    benchmark declares, if it has one. Nothing is made or changed.
    """
    from pipelines.compare import compare as compare_two

    return compare_two(benchmark, first, second, newest=newest)


@trm.command("publish")
@click.argument(
    "run",
    type=click.Path(path_type=Path),
    help="A run's folder, e.g. data/runs/sudoku_4x4/trm_mlp/0/current.",
)
@click.argument(
    "folder",
    type=click.Path(path_type=Path),
    help="The folder to make, e.g. published/my_model.",
)
@import_option
def publish(run: Path, folder: Path) -> None:
    """Make a small folder of a trained model, for others to use.

    It holds the averaged weights, the run's description, its scores and a card; trm solve takes
    it as a checkpoint. The run must be evaluated as its benchmark declares.
    """
    from pipelines.publishing import publish_model

    click.echo(publish_model(run, folder))


@trm.command("prune")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="DAYS",
    help="Only what has not changed for so many days.",
)
@click.option("--all", "every", is_flag=True, help="Show what is kept too, and why.")
@click.option("--remove", is_flag=True, help="Remove it; without, it is only shown.")
def prune(older_than: float, every: bool, remove: bool) -> int:
    """Show how large the store is, and remove what is of no use.

    Of no use are runs, data sets and left-overs that no table, no pointer such as current and no
    unfinished training refers to. Nothing is removed without --remove.
    """
    from pipelines.pruning import tell_prunable

    return tell_prunable(older_than=older_than, every=every, remove=remove)


@trm.command("ui")
@click.option("--port", type=int, default=3000, show_default=True, help="On 127.0.0.1.")
@click.option(
    "--reports-port", type=int, help="Of the reports, on 127.0.0.1. Default: the next after --port."
)
def ui(port: int, reports_port: int | None) -> None:
    """Show the graph, its runs and the reports in the browser.

    Ctrl-C ends the server.
    """
    from pipelines.ui import serve

    serve(port, reports_port)


@trm.command("demo")
def demo() -> int:
    """Go from puzzles to the report on 4 x 4 Sudoku (make demo)."""
    from pipelines.demo import demonstrate

    return demonstrate()


@trm.command("materialize", hidden=True)
@_benchmark
@_partition
@_stage(STAGES, "all that is needed")
@_settings
def materialize_any(
    benchmark: str, partitions: Sequence[str], stages: Sequence[str], settings: Sequence[str]
) -> int:
    """Materialize any stages of a benchmark (python -m pipelines.materialize)."""
    from pipelines.execute import materialize

    return materialize(benchmark, partitions=partitions, stages=stages or None, settings=settings)


def main() -> int:
    """``trm`` with the arguments of this process; returns the exit code."""
    return run(trm, sys.argv[1:], program="trm")
