"""The cards of the pretrained models say what their files say, and the models answer puzzles."""

from dataclasses import replace

import pytest

import trm_model
from assets.benchmarks import BENCHMARKS
from assets.card import card, read_scores
from assets.evaluation.metrics import wilson
from assets.families.sudoku import GeneratedSudoku
from trm_model.pretrained import CARD, find, names
from trm_model.training import checkpoint as checkpoints
from trm_model.training.run import RunSpec

PUZZLES = 25


@pytest.mark.parametrize("name", names())
def test_the_card_is_made_of_the_files(name: str) -> None:
    folder = find(name)
    text = (folder / CARD).read_text("utf-8")
    assert text == card(folder, name), (
        f"{folder / CARD} is out of date: trm publish {name} trm_model/pretrained/{name}"
    )
    spec, tested = RunSpec.read(folder), read_scores(folder)
    (weights,) = checkpoints.saved(folder)
    state = checkpoints.load(weights)
    scores = {row["metric"]: row for row in tested["scores"]}
    exact = scores["exact_accuracy"]
    named = trm_model.load(name, device="cpu").reasoner.named_parameters()
    learned = [*(key for key, _ in named), "puzzle_rows"]
    parameters = sum(state.weights[key].numel() for key in learned)
    assert (tested["run"], tested["config_hash"]) == (spec.key, spec.config_hash)
    assert (tested["step"], tested["split"]) == (state.progress.step, "test")
    low, high = wilson(round(exact["value"] * exact["n"]), exact["n"])
    assert (low, high) == pytest.approx((exact["low"], exact["high"]))
    for said in (
        f"| `exact_accuracy` | {exact['value']:.4f} | {low:.4f} to {high:.4f} | {exact['n']:,} |",
        f"`{spec.variant_name}`, {parameters:,} parameters",
        f"content hash `{spec.data_version}`",
        f"version `{spec.code_version}`",
        f"trm train {spec.benchmark} --partition '{spec.variant_name}|{spec.seed}'",
        f'"learning_rate": {spec.recipe.learning_rate}',
    ):
        assert said in text


@pytest.mark.parametrize("name", names())
def test_a_pretrained_model_answers_puzzles_that_it_was_not_scored_on(name: str) -> None:
    """At least four fifths as many as its card promises: processors round differently."""
    origin = BENCHMARKS[RunSpec.read(find(name)).benchmark].origin
    assert isinstance(origin, GeneratedSudoku)
    puzzles = replace(origin, train=1, test=PUZZLES, seed=20_26).puzzles().frame
    questions = puzzles.filter(split="test")["question"].to_list()
    model = trm_model.load(name, device="cpu")
    answers = model.predict(questions)
    right = [
        model.family.judge(model.questions(question, "")[0], answer).right
        for question, answer in zip(questions, answers, strict=True)
    ]
    (exact,) = (
        row for row in read_scores(find(name))["scores"] if row["metric"] == "exact_accuracy"
    )
    assert len(right) == PUZZLES
    assert sum(map(bool, right)) >= 0.8 * exact["low"] * PUZZLES
