"""What each setting of an evaluation does, on models that nobody has trained."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from storage.examples import Examples, read_examples
from tests.trm_model.evaluation.tries import tries_of
from tests.trm_model.training.recipes import TINY
from trm_model.choices import choices
from trm_model.errors import ConfigurationError
from trm_model.evaluation import evaluate as evaluating
from trm_model.evaluation.evaluate import (
    Evaluated,
    doubling,
    evaluate,
    kept_steps,
    require_evaluation,
    rollout,
)
from trm_model.evaluation.finished import Finished
from trm_model.model.backprop.last_cycles import LastCycles
from trm_model.model.batch import DeviceExamples
from trm_model.model.curricula.constant import Constant
from trm_model.model.evaluation import Evaluation
from trm_model.model.generations.generation import disturbed, played, update_at_test
from trm_model.model.haltings.bce import BinaryCrossEntropy
from trm_model.model.haltings.compared import Compared
from trm_model.model.haltings.halting import Halting
from trm_model.model.haltings.none import AllSteps
from trm_model.model.haltings.q_learning import QLearning
from trm_model.model.haltings.solved import WhenSolved
from trm_model.model.reasoner import Reasoner, build
from trm_model.model.selections.confidence import ConfidenceVote
from trm_model.model.selections.first_valid import FirstValid
from trm_model.model.selections.halting_logit import HaltingLogit
from trm_model.model.selections.last_step import LastStep
from trm_model.model.selections.lowest_residual import LowestResidual
from trm_model.model.selections.most_frequent import MostFrequent
from trm_model.model.selections.plurality import Plurality
from trm_model.model.selections.selection import Selection
from trm_model.model.starts.random import RandomStart
from trm_model.model.state import Output, State
from trm_model.model.variant import Variant
from trm_model.noise import Noise
from trm_model.puzzles.arc.family import Arc
from trm_model.puzzles.family import Family
from trm_model.puzzles.sudoku.family import Sudoku
from trm_model.variants import VARIANTS

Tiny = tuple[object, Path, str]
SHORT = Variant(cycles=1, latent_updates=2)
RANDOM = replace(SHORT, start=RandomStart())
COUNT, STEPS = 9, 4


@pytest.fixture(scope="module")
def examples(tiny: Tiny) -> Examples:
    return read_examples(tiny[1] / "test.zarr")


def shortened(variant: Variant) -> Variant:
    """As few calls as the variant can have: more of them magnify rounding."""
    updates = max(variant.latents, min(variant.latent_updates, 2))
    return replace(
        variant,
        cycles=1,
        latent_updates=updates,
        backprop=LastCycles(),
        curriculum=Constant(),
    )


def untrained(variant: Variant, examples: Examples) -> Reasoner:
    """A model whose halting heads differ from example to example and from step to step."""
    model = build(variant, TINY.size, examples.header, 0)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        model.halt_weight.normal_(generator=generator)
        model.halt_bias.zero_()
    return model


def precise(model: Reasoner) -> Reasoner:
    """In float64, where the order of sums, which may differ with the size of a batch, moves no
    answer: activations are rounded to float32 in each norm and are the same after it.
    """
    model.dtype = torch.float64
    return model.double()


def outcome_of(
    model: Reasoner, examples: Examples, evaluation: Evaluation | None = None, **changes: Any
) -> Evaluated:
    data = DeviceExamples(examples, torch.device("cpu"))
    settings: dict[str, Any] = {"max_steps": STEPS, "batch_size": 64, "index": np.arange(COUNT)}
    return evaluate(model, data, evaluation, **{**settings, **changes})


def assert_same(one: Evaluated, other: Evaluated) -> None:
    """To the bit."""
    for name in (field.name for field in fields(Evaluated)):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def outputs(model: Reasoner, examples: Examples, evaluation: Evaluation) -> Iterator[Output]:
    batch = DeviceExamples(examples, torch.device("cpu")).gather(np.arange(COUNT))
    noise = Noise(evaluation.seed, torch.arange(COUNT))
    yield from rollout(model, batch, STEPS, evaluation, noise)


@pytest.mark.parametrize("selection", [HaltingLogit(), Plurality()])
@pytest.mark.parametrize("name", ["trm_mlp", "hrm", "random_latents", "drm", "autoregressive"])
def test_one_rollout_is_the_plain_evaluation_whatever_selects(
    examples: Examples, name: str, selection: Selection
) -> None:
    """To the bit; and the plain evaluation is a loop over the model's outputs."""
    model = untrained(shortened(VARIANTS[name]), examples)
    plain = outcome_of(model, examples, Evaluation(depth=STEPS))
    given = Evaluation(depth=STEPS, rollouts=1, noise=0.0, selection=selection)
    assert_same(outcome_of(model, examples, given), plain)
    for step, output in enumerate(outputs(model, examples, Evaluation())):
        np.testing.assert_array_equal(output.logits.argmax(-1).numpy(), plain.predictions[:, step])


def test_depth_goes_on_where_training_ended(examples: Examples) -> None:
    model = untrained(SHORT, examples)
    trained, deeper = (outcome_of(model, examples, Evaluation(depth=depth)) for depth in (None, 7))
    assert trained.predictions.shape == (COUNT, STEPS, 16)
    assert deeper.predictions.shape == (COUNT, 7, 16)
    np.testing.assert_array_equal(deeper.predictions[:, :STEPS], trained.predictions)
    np.testing.assert_array_equal(deeper.halt_logits[:, :STEPS], trained.halt_logits)
    assert (deeper.predictions[:, 6] != deeper.predictions[:, STEPS - 1]).any()
    # None: as many as in training, which is one without deep supervision.
    single = untrained(replace(SHORT, deep_supervision=False), examples)
    assert outcome_of(single, examples, Evaluation()).predictions.shape[1] == 1
    assert outcome_of(single, examples, Evaluation(depth=3)).predictions.shape[1] == 3


def test_the_variants_own_evaluation_is_the_default(examples: Examples) -> None:
    own = Evaluation(depth=2, rollouts=3, noise=0.2, seed=4)
    model = untrained(replace(RANDOM, evaluation=own), examples)
    assert_same(outcome_of(model, examples), outcome_of(model, examples, own))
    assert outcome_of(model, examples).predictions.shape[1] == 2


def test_only_the_last_predictions_are_kept_if_asked(examples: Examples) -> None:
    model = untrained(SHORT, examples)
    every, last = outcome_of(model, examples), outcome_of(model, examples, every_step=False)
    np.testing.assert_array_equal(last.predictions, every.predictions[:, -1:])
    np.testing.assert_array_equal(last.right_cells, every.right_cells)
    np.testing.assert_array_equal(last.halts, every.halts)


def test_rollouts_are_tries_of_their_own_and_selection_chooses_one_answer(
    examples: Examples,
) -> None:
    """Written out: three rollouts of each example; the surest, or each cell's most frequent token,
    the smallest of equally frequent ones.
    """
    model, three = untrained(RANDOM, examples), Evaluation(rollouts=3)
    surest = outcome_of(model, examples, three)
    voted = outcome_of(model, examples, replace(three, selection=Plurality()))
    differing = 0
    for step, output in enumerate(outputs(model, examples, three)):
        tries = output.logits.argmax(-1).view(3, COUNT, 16).numpy()
        logits = output.halt_logits.view(3, COUNT).numpy()
        differing += int((tries[0] != tries[1]).any() and (tries[0] != tries[2]).any())
        for example in range(COUNT):
            best = int(logits[:, example].argmax())
            np.testing.assert_array_equal(surest.predictions[example, step], tries[best, example])
            assert surest.halt_logits[example, step] == logits[best, example]
            for cell in range(16):
                counts = np.bincount(tries[:, example, cell])
                assert voted.predictions[example, step, cell] == counts.argmax()
            assert voted.halt_logits[example, step] == pytest.approx(
                logits[:, example].mean(), abs=1e-6
            )
    assert differing == STEPS
    # More rollouts are other tries: the first of three is not the one of one.
    assert (outcome_of(model, examples, Evaluation()).halt_logits != surest.halt_logits).any()


def test_ties_of_selections() -> None:
    """Among equally sure rollouts the first answers; among equally frequent tokens the smallest."""
    predictions = torch.tensor([[[5, 2], [1, 1]], [[3, 2], [2, 1]], [[4, 1], [3, 1]]])
    logits = torch.tensor([[1.0, 0.0], [1.0, 2.0], [0.5, 2.0]])
    chosen = HaltingLogit().select(tries_of(predictions, logits, -logits))
    assert chosen.prediction.tolist() == [[5, 2], [2, 1]]
    assert chosen.halt_logits.tolist() == [1.0, 2.0]
    assert chosen.continue_logits.tolist() == [-1.0, -2.0]
    chosen = Plurality().select(tries_of(predictions, logits, -logits))
    assert chosen.prediction.tolist() == [[3, 2], [1, 1]]
    torch.testing.assert_close(chosen.halt_logits, torch.tensor([2.5 / 3, 4.0 / 3]))
    # Two against two, the larger token first.
    zeros = torch.zeros(5, 1)
    chosen = Plurality().select(
        tries_of(torch.tensor([[[5]], [[2]], [[5]], [[2]], [[1]]]), zeros, zeros)
    )
    assert chosen.prediction.tolist() == [[2]]


def test_noise_disturbs_the_latents_before_each_step(examples: Examples) -> None:
    """Normal numbers of the stated spread, of each example and step its own; nothing else moves."""
    variant = replace(SHORT, latents=2)
    model = untrained(variant, examples)
    seen: list[State] = []

    def watch(_model: object, given: tuple[Any, ...]) -> None:
        seen.append(given[2])

    model.register_forward_pre_hook(watch)
    after = [output.state for output in outputs(model, examples, Evaluation(noise=0.3))]
    before = [model.start(Noise(0, torch.arange(COUNT))), *after[:-1]]
    drawn: list[Tensor] = []
    for clean, noisy in zip(before, seen, strict=True):
        assert torch.equal(clean.answer, noisy.answer)
        drawn += [two - one for one, two in zip(clean.latents, noisy.latents, strict=True)]
    table = torch.stack(drawn).flatten(1)
    assert table.shape[0] == STEPS * 2
    # 2,592 numbers each: their spread is known to 1.4 %, their correlations to 0.02.
    torch.testing.assert_close(table.std(1), torch.full((8,), 0.3), rtol=0.06, atol=0.0)
    assert table.mean(1).abs().max() < 0.03
    assert (torch.corrcoef(table) - torch.eye(8)).abs().max() < 0.1
    assert torch.corrcoef(drawn[0].flatten(1)).fill_diagonal_(0.0).abs().max() < 0.25


def test_disturbed_states_keep_their_precision() -> None:
    state = State(torch.zeros(3, 4, 5), (torch.zeros(3, 4, 5, dtype=torch.bfloat16),))
    noisy = disturbed(state, 0.3, Noise(0, torch.arange(3)))
    assert noisy.answer is state.answer
    assert noisy.latents[0].dtype == torch.bfloat16
    assert noisy.latents[0].float().std().item() == pytest.approx(0.3, rel=0.3)


def test_the_seed_is_of_the_random_numbers_and_of_nothing_else(examples: Examples) -> None:
    noisy = Evaluation(noise=0.3)
    model = untrained(SHORT, examples)
    assert_same(outcome_of(model, examples, noisy), outcome_of(model, examples, noisy))
    again, other = (outcome_of(model, examples, replace(noisy, seed=seed)) for seed in (0, 1))
    assert (again.halt_logits != other.halt_logits).all()
    clean = [outcome_of(model, examples, Evaluation(seed=seed)) for seed in (0, 1)]
    assert_same(*clean)
    assert (clean[0].halt_logits != again.halt_logits).all()
    starts = untrained(RANDOM, examples)
    first, second = (outcome_of(starts, examples, Evaluation(seed=seed)) for seed in (0, 1))
    assert (first.halt_logits != second.halt_logits).all()


@pytest.mark.parametrize(
    ("name", "draws"),
    [
        ("direct", False),
        ("hrm", False),
        ("winner_takes_all", True),
        ("random_latents", True),
        ("drm_votes", True),
        ("drm_gaussian", True),
        ("drm_correlated", True),
        # The least confident cells are not drawn.
        ("drm_confidence", False),
    ],
)
def test_what_a_variant_draws_at_test(examples: Examples, name: str, draws: bool) -> None:
    variant = shortened(VARIANTS[name])
    model = untrained(variant, examples)
    one, other = (
        outcome_of(model, examples, replace(variant.evaluation, depth=3, seed=seed))
        for seed in (0, 1)
    )
    assert (one.predictions != other.predictions).any() == draws


def test_an_examples_noise_belongs_to_its_number(examples: Examples) -> None:
    """Asked for alone, or in another order, an example draws the same."""
    model, noisy = precise(untrained(RANDOM, examples)), Evaluation(noise=0.3, rollouts=2)
    whole = outcome_of(model, examples, noisy)
    some = outcome_of(model, examples, noisy, index=np.array([7, 2, 5]))
    np.testing.assert_allclose(some.halt_logits, whole.halt_logits[[7, 2, 5]], atol=1e-4)
    np.testing.assert_array_equal(some.predictions, whole.predictions[[7, 2, 5]])


RULES: dict[str, Halting] = {
    "bce": BinaryCrossEntropy(),
    "q_learning": QLearning(),
    "compared": Compared(),
}


@pytest.mark.parametrize("rule", list(RULES))
def test_stopping_keeps_the_answer_of_the_first_step_that_halts(
    examples: Examples, rule: str
) -> None:
    """By the variant's own rule: a positive logit, or one above that of going on."""
    model = precise(untrained(replace(SHORT, halting=RULES[rule]), examples))

    def margins() -> np.ndarray[Any, Any]:
        return np.stack(
            [
                (output.halt_logits - (0.0 if rule == "bce" else output.continue_logits)).numpy()
                for output in outputs(model, examples, Evaluation())
            ],
            axis=1,
        )

    with torch.no_grad():
        # A quarter of all steps halts, so that examples halt at steps of their own.
        model.halt_bias[0] -= float(np.quantile(margins(), 0.75))
    wants = margins() > 0
    plain = outcome_of(model, examples, Evaluation(depth=6))
    stopping = outcome_of(model, examples, Evaluation(depth=6, stop_at_halting=True))
    np.testing.assert_array_equal(plain.halts[:, :STEPS], wants)
    first = plain.halted_at
    assert len(set(first.tolist())) > 1
    for example, halted in enumerate(first):
        halts = bool(plain.halts[example].any())
        for step in range(6):
            kept = min(step, halted - 1) if halts else step
            for name in ("predictions", "halt_logits", "right_cells"):
                # Fewer examples in a batch may be added up in another order.
                np.testing.assert_allclose(
                    getattr(stopping, name)[example, step],
                    getattr(plain, name)[example, kept],
                    rtol=1e-4,
                    atol=1e-4,
                )
            assert stopping.halts[example, step] == (halts and step >= halted - 1)
    np.testing.assert_array_equal(stopping.halted_at, first)
    # No step is computed after it; the accuracy at halting is that of the kept answers.
    np.testing.assert_array_equal(stopping.computed_steps, first)
    assert plain.computed_steps.tolist() == [6.0] * COUNT
    np.testing.assert_array_equal(stopping.solved_at_halting, stopping.solved[:, -1])
    np.testing.assert_array_equal(
        plain.solved_at_halting, plain.solved[np.arange(COUNT), first - 1]
    )
    # Some answers would have changed after they halted.
    assert (stopping.predictions != plain.predictions).any()


def test_each_rollout_stops_by_itself(examples: Examples) -> None:
    """Selection chooses among what the rollouts kept."""
    model = precise(untrained(RANDOM, examples))
    found = outcome_of(model, examples, Evaluation(rollouts=3, stop_at_halting=True))
    kept: list[tuple[Tensor, Tensor] | None] = [None] * (3 * COUNT)
    stopped_apart = False
    for step, output in enumerate(outputs(model, examples, Evaluation(rollouts=3))):
        now: list[tuple[Tensor, Tensor]] = []
        for place in range(3 * COUNT):
            answer = output.logits[place].argmax(-1), output.halt_logits[place]
            now.append(kept[place] or answer)
            if kept[place] is None and output.halt_logits[place] > 0:
                kept[place] = answer
        for example in range(COUNT):
            tries = [now[example + COUNT * number] for number in range(3)]
            halted = [kept[example + COUNT * number] is not None for number in range(3)]
            stopped_apart = stopped_apart or 0 < sum(halted) < 3
            prediction, logit = max(tries, key=lambda each: float(each[1]))
            np.testing.assert_array_equal(found.predictions[example, step], prediction.numpy())
            assert found.halt_logits[example, step] == pytest.approx(logit.item(), abs=1e-4)
    assert stopped_apart


@pytest.mark.parametrize("rule", [AllSteps(), WhenSolved()])
def test_rules_without_a_head_never_halt_at_test(examples: Examples, rule: Halting) -> None:
    """Nobody knows at test whether an answer is right."""
    model = untrained(replace(SHORT, halting=rule), examples)
    plain = outcome_of(model, examples)
    assert not plain.halts.any()
    assert plain.halted_at.tolist() == [STEPS] * COUNT
    assert_same(outcome_of(model, examples, Evaluation(stop_at_halting=True)), plain)


def test_cells_one_after_the_other_have_no_rollouts(examples: Examples) -> None:
    model = untrained(shortened(VARIANTS["autoregressive"]), examples)
    for evaluation in (Evaluation(rollouts=2), Evaluation(noise=0.1)):
        with pytest.raises(ConfigurationError, match="belong to whole answers; use rollouts=1"):
            outcome_of(model, examples, evaluation)
        with pytest.raises(ConfigurationError, match="belong to whole answers; use rollouts=1"):
            replace(VARIANTS["autoregressive"], evaluation=evaluation)


SHORTENED = {shortened(variant): name for name, variant in reversed(VARIANTS.items())}
"""Every variant, but one of those that differ in what was cut only."""


@pytest.mark.parametrize("variant", list(SHORTENED), ids=list(SHORTENED.values()))
def test_results_do_not_depend_on_the_batch(examples: Examples, variant: Variant) -> None:
    model = precise(untrained(variant, examples))
    evaluation = replace(variant.evaluation, depth=2)
    whole, parts, single = (
        outcome_of(model, examples, evaluation, batch_size=size) for size in (COUNT, 4, 1)
    )
    for other in (parts, single):
        np.testing.assert_array_equal(other.predictions, whole.predictions)
        np.testing.assert_array_equal(other.right_cells, whole.right_cells)
        np.testing.assert_array_equal(other.halts, whole.halts)
        np.testing.assert_allclose(other.halt_logits, whole.halt_logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", ["trm", "drm", "autoregressive"])
def test_blank_ids_answer_with_row_0(examples: Examples, variant: str) -> None:
    """What an example is answered with is row 0 of the puzzle table, and nothing else changes."""
    model = untrained(shortened(VARIANTS[variant]), examples)
    rows = torch.randn(4, TINY.size.puzzle_width, generator=torch.Generator().manual_seed(1))
    model.puzzle_rows = rows
    ids = np.arange(len(examples.puzzle_ids), dtype=np.int32) % 4
    several, depth = replace(examples, puzzle_ids=ids), Evaluation(depth=2)
    blank = replace(depth, blank_ids=True)
    plain = outcome_of(model, examples, depth)
    assert_same(outcome_of(model, several, blank), plain)
    assert_same(outcome_of(model, examples, blank), plain)
    told = outcome_of(model, several, depth)
    changed = (told.halt_logits != plain.halt_logits).any(1)
    np.testing.assert_array_equal(changed, ids[:COUNT] != 0)


@pytest.mark.parametrize("selection", ["halting_logit", "first_to_halt", "lowest_residual"])
@pytest.mark.parametrize("stop", [False, True])
def test_results_do_not_depend_on_which_rollouts_are_computed_together(
    examples: Examples, selection: str, stop: bool
) -> None:
    """Five rollouts of an example in parts of two are those that are computed at once."""
    model = precise(untrained(RANDOM, examples))
    chosen = (
        LowestResidual(window=2)
        if selection == "lowest_residual"
        else choices(Selection)[selection]()
    )
    evaluation = Evaluation(depth=3, rollouts=5, noise=0.3, selection=chosen, stop_at_halting=stop)
    asked: dict[str, Any] = {"compared": ALL_SELECTIONS, "family": Sudoku(4)}
    whole, parts = (
        outcome_of(model, examples, evaluation, batch_size=size, **asked) for size in (5, 2)
    )
    for name in (field.name for field in fields(Evaluated)):
        one, other = getattr(whole, name), getattr(parts, name)
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4, err_msg=name)


def test_progress_is_told(examples: Examples) -> None:
    told: list[tuple[int, int]] = []
    model = untrained(SHORT, examples)
    outcome_of(
        model,
        examples,
        Evaluation(depth=1),
        batch_size=4,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(0, 9), (4, 9), (8, 9), (9, 9)]


ALL_SELECTIONS = [kind() for name, kind in choices(Selection).items() if ":" not in name]


def test_all_selections_are_counted_in_one_pass(examples: Examples) -> None:
    """Each as an evaluation of its own counts it; pass@K is by any rollout."""
    model = untrained(RANDOM, examples)
    four = Evaluation(rollouts=4)
    found = outcome_of(model, examples, four, compared=ALL_SELECTIONS, family=Sudoku(4))
    assert found.chosen_after_step.shape == (COUNT, len(ALL_SELECTIONS), STEPS)
    assert found.chosen_of_rollouts.shape == (COUNT, len(ALL_SELECTIONS), 3)
    for place, selection in enumerate(ALL_SELECTIONS):
        own = replace(four, selection=selection)
        alone = outcome_of(model, examples, own, family=Sudoku(4))
        np.testing.assert_array_equal(found.chosen_after_step[:, place], alone.solved)
        np.testing.assert_array_equal(found.chosen_of_rollouts[:, place, 2], alone.solved[:, -1])


def test_answers_of_selections_and_any_answer_are_told_apart(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rollouts written out: the second of three is right after the first step, the third after the
    second; the halting head believes the first."""
    data = DeviceExamples(examples, torch.device("cpu"))
    labels = data.gather(np.arange(2)).labels
    model = untrained(RANDOM, examples)

    def output(right: int) -> Output:
        tokens = torch.stack([labels if number == right else labels * 0 for number in range(3)])
        logits = torch.nn.functional.one_hot(tokens.flatten(0, 1), model.vocabulary).float()
        halting = torch.tensor([3.0, 2.0, 1.0]).repeat_interleave(2) - 5.0 * (right == 1)
        return Output(logits, halting, halting, State(logits, (logits,)))

    monkeypatch.setattr(
        evaluating, "rollout", lambda *_: played([output(right) for right in (1, 2)])
    )
    selections = [HaltingLogit(), LastStep(), FirstValid()]
    found = evaluate(
        model, data, Evaluation(rollouts=3, depth=2), max_steps=2, batch_size=9,
        index=np.arange(2), compared=selections, family=Sudoku(4),
    )  # fmt: skip
    assert found.any_after_step.tolist() == [[True, True]] * 2
    # 1, 2 and 3 rollouts, after the last step.
    assert found.any_of_rollouts.tolist() == [[False, False, True]] * 2
    assert found.chosen_after_step.tolist() == [[[False] * 2, [False] * 2, [True] * 2]] * 2
    assert found.chosen_of_rollouts[0].tolist() == [[False] * 3, [False] * 3, [False, True, True]]
    assert found.halted_at.tolist() == [2, 2]


def test_a_single_rollout_without_noise_is_the_plain_evaluation_to_the_bit(
    examples: Examples,
) -> None:
    model = untrained(SHORT, examples)
    plain = outcome_of(model, examples, Evaluation(depth=STEPS))
    for given in (
        Evaluation(depth=STEPS, noise_at="call"),
        Evaluation(depth=STEPS, damping=1.0),
        Evaluation(depth=STEPS, selection=LastStep()),
        Evaluation(depth=STEPS, selection=MostFrequent()),
        Evaluation(depth=STEPS, selection=ConfidenceVote()),
        Evaluation(depth=STEPS, selection=LowestResidual(window=3)),
    ):
        found = outcome_of(model, examples, given)
        if given.damping is None:
            assert_same(found, plain)
        else:
            np.testing.assert_allclose(found.halt_logits, plain.halt_logits, atol=1e-3)


def test_random_starts_and_damping_at_test_are_those_of_training(examples: Examples) -> None:
    """A model with fixed starts, tested with random ones and damping, computes what the same
    weights do in a variant that was trained so."""
    noisy = replace(SHORT, start=RandomStart(damping=0.5))
    fixed, trained_so = untrained(SHORT, examples), untrained(noisy, examples)
    found = outcome_of(fixed, examples, Evaluation(random_start=True, damping=0.5))
    assert_same(found, outcome_of(trained_so, examples))
    # What it was trained with gives way to what is asked for.
    other = outcome_of(trained_so, examples, Evaluation(damping=0.25))
    quarter = untrained(replace(SHORT, start=RandomStart(damping=0.25)), examples)
    assert_same(other, outcome_of(quarter, examples))
    assert (other.halt_logits != found.halt_logits).any()


def test_noise_after_each_call_is_that_of_noisy_updates(examples: Examples) -> None:
    """Of the spread that is asked for, in every latent call of every step."""
    model = untrained(SHORT, examples)
    noise = Noise(0, torch.arange(COUNT)).at("step", 0)
    old, new = torch.randn((2, COUNT, 18, 16), generator=torch.Generator().manual_seed(1))
    evaluation = Evaluation(noise=0.3, noise_at="call")
    update = update_at_test(SHORT.start, evaluation)
    drawn = torch.stack([update(old, new, noise, call) - new for call in (0, 1)]).flatten(1)
    torch.testing.assert_close(drawn.std(1), torch.full((2,), 0.3), rtol=0.06, atol=0.0)
    assert torch.corrcoef(drawn)[0, 1].abs() < 0.1
    per_call, per_step = (
        outcome_of(model, examples, replace(evaluation, noise_at=at)) for at in ("call", "step")
    )
    assert (per_call.halt_logits != per_step.halt_logits).any()


@pytest.mark.parametrize(
    ("variant", "evaluation", "family", "message"),
    [
        (SHORT, Evaluation(selection=FirstValid()), Arc(5), "answers to arc cannot be verified"),
        (replace(SHORT, latents=0), Evaluation(noise=0.1), None, "noise=0.1 with latents=0"),
        (replace(SHORT, latents=0), Evaluation(damping=0.5), None, "damping=0.5 with latents=0"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused(
    variant: Variant, evaluation: Evaluation, family: Family | None, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        require_evaluation(evaluation, variant, family)


def test_of_many_steps_some_are_counted(examples: Examples) -> None:
    """Memory does not grow with the depth; halting is watched at every step."""
    assert kept_steps(64) == list(range(1, 65))
    assert kept_steps(65) == [1, 2, 4, 8, 16, 32, 64, 65]
    assert kept_steps(128) == [1, 2, 4, 8, 16, 32, 64, 128]
    assert doubling(1) == [1]
    model = untrained(replace(SHORT, latent_updates=1), examples)
    deep = outcome_of(model, examples, Evaluation(depth=70), index=np.arange(2))
    assert deep.predictions.shape == (2, 8, 16)
    whole = outcome_of(model, examples, Evaluation(depth=64), index=np.arange(2))
    np.testing.assert_array_equal(
        deep.predictions[:, :7], whole.predictions[:, [step - 1 for step in kept_steps(70)[:7]]]
    )


def test_half_as_many_are_computed_where_memory_runs_out(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until three rollouts fit; with the same results."""
    model = precise(untrained(RANDOM, examples))
    evaluation = Evaluation(depth=2, rollouts=2, noise=0.3)
    whole = outcome_of(model, examples, evaluation)
    tried: list[int] = []

    def forward(inputs: Tensor, *given: Any, **options: Any) -> Output:
        tried.append(len(inputs))
        if len(inputs) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return Reasoner.forward(model, inputs, *given, **options)

    most = 3
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(model, "forward", forward)
    found = outcome_of(
        model, examples, evaluation, progress=lambda *seen: told.append(seen), batch_size=64
    )
    assert tried[:5] == [18, 8, 4, 2, 2]
    assert told == [(done, COUNT) for done in range(COUNT + 1)]
    np.testing.assert_array_equal(found.predictions, whole.predictions)
    np.testing.assert_allclose(found.halt_logits, whole.halt_logits, rtol=1e-4, atol=1e-4)
    tried.clear()
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        outcome_of(model, examples, evaluation, batch_size=4)
    assert tried == [4, 2, 1]


def test_other_errors_are_not_taken_for_too_little_memory(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked = untrained(SHORT, examples), 0

    def forward(*_: Any, **__: Any) -> Output:
        nonlocal asked
        asked += 1
        raise RuntimeError("sizes of tensors do not match")

    monkeypatch.setattr(model, "forward", forward)
    with pytest.raises(RuntimeError, match="do not match"):
        outcome_of(model, examples)
    assert asked == 1


class EndedError(Exception):
    """Somebody ends an evaluation."""


def test_an_interrupted_evaluation_goes_on(examples: Examples, tmp_path: Path) -> None:
    """In batches of another size, from the examples that were finished."""
    model = precise(untrained(RANDOM, examples))
    settings: dict[str, Any] = {"compared": [LastStep()], "family": Sudoku(4)}
    evaluation = Evaluation(rollouts=2, noise=0.3)
    whole = outcome_of(model, examples, evaluation, **settings)

    def end(done: int, _total: int) -> None:
        if done == 4:
            raise EndedError

    with pytest.raises(EndedError):
        outcome_of(
            model, examples, evaluation, batch_size=4, progress=end,
            finished=Finished(tmp_path), **settings,
        )  # fmt: skip
    told: list[tuple[int, int]] = []
    again = outcome_of(
        model, examples, evaluation, batch_size=6, finished=Finished(tmp_path),
        progress=lambda *seen: told.append(seen), **settings,
    )  # fmt: skip
    assert told == [(4, 9), (7, 9), (9, 9)]
    for field in fields(Evaluated):
        one, other = getattr(again, field.name), getattr(whole, field.name)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=field.name)
