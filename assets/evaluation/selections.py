"""The scores that each selection among the same rollouts would have had: rows and a report."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from assets.evaluation.metrics import by_puzzle, share_of
from assets.evaluation.paired import Paired, compare
from assets.pages import pictures
from trm_model.choices import changed, choices
from trm_model.evaluation.evaluate import Evaluated, doubling
from trm_model.model.selections.last_step import LastStep
from trm_model.model.selections.selection import Selection
from trm_model.puzzles.family import Bools, Family

NOTE = (
    "All selections choose among the same rollouts. pass@K is the share of puzzles that any of the "
    "K rollouts solves, which no selection exceeds but one that looks at earlier steps too; "
    "`missed` is the share of the wrong answers where another rollout was right, which the "
    "selection loses. A selection that uses the verifier asks the puzzle's rules which answer is "
    "right."
)


def compared(own: Selection, family: Family) -> list[Selection]:
    """An evaluation's own selection and all others that a family can have, as they are by
    default."""
    others = [
        kind()
        for kind in choices(Selection).values()
        if all(field.default is not MISSING for field in fields(kind))  # type: ignore[arg-type]
        and (family.verifies or not kind.uses_verifier)
    ]
    return list(dict.fromkeys([own, *others]))


def label(selection: Selection) -> str:
    """A selection's name and the options that are not the default."""
    return " ".join([selection.name, *(f"{k}={v}" for k, v in changed(selection).items())])


def selection_rows(
    found: Evaluated,
    selections: Sequence[Selection],
    steps: Sequence[int],
    rollouts: int,
    puzzles: pl.Series,
) -> pl.DataFrame:
    """Rows of :class:`assets.tables.Selections`, without what all of them have in common.

    :param selections: those that ``found`` counts.
    :param steps: the supervision steps that are counted.
    :param puzzles: of the examples, by name.
    """
    columns: list[tuple[int, int, Bools, Bools]] = [
        (step, rollouts, found.chosen_after_step[..., place], found.any_after_step[:, place])
        for place, step in enumerate(steps)
    ]
    columns += [
        (steps[-1], few, found.chosen_of_rollouts[..., place], found.any_of_rollouts[:, place])
        for place, few in enumerate(doubling(rollouts)[:-1])
    ]
    single = selections.index(LastStep())
    rows: list[dict[str, object]] = []
    for step, tried, chosen, passed in columns:
        most = share_of("pass", tried, passed, puzzles)
        for selection, right in zip(selections, chosen.T, strict=True):
            share = share_of("exact_accuracy", tried, right, puzzles)
            wrong = int((~right).sum())
            gain = _gain(right, chosen[:, single], puzzles)
            rows.append(
                {
                    "selection": label(selection),
                    "uses_verifier": selection.uses_verifier,
                    "depth": step,
                    "rollouts": tried,
                    "value": share.value,
                    "low": share.low,
                    "high": share.high,
                    "pass_value": most.value,
                    "pass_low": most.low,
                    "pass_high": most.high,
                    "missed": int((passed & ~right).sum()) / wrong if wrong else None,
                    "gain": gain.difference,
                    "gain_low": gain.low,
                    "gain_high": gain.high,
                    "n": share.n,
                }
            )
    return pl.DataFrame(rows, infer_schema_length=None)


def _gain(right: Bools, single: Bools, puzzles: pl.Series) -> Paired:
    """How much more accurate answers [N] are than those of a single rollout to the same puzzles."""
    shares = [by_puzzle(each.astype(np.float64), puzzles)[None] for each in (right, single)]
    return compare(*shares)


def last_of(table: pl.DataFrame) -> pl.DataFrame:
    """Of rows of :class:`assets.tables.Selections` those of all steps and all rollouts, best
    first."""
    last = table.filter(depth=table["depth"].max(), rollouts=table["rollouts"].max())
    return last.sort("value", descending=True, maintain_order=True)


def findings(table: pl.DataFrame) -> list[str]:
    """Which selections beat a single rollout, as sentences."""
    last = last_of(table)
    rollouts, depth = last.select("rollouts", "depth").row(0)
    if rollouts == 1:
        return [
            f"One rollout of {depth} steps: selections differ only where they look at earlier "
            "steps."
        ]
    single = last.row(by_predicate=pl.col("selection") == LastStep.name, named=True)
    said = [
        f"{row['selection']}{' (by the verifier)' if row['uses_verifier'] else ''} "
        f"{100 * row['value']:.1f} % {_verdict(row)}"
        for row in last.filter(pl.col("selection") != LastStep.name).iter_rows(named=True)
    ]
    return [
        f"After {depth} steps a single rollout solves {100 * single['value']:.1f} %; of {rollouts} "
        f"rollouts {'; '.join(said)}. Any of them is right for {100 * single['pass_value']:.1f} %. "
        "Intervals are of 95 %, on the same puzzles."
    ]


def _verdict(row: Mapping[str, Any]) -> str:
    """Whether a selection beats a single rollout."""
    if row["gain"] is None:
        return "was not compared with it: evaluate again"
    points = f"{100 * row['gain']:+.1f} points ({_interval(row, 'gain_')})"
    if row["gain_low"] > 0:
        return f"beats it by {points}"
    verdict = "is worse" if row["gain_high"] < 0 else "does not beat it for certain"
    return f"{verdict}: by {points}"


def _interval(row: Mapping[str, Any], of: str = "") -> str:
    return f"{100 * row[f'{of}low']:.1f} – {100 * row[f'{of}high']:.1f}"


def readable(table: pl.DataFrame) -> list[dict[str, str]]:
    """Rows of :class:`assets.tables.Selections` as text for people."""
    return [
        {
            "selection": row["selection"],
            "verifier": "yes" if row["uses_verifier"] else "no",
            "steps": str(row["depth"]),
            "rollouts": str(row["rollouts"]),
            "solved %": f"{100 * row['value']:.1f}",
            "95 % interval": _interval(row),
            "pass@K %": f"{100 * row['pass_value']:.1f}",
            "missed %": "" if row["missed"] is None else f"{100 * row['missed']:.1f}",
            "above a single rollout": "" if row["gain"] is None else f"{100 * row['gain']:+.1f}",
            "its interval": "" if row["gain"] is None else _interval(row, "gain_"),
            "n of": f"{row['n']:,} of {row['of']:,}",
        }
        for row in table.iter_rows(named=True)
    ]


def figures(table: pl.DataFrame) -> dict[str, Figure]:
    """Accuracy against depth and against the number of rollouts, by title."""
    depth, rollouts = table["depth"].max(), table["rollouts"].max()
    found = {
        f"Accuracy against depth, {rollouts} rollouts": pictures.selection_curves(
            table.filter(rollouts=rollouts), "depth", "supervision step"
        )
    }
    if rollouts != 1:
        found[f"Accuracy against rollouts, {depth} steps"] = pictures.selection_curves(
            table.filter(depth=depth), "rollouts", "rollouts K"
        )
    return found
