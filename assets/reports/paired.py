"""Two runs, or two variants over their seeds, on the same test puzzles, taken from the store and
compared."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from assets import keys
from assets.benchmarks import Benchmark
from assets.declared import declared, evaluation_differences
from assets.evaluation.paired import Paired, compare
from assets.evaluation.votes import task_shares
from assets.latest import latest
from assets.reports.comparison import comparable, headline
from assets.tables import Predictions, Runs, Scores, Votes
from storage.store import Store
from storage.tables import partition_key, read_file, scan
from trm_model.errors import require
from trm_model.model.variant import Variant
from trm_model.puzzles.plans import open_examples
from trm_model.training.run import RunSpec


class Compared(NamedTuple):
    """A comparison, and of each side a line for each of its runs: which, and what is changed."""

    result: Paired
    sides: list[list[str]]


def chosen(
    scores: pl.DataFrame,
    text: str,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
    evaluated: Callable[[str, int], str | None],
    *,
    newest: bool = False,
) -> pl.DataFrame:
    """The scores that somebody means, a row for each seed.

    :param scores: rows of :class:`assets.tables.Scores` of one benchmark and its metric.
    :param text: ``VARIANT`` for all seeds that the reports average, ``VARIANT|SEED`` for the run of
        that partition that was tested last, other than by a study (by whatever, where there is no
        other), or the first letters of a run's key.
    :param evaluated: the run of a variant and seed whose predictions were made last, except by a
        study; None: there are none.
    :param newest: take a run's latest test, whatever it was; otherwise its latest one as the
        benchmark declares, where there is one.
    :raises ConfigurationError: there are none, or the letters are of several runs.
    """
    variant, bar, seed = text.partition("|")
    expected = declared(benchmark, variants)

    def tests(of: pl.DataFrame) -> pl.DataFrame:
        """Returns the one test of each run that counts."""
        as_declared = of.join(expected, on=("variant", "evaluation"), how="semi")
        others = of.join(as_declared, on="run", how="anti")
        return latest(of if newest else pl.concat([as_declared, others]), "benchmark", "run")

    if bar:
        number = int(seed) if seed.isdecimal() else -1
        of_partition = scores.filter(variant=variant, seed=number)
        last = of_partition.filter(pl.col("run").eq_missing(pl.lit(evaluated(variant, number))))
        if not len(last):
            last = latest(of_partition, "variant", "seed")
        found = tests(of_partition.join(last, on="run", how="semi"))
    elif variant in variants:
        require(
            not newest,
            f"{text!r}: with --newest expected VARIANT|SEED or the key of a run; variants are "
            "compared as the benchmark declares",
        )
        found = comparable(scores, expected).filter(variant=variant)
    else:
        found = tests(scores.filter(pl.col("run").str.starts_with(text)))
        require(
            len(found) < 2,
            f"{text!r}: runs {', '.join(sorted(found['run']))} begin so; give more of the key",
        )
    partitions = sorted(f"{name}|{number}" for name, number in
                        scores.select("variant", "seed").unique().rows())  # fmt: skip
    require(
        bool(partitions),
        f"{text!r}: no scores of the test split yet; first: trm train BENCHMARK --partition "
        "'VARIANT|SEED'",
    )
    require(
        len(found) > 0,
        f"{text!r}: expected VARIANT|SEED, a VARIANT with seeds trained and tested as the "
        "benchmark declares, or the key of a run, with scores of the test split; there are "
        f"{', '.join(partitions)}",
    )
    return found.sort("seed")


def _outcomes(store: Store, row: Mapping[str, Any], k: int | None) -> pl.DataFrame:
    """``puzzle`` and ``share`` of its answers that are right, of a row of scores."""
    table = Predictions if k is None else Votes
    key = partition_key(table, *(row[name] for name in (*table.levels(), *table.files())))
    answers = read_file(store.open(key), table)
    if k is None:
        return answers.group_by("puzzle").agg(share=pl.col("solved").mean())
    return task_shares(answers, k).select("share", puzzle="task")


def _matrix(
    store: Store, rows: Sequence[Mapping[str, Any]], k: int | None
) -> tuple[list[str], npt.NDArray[np.float64]]:
    """The puzzles that all rows of scores answer, and their outcomes, [rows, puzzles]."""
    table = _outcomes(store, rows[0], k)
    for number, row in enumerate(rows[1:]):
        table = table.join(_outcomes(store, row, k), on="puzzle", suffix=f"_{number}")
    table = table.sort("puzzle")
    return table["puzzle"].to_list(), table.drop("puzzle").to_numpy().T


def _test_split(store: Store, row: Mapping[str, Any]) -> str:
    """A hash of the questions and labels of the test split that a row of scores is of."""
    run = keys.run(row["benchmark"], row["variant"], row["seed"], row["run"])
    data = RunSpec.read(store.open(run)).data
    examples = open_examples(store.open(data) / "test.zarr")
    cells = examples.rows(np.arange(int(examples.example_offsets[-1])))
    return hashlib.sha256(b"".join(each.tobytes() for each in cells)).hexdigest()


def _same_puzzles(store: Store, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether rows of scores are of the same test puzzles: of one data set, or of several with
    equal test splits, such as of another number of augmentations."""
    versions = {row["data_version"]: row for row in rows}.values()
    return len(versions) == 1 or len({_test_split(store, row) for row in versions}) == 1


def compare_stored(
    store: Store,
    name: str,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
    texts: tuple[str, str],
    *,
    newest: bool = False,
) -> Compared:
    """Compare two of a benchmark by what reports compare (of ARC: pass@2 of each task).

    :param texts, newest: see :func:`chosen`.
    :raises ConfigurationError: there is no such score, or the puzzles are not the same.
    :raises TableError: tables that are damaged or missing.
    :raises CorruptDataError: two versions of the data, of which one is damaged or missing.
    """
    metric, k = benchmark.metric
    scores = headline(scan(store, Scores).filter(benchmark=name).collect(), (metric, k))

    def evaluated(variant: str, seed: int) -> str | None:
        found = store.follow(keys.current_predictions(name, variant, seed))
        return None if found is None else keys.run_and_evaluation(found)[0]

    sides = [
        chosen(scores, text, benchmark, variants, evaluated, newest=newest).rows(named=True)
        for text in texts
    ]
    require(
        _same_puzzles(store, [*sides[0], *sides[1]]),
        f"{texts[0]} and {texts[1]}: tested on other puzzles, expected the same; train one of them "
        "again on the data of the other",
    )
    puzzles, outcomes = _matrix(store, [*sides[0], *sides[1]], k)
    require(
        bool(puzzles),
        f"{texts[0]} and {texts[1]}: no test puzzle that both answered; evaluate both again",
    )
    found = compare(outcomes[: len(sides[0])], outcomes[len(sides[0]) :])
    told = [[_told(store, row, benchmark, variants) for row in side] for side in sides]
    return Compared(found, told)


def _told(
    store: Store, row: Mapping[str, Any], benchmark: Benchmark, variants: Mapping[str, Variant]
) -> str:
    """Which run a row of scores is of, and what it and its test change of what is declared."""
    of_run = pl.col("run") == row["run"], pl.col("variant") == row["variant"]
    runs = scan(store, Runs).filter(*of_run).select("changes").collect()["changes"].to_list()
    said = [*runs[:1]]
    variant = variants.get(row["variant"])
    if variant is not None:
        depth = variant.test_steps(benchmark.recipe.max_steps, variant.evaluation)
        tested = evaluation_differences(
            row["settings"], variant.evaluation, depth, benchmark.evaluated
        )
        said.append(f"tested with {tested}" if tested else "")
    changes = ", ".join(each for each in said if each) or "as declared"
    return f"run {row['run'][:8]}, tested on {row['n']:,} puzzles: {changes}"
