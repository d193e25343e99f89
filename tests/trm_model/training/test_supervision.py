"""One supervision step: what is carried, who halts, whom the losses belong to."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from trm_model.model.batch import IGNORE, Batch
from trm_model.model.haltings.bce import BinaryCrossEntropy
from trm_model.model.haltings.q_learning import QLearning
from trm_model.model.haltings.solved import WhenSolved
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.starts.random import RandomStart
from trm_model.model.state import Output, State
from trm_model.model.variant import Variant
from trm_model.noise import Noise
from trm_model.training.losses import LOG_SHARES, Losses, log_softmax, log_stablemax, losses
from trm_model.training.supervision import Carry, supervise

NOISE = Noise(0, torch.arange(4))
SIZE = Size(width=16, heads=2, prefix=1, puzzle_width=8)


def make(**changes: Any) -> Reasoner:
    model = Reasoner(
        replace(Variant(cycles=2, latent_updates=2), **changes),
        SIZE,
        vocabulary=5,
        length=6,
        num_puzzles=3,
        generator=torch.Generator().manual_seed(0),
    )
    with torch.no_grad():
        model.halt_weight.normal_(generator=torch.Generator().manual_seed(1))
        model.halt_bias.zero_()
    return model


def batch(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    inputs, labels = torch.randint(1, 5, (2, 4, 6), generator=generator)
    labels[0, :3] = IGNORE
    return Batch(inputs, labels, torch.tensor([0, 1, 2, 1]))


def test_a_fresh_carry_is_at_its_first_step() -> None:
    carry = Carry.fresh(make(), batch(), NOISE)
    assert carry.steps.tolist() == [0] * 4
    assert carry.steps.dtype is torch.int64
    assert carry.halted.tolist() == [False] * 4
    # Someone who halted is replaced, whatever the others' steps.
    halted = replace(
        carry, steps=torch.tensor([3, 1, 2, 5]), halted=torch.tensor([True, False, False, True])
    )
    refilled = halted.refill(make(), batch(7), NOISE)
    assert refilled.steps.tolist() == [0, 1, 2, 0]
    assert not refilled.halted.any()
    for row, other in ((0, 7), (1, 0), (2, 0), (3, 7)):
        assert torch.equal(refilled.batch.inputs[row], batch(other).inputs[row])


@pytest.mark.parametrize(("max_steps", "steps"), [(3, [0, 1, 2, 3]), (1, [0, 0, 0, 0])])
def test_an_example_halts_at_its_last_step(max_steps: int, steps: list[int]) -> None:
    model = make()
    with torch.no_grad():
        model.halt_bias.fill_(-100.0)
    carry = replace(Carry.fresh(model, batch(), NOISE), steps=torch.tensor(steps))
    found = supervise(model, carry, max_steps=max_steps, noise=NOISE).carry
    assert found.steps.tolist() == [step + 1 for step in steps]
    assert found.halted.tolist() == [step + 1 >= max_steps for step in steps]


def test_an_example_that_wants_to_halt_does_from_its_earliest_step_on() -> None:
    model = make()
    with torch.no_grad():
        model.halt_bias.fill_(100.0)
    carry = replace(Carry.fresh(model, batch(), NOISE), steps=torch.tensor([0, 1, 2, 3]))
    found = supervise(model, carry, max_steps=16, noise=NOISE, earliest=torch.tensor([2, 2, 4, 4]))
    assert found.carry.halted.tolist() == [False, True, False, True]
    assert supervise(model, carry, max_steps=16, noise=NOISE).carry.halted.all()


def test_solved_examples_halt_where_the_rule_says_so() -> None:
    model = make(halting=WhenSolved())
    carry = Carry.fresh(model, batch(), NOISE)
    guess = supervise(model, carry, max_steps=16, noise=NOISE).output.logits.argmax(-1)
    labels = guess.clone()
    labels[1, 2] = (labels[1, 2] + 1) % 5
    labels[2, 2] = IGNORE
    solved = replace(carry, batch=replace(batch(), labels=labels))
    found = supervise(model, solved, max_steps=16, noise=NOISE)
    assert found.carry.halted.tolist() == [True, False, True, True]
    assert found.losses.right_cells.tolist() == [6, 5, 5, 6]
    assert found.losses.labelled_cells.tolist() == [6, 6, 5, 6]


def test_the_state_is_carried_without_gradient_and_the_rows_have_one() -> None:
    model = make(state_noise=0.5)
    carry = Carry.fresh(model, batch(), NOISE)
    found = supervise(model, carry, max_steps=16, noise=NOISE)
    assert not found.carry.state.answer.requires_grad
    clean, draws = found.output.state.detach(), NOISE.at("perturbation")
    torch.testing.assert_close(found.carry.state.answer, clean.perturbed(0.5, draws).answer)
    assert found.rows.requires_grad
    with torch.no_grad():
        tested = supervise(model, carry, max_steps=16, noise=NOISE)
    torch.testing.assert_close(tested.carry.state.answer, tested.output.state.answer)
    assert not tested.rows.requires_grad


@pytest.mark.parametrize(("max_steps", "looked"), [(1, False), (2, True)])
def test_looking_ahead_needs_a_second_step(max_steps: int, looked: bool) -> None:
    model = make(halting=QLearning())
    carry = Carry.fresh(model, batch(), NOISE)
    found = supervise(model, carry, max_steps=max_steps, noise=NOISE)
    assert bool((found.losses.go_on != 0).all()) is looked
    with torch.no_grad():
        assert (supervise(model, carry, max_steps=2, noise=NOISE).losses.go_on == 0).all()
    if looked:
        with torch.no_grad():
            ahead = model(
                batch().inputs,
                model.puzzle_rows[batch().puzzle_ids],
                found.output.state.detach(),
                NOISE.at("following"),
            )
        last = found.carry.steps >= 2
        expected = QLearning().going_on_loss(found.output, ahead, last)
        torch.testing.assert_close(found.losses.go_on, expected)


def test_the_last_step_can_only_halt() -> None:
    now, following = (
        Output(
            torch.zeros(2, 1, 2), torch.tensor(halt), torch.tensor(on), State(torch.zeros(2), ())
        )
        for halt, on in (([0.0, 0.0], [1.0, -1.0]), ([-2.0, -2.0], [3.0, 3.0]))
    )
    found = QLearning().going_on_loss(now, following, torch.tensor([True, False]))
    targets = torch.tensor([-2.0, 3.0]).sigmoid()
    share = torch.tensor([1.0, -1.0]).sigmoid()
    torch.testing.assert_close(found, -(targets * share.log() + (1 - targets) * (1 - share).log()))


def test_winners_of_several_starts() -> None:
    """[K B]: of three starts of two examples, the one with the least answer loss; the halting loss
    is the mean over the starts."""
    rows = torch.arange(6.0)
    given = Losses(
        torch.tensor([3.0, 1.0, 2.0, 9.0, 4.0, 0.5], dtype=torch.float64),
        torch.tensor([1.0, 2.0, 3.0, 4.0, 8.0, 9.0]),
        rows,
        rows.long(),
        rows.long() + 10,
        torch.ones(6),
    )
    found, where = given.winners(3)
    assert where.tolist() == [2, 5]
    assert found.answer.tolist() == [2.0, 0.5]
    assert found.halt.tolist() == [4.0, 5.0]
    assert found.right_cells.tolist() == [2, 5]
    assert found.labelled_cells.tolist() == [12, 15]


def test_starts_share_the_batch_and_the_winners_are_told() -> None:
    model = make(start=RandomStart(count=3))
    carry = Carry.fresh(model, batch(), NOISE)
    assert len(carry.state.answer) == 12
    found = supervise(model, carry, max_steps=16, noise=NOISE)
    assert found.output.logits.shape == (4, 6, 5)
    assert found.output.halt_logits.shape == found.output.continue_logits.shape == (4,)
    assert len(found.carry.state.answer) == 12
    whole = model(
        batch().repeat(3).inputs,
        model.puzzle_rows[batch().puzzle_ids].repeat(3, 1),
        carry.state,
        NOISE.repeat(3),
    )
    each = losses(whole, batch().repeat(3).labels, model.variant).answer.view(3, 4)
    torch.testing.assert_close(found.losses.answer, each.amin(0))


def test_the_total_weighs_halting_by_half() -> None:
    one = torch.ones(3)
    given = Losses(
        2 * one.double(), 4 * one, 6 * one, one.long(), one.long(), torch.tensor([1.0, 0.5, 0.0])
    )
    assert given.total.item() == 1.5 * (2 + 0.5 * (4 + 6))
    assert given.weighted(0.25).item() == 1.5 * (2 + 0.25 * (4 + 6))
    assert given.solved.all()


def test_losses_of_cells_and_examples() -> None:
    """Stablemax and softmax by hand; cells that are not labelled count nowhere; an example without
    any has no loss and is right."""
    logits = torch.tensor([[[2.0, -1.0], [0.0, 1.0]], [[3.0, -3.0], [1.0, 1.0]]])
    labels = torch.tensor([[0, 0], [IGNORE, IGNORE]])
    halt = torch.tensor([0.5, -0.5])
    output = Output(logits, halt, halt, State(logits, ()))
    for loss, shares in (
        ("stablemax", (3 / 3.5, 1 / 3)),
        ("softmax", (0.9525741268, 0.2689414214)),
    ):
        found = losses(output, labels, Variant(loss=loss, halting=BinaryCrossEntropy()))  # type: ignore[arg-type]
        first = -sum(torch.tensor(share).log().item() for share in shares) / 2
        assert found.answer.tolist() == pytest.approx([first, 0.0], rel=1e-5)
        assert found.right_cells.tolist() == [1, 0]
        assert found.labelled_cells.tolist() == [2, 0]
        assert found.solved.tolist() == [False, True]
        assert found.weight.tolist() == [1.0, 1.0]
        assert found.go_on.tolist() == [0.0, 0.0]
        wrong, right = 1 - halt.sigmoid()[0], halt.sigmoid()[1]
        torch.testing.assert_close(found.halt, -torch.stack((wrong, right)).log())
        plain = Variant(loss=loss)  # type: ignore[arg-type]
        smoothed = losses(output, labels, plain, 0.25)
        spread = LOG_SHARES[loss](logits[:1]).mean().item()  # type: ignore[index]
        assert smoothed.answer.tolist() == pytest.approx([0.75 * first - 0.25 * spread, 0.0])
        assert smoothed.right_cells.tolist() == [1, 0]
        without = losses(output, labels, plain, 0.25, 1)
        # Of two tokens one is left: the first, which is also the labels'.
        assert without.answer.tolist() == pytest.approx([first, 0.0])
        without = losses(output, labels, plain, 0.25, 0)
        other = LOG_SHARES[loss](logits[:1])[..., 1].mean().item()  # type: ignore[index]
        assert without.answer.tolist() == pytest.approx([0.75 * first - 0.25 * other, 0.0])
        # A mask is no token of the vocabulary.
        without = losses(output, labels, plain, 0.25, None, 1)
        assert without.answer.tolist() == pytest.approx([first, 0.0])
    x = torch.tensor([0.0, -1.0, 1.0, -0.5])
    scores = torch.tensor([1.0, 0.5, 2.0, 2 / 3])
    torch.testing.assert_close(log_stablemax(x), (scores / scores.sum()).log())
    torch.testing.assert_close(log_softmax(x).exp().sum().item(), 1.0)
