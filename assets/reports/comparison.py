"""Variants beside one another and beside the published figures: what the reports show, as data and
as text for people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl
from scipy.special import stdtrit

from assets.benchmarks import Benchmark
from assets.declared import OTHER_DATA, from_paper
from assets.latest import CONFIGURATION, latest
from assets.tables import Ablation
from storage.examples import Header
from storage.reading import one_line
from trm_model.authors.published import OTHERS, PUBLISHED, Published
from trm_model.errors import ConfigurationError
from trm_model.model.variant import Variant
from trm_model.texts import counted
from trm_model.training.plan import cost_of
from trm_model.training.recipe import Recipe
from trm_model.variants import VARIANTS

OURS = (
    "Ours: share of test puzzles solved exactly (ARC: of test inputs whose answer is among two "
    "attempts), mean over seeds with its 95 % interval (one seed: over the puzzles). Only runs by "
    "the benchmark's recipe count; of each variant those with the data, code and test of its "
    "latest score, and of each seed the latest run."
)
PUBLISHED_NOTE = (
    "Published figures are the papers', on the benchmark named beside them, with 5 to 27 million "
    "parameters: where that is not the benchmark of the row they show the papers' order, not a "
    "target, and no difference is given."
)

TRIVIAL = (
    "A trivial answer needs no thought, such as a copy of the question: a model whose cells are no "
    "better has learned nothing. It is measured on the same test puzzles."
)


def paper_notes(benchmark: Benchmark) -> list[str]:
    """Which variant reproduces the paper's figure, and how the recipe differs from the paper's."""
    notes: list[str] = []
    if benchmark.published_as is not None and benchmark.paper_variant is not None:
        name = benchmark.paper_name or benchmark.paper_variant
        figure = PUBLISHED[benchmark.published_as, name]
        notes.append(
            f"The paper's figure, {100 * figure.value:.1f} % ({figure.source}, {name}), is of a "
            f"model such as the variant {benchmark.paper_variant}: train that one to reproduce it."
        )
    changes = from_paper(benchmark)
    notes.append(f"The recipe differs from the paper's: {changes}." if changes else
                 "The recipe is the paper's.")  # fmt: skip
    return notes


COST_COLUMNS = (
    "parameters",
    "depth",
    "forward passes per step",
    "GFLOP per optimizer step",
    "GFLOP per test example",
)


@dataclass(frozen=True, slots=True)
class Effort:
    """What it took to train a variant and takes to test it, as columns of
    :class:`assets.tables.Ablation`.

    :param parameters, puzzle_parameters, test_flops: None where the data that decide on them are
        not known any more.
    :param depth: layers per supervision step.
    :param forward_passes: per optimizer step.
    :param train_seconds: mean over seeds; None where no table says it.
    :param examples_seen: mean over seeds; None where no table says it.
    :param trained_on: puzzles, in words; None where it is not known any more.
    """

    parameters: int | None
    depth: int
    forward_passes: int
    train_seconds: float | None
    examples_seen: float | None
    puzzle_parameters: int | None
    mixer: str
    test_steps: int
    rollouts: int
    test_flops: float | None
    trained_on: str | None


def effort(
    variant: Variant,
    recipe: Recipe,
    header: Header | None,
    training: pl.DataFrame,
    trained_on: str | None,
) -> Effort:
    """What it took to train a variant in the runs whose rows of :class:`assets.tables.Training`
    are given.

    :param header: of the data that it was trained on, if known.
    :param trained_on: these data in words, if known.
    """
    ends = training.group_by("run").agg(pl.col("wall_seconds", "examples").sort_by("step").last())
    seconds, examples = ends.select(pl.col("wall_seconds", "examples").mean()).row(0)
    found = None if header is None else cost_of(variant, recipe, header)
    return Effort(
        parameters=found and found.parameters,
        depth=variant.depth,
        forward_passes=variant.forward_passes,
        train_seconds=seconds,
        examples_seen=examples,
        puzzle_parameters=found and found.puzzle_parameters,
        mixer=variant.mixer.name,
        test_steps=variant.test_steps(recipe.max_steps),
        rollouts=variant.evaluation.rollouts,
        test_flops=found and float(found.test_flops),
        trained_on=trained_on,
    )


def trained_on(benchmark: str, puzzles: int | None, versions: int) -> str:
    """The training data in words, such as ``1,000 puzzles x 101 versions of sudoku_4x4``.

    :param puzzles: None: not known any more.
    :param versions: of each puzzle, itself included.
    """
    count = "puzzles" if puzzles is None else counted(puzzles, "puzzle")
    return f"{count}{f' x {versions:,} versions' if versions > 1 else ''} of {benchmark}"


def interval_over_seeds(values: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """95 % interval of the mean of a share over seeds (Student's t, cut to 0..1); with a single
    seed, that seed's interval over the test set, ``low`` to ``high``."""
    count = len(values)
    if count < 2:
        return low, high
    quantile = float(stdtrit(count - 1, 0.975))
    spread = quantile * float(np.std(values, ddof=1)) / count**0.5
    mean = float(np.mean(values))
    return max(0.0, mean - spread), min(1.0, mean + spread)


def headline(scores: pl.DataFrame, metric: tuple[str, int | None]) -> pl.DataFrame:
    """The rows of :class:`assets.tables.Scores` that are compared: of one metric and its k, on the
    test split."""
    name, k = metric
    return scores.filter(
        (pl.col("metric") == name) & pl.col("k").eq_missing(k) & (pl.col("split") == "test")
    )


VERSIONS = {
    "data_version": "other data",
    "code_version": "other code of the training",
    "evaluation_code": "other code of the evaluation",
    "n": "other test puzzles",
}
"""What two scores of one configuration must have in common to be averaged -> what is said where it
differs."""


def comparable(scores: pl.DataFrame, declared: pl.DataFrame) -> pl.DataFrame:
    """The scores that are averaged over seeds: those of the declared configurations, of each
    variant those with the versions of its latest one, and of each seed of them the latest.

    :param scores: rows of :class:`assets.tables.Scores` of one benchmark and metric.
    :param declared: see :func:`assets.declared.declared`.
    """
    declared_ones = scores.join(declared, on=declared.columns, how="semi")
    same = ["variant", *VERSIONS]
    together = declared_ones.join(
        latest(declared_ones, "variant").select(same), on=same, how="semi"
    )
    return latest(together, "variant", "seed")


def apart(
    scores: pl.DataFrame,
    compared: pl.DataFrame,
    declared: pl.DataFrame,
    changed: Callable[[Mapping[str, Any]], str],
    tested: Callable[[Mapping[str, Any]], str],
    run: Callable[[Mapping[str, Any]], object] = itemgetter("run"),
) -> list[dict[str, object]]:
    """The latest score of each configuration and evaluation that is not among the ``compared``,
    with the reason, as text for people.

    :param scores, declared: those that :func:`comparable` made ``compared`` of.
    :param changed: what the run of a row changes of the benchmark's recipe and of its variant.
    :param tested: what the evaluation of a row changes of its variant's.
    :param run: how the run of a row is shown.
    """
    expected, averaged = (
        {row["variant"]: row for row in frame.iter_rows(named=True)}
        for frame in (declared, compared)
    )

    def differs(row: Mapping[str, Any]) -> bool:
        declared_one = expected.get(row["variant"], row)
        return row["config_hash"] != declared_one["config_hash"]

    def reason(row: Mapping[str, Any]) -> str:
        variant = row["variant"]
        if variant not in expected:
            return "there is no such variant any more"
        otherwise = row["evaluation"] != expected[variant]["evaluation"]
        evaluation = f"tested with {tested(row) or 'other settings'}" if otherwise else ""
        if differs(row):
            training = changed(row) or "the variant has changed since"
            return "; ".join(filter(None, [training, evaluation]))
        if otherwise:
            return evaluation
        if row["data_entry"] != expected[variant]["data_entry"]:
            return OTHER_DATA
        differing = (
            said for name, said in VERSIONS.items() if row[name] != averaged[variant][name]
        )
        return ", ".join(differing)

    one = ["run", "evaluation"]
    left = latest(scores, *CONFIGURATION, "evaluation").join(compared, on=one, how="anti")
    return [
        {
            "variant": f"{row['variant']}, changed" if differs(row) else row["variant"],
            "seed": str(row["seed"]),
            "ours %": _text(_percent(row["value"]), ".1f"),
            "95 % interval": _interval(row["low"], row["high"]),
            "test puzzles": str(row["n"]),
            "not compared because": reason(row),
            "run": run(row),
        }
        for row in left.sort("variant", "seed", "created_at", *one).iter_rows(named=True)
    ]


def ablation_table(
    scores: pl.DataFrame,
    efforts: Mapping[str, Effort],
    published_as: str | None,
    name_here: str,
    others: Sequence[str] = (),
) -> pl.DataFrame:
    """Rows of :class:`assets.tables.Ablation`: every variant with a score here or a published
    figure, best of ours first.

    :param scores: the scores that are compared (:func:`headline`, :func:`comparable`).
    :param efforts: by variant.
    :param others: further variants, which have been trained in another way only.
    :param published_as: the benchmark whose published figures stand beside ours.
    :param name_here: our benchmark; the difference is only given if it is the published one.
    """
    published = {
        name: figure for (benchmark, name), figure in PUBLISHED.items() if benchmark == published_as
    }
    rows: list[dict[str, Any]] = []
    for name in sorted({*scores["variant"], *published, *others}):
        seeds = scores.filter(pl.col("variant") == name)
        figure = published.get(name)
        row: dict[str, Any] = dict.fromkeys(Ablation.to_schema().columns)
        row |= {"benchmark": name_here, "variant": name, "seeds": len(seeds)}
        if len(seeds):
            values: list[float] = seeds["value"].to_list()
            low, high = interval_over_seeds(values, seeds["low"][0], seeds["high"][0])
            row |= {"ours": float(np.mean(values)), "low": low, "high": high}
            row |= {"n": seeds["n"][0], "of": seeds["of"][0], "runs": ", ".join(seeds["run"])}
        if figure is not None:
            source = f"{figure.source}, on {published_as}"
            row |= {"published": figure.value, "published_source": source}
        if len(seeds) and figure is not None and published_as == name_here:
            row["difference"] = row["ours"] - figure.value
        if name in efforts:
            row |= asdict(efforts[name])
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None).sort(
        "ours", "published", descending=True, nulls_last=True
    )


def readable(table: pl.DataFrame) -> list[dict[str, str]]:
    """The rows of an ablation table as text for people."""
    return [
        {
            "variant": row["variant"],
            "ours %": _text(_percent(row["ours"]), ".1f"),
            "95 % interval": _interval(row["low"], row["high"]),
            "seeds": str(row["seeds"]),
            "published %": _text(_percent(row["published"]), ".1f"),
            "difference": _text(_percent(row["difference"]), "+.1f"),
            "parameters": _text(row["parameters"], ",d"),
            "depth": _text(row["depth"], "d"),
            "forward passes per step": _text(row["forward_passes"], "d"),
            "training s": _text(row["train_seconds"], ".0f"),
            "examples seen": _text(row["examples_seen"], ",.0f"),
            "published in": row["published_source"] or "",
        }
        for row in table.iter_rows(named=True)
    ]


READ = "[r]"
"""Marks a published figure as its readers give it."""


def leaderboard_rows(
    table: pl.DataFrame, runs: Callable[[Mapping[str, Any]], object] = itemgetter("runs")
) -> list[dict[str, object]]:
    """Every variant trained here and every published method as text for people, best first for
    each benchmark; those benchmarks first that something was trained on here.

    :param table: rows of :class:`assets.tables.Ablation` with a figure of ours.
    :param runs: how the runs of a row are shown.
    """
    found = [
        (row["benchmark"], row["ours"], row["variant"], _of_ours(row, runs(row)))
        for row in table.iter_rows(named=True)
    ]
    found += [
        (benchmark, figure.value, name, _of_others(name, figure))
        for (benchmark, name), figure in (*PUBLISHED.items(), *OTHERS.items())
    ]
    # Benchmarks with results of ours come first. What is equal stands by name, ours before the
    # published one.
    tried = set(table["benchmark"])
    order = sorted(
        found, key=lambda each: (each[0] not in tried, each[0], -each[1], each[2], each[3]["from"])
    )
    return [
        {"benchmark": benchmark, "method": name, **shown} for benchmark, _, name, shown in order
    ]


def _of_ours(row: Mapping[str, Any], runs: object) -> dict[str, object]:
    parameters, puzzles = row["parameters"], row["puzzle_parameters"]
    rollouts = "" if row["rollouts"] is None else f" x {counted(row['rollouts'], 'rollout')}"
    flops = "" if row["test_flops"] is None else f", {row['test_flops'] / 1e9:,.3g} GFLOP"
    steps = "" if row["test_steps"] is None else counted(row["test_steps"], "step")
    return {
        "from": "ours",
        "solved %": f"{100 * row['ours']:.1f}",
        "95 % interval": _interval(row["low"], row["high"]),
        "trained on": row["trained_on"] or "",
        "test compute": f"{steps}{rollouts}{flops}",
        "parameters": _text(parameters, ",d"),
        "without puzzle rows": "" if puzzles is None else f"{parameters - puzzles:,}",
        "seeds": str(row["seeds"]),
        "tested": "" if row["n"] is None else f"{row['n']:,} of {row['of']:,}",
        "mixer": row["mixer"] or "",
        "run or source": runs,
    }


def _of_others(name: str, figure: Published) -> dict[str, object]:
    unusual = f" ({figure.metric})" if figure.metric == "pass@1" else ""
    return {
        "from": "published",
        "solved %": f"{100 * figure.value:.4g}{f' {READ}' if figure.read else ''}{unusual}",
        "95 % interval": "",
        "trained on": figure.trained_on,
        "test compute": figure.test_compute,
        "parameters": "" if figure.parameters is None else f"{figure.parameters:,.10g} million",
        "without puzzle rows": "",
        "seeds": "",
        "tested": "",
        "mixer": VARIANTS[name].mixer.name if name in VARIANTS else "",
        "run or source": figure.source,
    }


_EXACT, _CELLS = "exact_accuracy", "cell_accuracy"


def _column(metric: str) -> str:
    return f"{metric.replace('_', ' ')} %"


def measured_rows(scores: pl.DataFrame) -> list[dict[str, str]]:
    """All shares measured of each variant's answers, mean over seeds with its 95 % interval, as
    text for people; ``scores``: all rows of the evaluations that are compared."""
    shares = scores.filter(
        pl.col("k").is_null()
        & pl.col("group").is_null()
        & ~pl.col("metric").str.starts_with("mean_")  # of steps: no shares
    )
    metrics = shares["metric"].unique(maintain_order=True).to_list()
    rows: list[dict[str, str]] = []
    for variant in sorted(set(shares["variant"])):
        row = {"variant": variant, **dict.fromkeys(map(_column, metrics), "")}
        for (metric,), seeds in shares.filter(variant=variant).group_by("metric"):
            values: list[float] = seeds["value"].to_list()
            low, high = interval_over_seeds(values, seeds["low"][0], seeds["high"][0])
            row[_column(metric)] = f"{100 * np.mean(values):.1f} ({_interval(low, high)})"
        rows.append(row)
    return rows


def trivial_rows(scores: pl.DataFrame) -> list[dict[str, str]]:
    """What the trivial answers reach on the test puzzles of each benchmark's latest score, as text
    for people; ``scores``: rows of :class:`assets.tables.Scores`."""
    tested = latest(scores.filter(split="test"), "benchmark")
    exact, cells = (
        tested.filter(metric=f"trivial_{metric}").select("benchmark", "group", "value", "n")
        for metric in (_EXACT, _CELLS)
    )
    answers = exact.join(cells, on=["benchmark", "group"], suffix="_cells", maintain_order="left")
    return [
        {
            "benchmark": row["benchmark"],
            "trivial answer": row["group"],
            _column(_EXACT): f"{100 * row['value']:.1f}",
            _column(_CELLS): f"{100 * row['value_cells']:.1f}",
            "test puzzles": str(row["n"]),
        }
        for row in answers.sort("benchmark", maintain_order=True).iter_rows(named=True)
    ]


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{100 * low:.1f} – {100 * high:.1f}"


def cost_rows(
    variants: Mapping[str, Variant], recipe: Recipe, header: Header
) -> list[dict[str, str]]:
    """What each variant costs at a benchmark's size, trained or not, as text for people. Of a
    variant that cannot have the size, the row says why."""
    rows: list[dict[str, str]] = []
    for name, variant in variants.items():
        row = {"variant": name, **dict.fromkeys(COST_COLUMNS, "")}
        rows.append(row)
        try:
            found = cost_of(variant, recipe, header)
        except ConfigurationError as error:
            row["parameters"] = one_line(error)
            continue
        figures = (
            f"{found.parameters:,}",
            str(found.depth),
            str(found.forward_passes),
            f"{found.training_flops / 1e9:,.1f}",
            f"{found.test_flops / 1e9:,.3f}",
        )
        row |= dict(zip(COST_COLUMNS, figures, strict=True))
    return rows
