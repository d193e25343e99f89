"""What a report says about selections among rollouts."""

import numpy as np
import polars as pl
import pytest

from assets.declared import evaluation_differences, evaluation_settings
from assets.evaluation.paired import mcnemar
from assets.evaluation.selections import findings, readable, selection_rows
from assets.reports.rollouts import of_rollouts
from assets.tables import Selections
from storage.store import LocalStore
from storage.tables import publish_partition
from tests.assets.test_tables import frame
from trm_model.evaluation.evaluate import Evaluated
from trm_model.model.evaluation import Evaluation
from trm_model.model.selections.first_to_halt import FirstToHalt
from trm_model.model.selections.halting_logit import HaltingLogit
from trm_model.model.selections.last_step import LastStep

NAMES = [LastStep(), FirstToHalt(), HaltingLogit()]


def found(*solved: range, of: int = 100) -> Evaluated:
    """After the one step, with two rollouts: the puzzles that each of the selections solves."""
    chosen = np.stack([np.isin(np.arange(of), each) for each in solved], axis=1)[..., None]
    any_right = np.logical_or.reduce(chosen, axis=1)
    single = np.repeat(chosen[:, :1], len(solved), axis=1)
    nothing = np.zeros((of, 1), np.int64)
    return Evaluated(
        predictions=nothing[:, None].astype(np.uint8), right_cells=nothing,
        labelled_cells=nothing[:, 0], halt_logits=nothing.astype(np.float32), halts=nothing > 0,
        halted_at=nothing[:, 0].astype(np.int32), solved_at_halting=nothing[:, 0] > 0,
        computed_steps=nothing[:, 0].astype(np.float32), any_after_step=any_right,
        any_of_rollouts=np.concatenate([chosen[:, 0], any_right], axis=1),
        chosen_after_step=chosen, chosen_of_rollouts=np.concatenate([single, chosen], axis=2),
    )  # fmt: skip


def rows(*solved: range) -> pl.DataFrame:
    names = pl.Series([str(number) for number in range(100)])
    return selection_rows(found(*solved), NAMES, [1], 2, names)


def test_the_report_says_which_selections_beat_a_single_rollout() -> None:
    """The first 40 puzzles by a single rollout, 30 more by one selection, one fewer by another."""
    table = rows(range(40), range(70), range(39))
    both = table.filter(rollouts=2)
    assert both["gain"].to_list() == pytest.approx([0.0, 0.3, -0.01])
    more, fewer = (np.isin(np.arange(100), range(most))[None].astype(float) for most in (70, 40))
    low, high, _ = mcnemar(more, fewer)
    assert both.select("gain_low", "gain_high").row(1) == (low, high)
    assert 0.2 < low < 0.3 < high < 0.4
    [sentence] = findings(table)
    assert "a single rollout solves 40.0 %; of 2 rollouts first_to_halt 70.0 % beats it by" in (
        sentence
    )
    assert "halting_logit 39.0 % does not beat it for certain: by -1.0 points" in sentence
    assert "Any of them is right for 70.0 %" in sentence
    assert "last_step 40" not in sentence


def test_a_selection_that_is_worse_is_called_so() -> None:
    [sentence] = findings(rows(range(70), range(40), range(70)))
    assert "first_to_halt 40.0 % is worse: by -30.0 points" in sentence
    assert "halting_logit 70.0 % does not beat it for certain: by +0.0 points" in sentence


def test_tables_from_before_the_comparison_are_read() -> None:
    gone = ("gain", "gain_low", "gain_high")
    older = rows(range(40), range(70), range(40)).with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in gone
    )
    assert "evaluate again" in findings(older)[0]
    of_split = older.with_columns(of=pl.lit(100))
    assert {row["above a single rollout"] for row in readable(of_split)} == {""}


def test_the_ablation_shows_evaluations_with_several_rollouts(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store = LocalStore.create(tmp_path_factory.mktemp("store"))
    common = frame(Selections).drop("selection", "uses_verifier", "depth", "rollouts", "value",
                                    "low", "high", "pass_value", "pass_low", "pass_high", "missed",
                                    "gain", "gain_low", "gain_high", "n")  # fmt: skip
    several = rows(range(40), range(70), range(40)).join(common, how="cross")
    single = several.filter(rollouts=1).with_columns(evaluation=pl.lit("single"))
    for table in (several, single):
        publish_partition(store, Selections, table)
    shown = of_rollouts(store, common["benchmark"][0], lambda row: f"as {row['evaluation']}")
    run, evaluation = common.select("run", "evaluation").row(0)
    assert {(row["run"], row["settings"]) for row in shown.rows} == {(run, f"as {evaluation}")}
    assert (shown.rows[0]["selection"], shown.rows[0]["missed %"]) == ("first_to_halt", "0.0")
    assert f"as {evaluation}: After 1 steps a single rollout solves 40.0 %" in shown.sentences[0]
    assert len(shown.figures) == 2
    assert all(f"as {evaluation}, run {run}" in title for title in shown.figures)
    assert of_rollouts(store, "another", str) == ([], [], {})


def test_settings_that_differ_are_named() -> None:
    other = Evaluation(rollouts=8, noise=0.3, selection=FirstToHalt())
    said = evaluation_differences(evaluation_settings(other, 64, None), Evaluation(), 16, None)
    assert said == 'depth=64, noise=0.3, rollouts=8, selection={"first_to_halt": {}}'
    same = evaluation_settings(Evaluation(), 16, None)
    assert evaluation_differences(same, Evaluation(), 16, None) == ""
    assert evaluation_differences(same, Evaluation(), 16, 200) == "limit=None"
