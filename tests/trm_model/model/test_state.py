"""States that are carried, repeated and disturbed."""

import pytest
import torch

from trm_model.model.generations.generation import disturbed
from trm_model.model.state import State
from trm_model.noise import Noise

NOISE = Noise(0, torch.arange(3))
STATE = State(torch.arange(24.0).view(3, 4, 2), (torch.ones(3, 4, 2), torch.full((3, 4, 2), -2.0)))


def test_noise_on_carried_states_is_added_to_answer_and_latents() -> None:
    """``x + std * normal``, with numbers of their own for each part (SPRM)."""
    found = STATE.perturbed(0.5, NOISE)
    for number, (before, after) in enumerate(
        zip((STATE.answer, *STATE.latents), (found.answer, *found.latents), strict=True)
    ):
        normal = NOISE.normal(f"state {number}", 4, 2)
        torch.testing.assert_close(after, before + 0.5 * normal)
    assert not torch.equal(found.answer - STATE.answer, found.latents[0] - STATE.latents[0])


def test_disturbed_latents_leave_the_answer() -> None:
    found = disturbed(STATE, 0.5, NOISE)
    assert torch.equal(found.answer, STATE.answer)
    for number, (before, after) in enumerate(zip(STATE.latents, found.latents, strict=True)):
        normal = NOISE.normal(f"disturbance {number}", 4, 2)
        torch.testing.assert_close(after, before + 0.5 * normal)


@pytest.mark.parametrize("starts", [1, 2])
def test_a_mask_holds_for_every_start_of_an_example(starts: int) -> None:
    mine, theirs = (
        State(torch.full((3 * starts, 4, 2), value), (torch.full((3 * starts, 4, 2), -value),))
        for value in (1.0, 2.0)
    )
    found = mine.where(torch.tensor([True, False, True]), theirs)
    assert found.answer[:, 0, 0].tolist() == [1.0, 2.0, 1.0] * starts
    assert found.latents[0][:, 0, 0].tolist() == [-1.0, -2.0, -1.0] * starts


def test_parts_join_to_the_whole() -> None:
    joined = State.joined([STATE.part(0, 1), STATE.part(1, 4)])
    assert torch.equal(joined.answer, STATE.answer)
    assert all(torch.equal(a, b) for a, b in zip(joined.latents, STATE.latents, strict=True))
