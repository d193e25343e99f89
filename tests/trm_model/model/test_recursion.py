"""The order of the calls, who reads what, and which calls have a gradient, on networks that write
down what they are given."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trm_model.model.backprop.last_calls import LastCalls
from trm_model.model.backprop.last_cycles import LastCycles
from trm_model.model.curricula.depth import DepthCurriculum
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import Reasoner
from trm_model.model.recursion import Recursion
from trm_model.model.size import Size
from trm_model.model.solvers.anderson import MEMORY, Anderson, FixedPoint
from trm_model.model.starts.noisy import NoisyStart
from trm_model.model.state import State
from trm_model.model.variant import Variant
from trm_model.noise import Noise

NOISE = Noise(0, torch.arange(1))


class Recorder(nn.Module):
    """Adds ``step`` to half of what it reads, and keeps what that was and whether a gradient was
    wanted."""

    def __init__(self, name: str, calls: list[tuple[str, float, bool]], step: float) -> None:
        super().__init__()
        self.name, self.calls, self.step = name, calls, step

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((self.name, x[0, 0, 0].item(), torch.is_grad_enabled()))
        return 0.5 * x + self.step


def run(
    variant: Variant, recursion: Recursion | None = None
) -> tuple[list[tuple[str, float, bool]], State]:
    """From a question of ones, an answer of 2 and latents of 10, 20, …"""
    model = Reasoner(
        variant,
        Size(width=16, heads=2, prefix=0, puzzle_width=0),
        vocabulary=5,
        length=4,
        num_puzzles=1,
        generator=torch.Generator().manual_seed(0),
    )
    calls: list[tuple[str, float, bool]] = []
    names = ("f",) if variant.networks == "shared" else ("latent", "answer")
    model.networks = nn.ModuleList(Recorder(name, calls, 1.0) for name in names)
    ones = torch.ones(1, 4, 16)
    state = State(2 * ones, tuple(10.0 * (i + 1) * ones for i in range(variant.latents)))
    return calls, model.recurse(ones, state, recursion or model.recursion, NOISE)


def plain(
    latents: int, updates: int, cycles: int, names: tuple[str, str]
) -> tuple[list[tuple[str, float]], float, list[float]]:
    """TRM, Figure 3, on numbers."""
    calls: list[tuple[str, float]] = []
    y, z = 2.0, [10.0 * (i + 1) for i in range(latents)]
    for _ in range(cycles):
        for update in range(updates):
            if z:
                calls.append((names[0], 1.0 + y + sum(z)))
                z[update % latents] = 0.5 * calls[-1][1] + 1.0
            else:
                calls.append((names[0], y + 1.0))
                y = 0.5 * calls[-1][1] + 1.0
        if updates:
            calls.append((names[1], y + sum(z)))
        else:
            calls.append((names[0], y + 1.0))
        y = 0.5 * calls[-1][1] + 1.0
    return calls, y, z


@pytest.mark.parametrize(
    ("latents", "updates", "cycles", "networks"),
    [
        (1, 6, 3, "shared"),
        (1, 2, 2, "separate"),
        (2, 3, 2, "shared"),
        (3, 3, 1, "separate"),
        (0, 2, 2, "shared"),
        (0, 0, 3, "shared"),
        (0, 1, 1, "separate"),
    ],
)
def test_calls_as_written_out(latents: int, updates: int, cycles: int, networks: Any) -> None:
    variant = Variant(latents=latents, latent_updates=updates, cycles=cycles, networks=networks)
    found, state = run(variant)
    names = ("f", "f") if networks == "shared" else ("latent", "answer")
    calls, y, z = plain(latents, updates, cycles, names)
    assert [name for name, _, _ in found] == [name for name, _ in calls]
    assert [read for _, read, _ in found] == pytest.approx([read for _, read in calls])
    assert state.answer[0, 0, 0].item() == pytest.approx(y)
    assert [latent[0, 0, 0].item() for latent in state.latents] == pytest.approx(z)
    assert len(calls) == variant.calls == cycles * (updates + 1)


@pytest.mark.parametrize(
    ("backprop", "graded"),
    [(LastCycles(1), 3), (LastCycles(2), 6), (LastCalls(1), 1), (LastCalls(4), 4)],
)
def test_the_last_calls_have_a_gradient(backprop: Any, graded: int) -> None:
    variant = Variant(cycles=3, latent_updates=2, backprop=backprop)
    assert variant.graded_calls == graded
    found, _ = run(variant)
    assert [grad for _, _, grad in found] == [False] * (9 - graded) + [True] * graded
    with torch.no_grad():
        found, _ = run(variant)
    assert not any(grad for _, _, grad in found)


def test_a_stage_of_a_curriculum_makes_its_own_calls() -> None:
    variant = Variant(curriculum=DepthCurriculum())
    found, _ = run(variant, variant.stage(0.1))
    assert len(found) == 3
    assert [
        (stage.cycles, stage.latent_updates, stage.graded_calls)
        for stage in map(variant.stage, (0.0, 0.3, 0.3001, 0.6, 0.6001, 1.0))
    ] == [(1, 2, 3), (1, 2, 3), (2, 4, 5), (2, 4, 5), (3, 6, 7), (3, 6, 7)]
    weights = DepthCurriculum(loss_decay=0.5).weight(torch.tensor([0, 1, 3]))
    assert weights.tolist() == [1.0, 0.5, 0.125]


def test_depths_count_layers() -> None:
    assert Variant().depth == 3 * (6 * 2 + 2)
    assert Variant(networks="separate", layers=3, answer_layers=1).depth == 3 * (6 * 3 + 1)
    assert Variant(latents=0, latent_updates=0, cycles=1, layers=8).depth == 8


def test_supervision_steps_of_training_and_test() -> None:
    once = Variant(deep_supervision=False)
    fresh = Variant(start=NoisyStart())
    assert [v.training_steps(16) for v in (Variant(), once, fresh)] == [16, 1, 1]
    assert [v.test_steps(16) for v in (Variant(), once, fresh)] == [16, 1, 16]
    assert Variant().test_steps(16, Evaluation(depth=3)) == 3
    assert replace(Variant(), evaluation=Evaluation(depth=5)).test_steps(16) == 5
    assert replace(Variant(), evaluation=Evaluation(depth=5)).test_steps(16, Evaluation()) == 16


def test_anderson_solves_for_each_example_by_itself() -> None:
    """Least squares over the last evaluations, against a solution of Lagrange's conditions in
    float64; the first next point is the value."""
    generator = torch.Generator().manual_seed(3)
    given = torch.randn((MEMORY + 2, 2, 2, 3, 4), generator=generator)
    solving, seen = Anderson().begin(), list[tuple[Tensor, Tensor]]()
    assert isinstance(solving, FixedPoint)
    for number, (point, value) in enumerate(given):
        seen = [*seen, (point, value)][-6:]
        found = solving.next(point, value)
        if number == 0:
            assert torch.equal(found, value)
            continue
        for example in range(2):
            values = torch.stack([v[example].flatten() for _, v in seen]).double()
            points = torch.stack([p[example].flatten() for p, _ in seen]).double()
            residuals, count = values - points, len(seen)
            gram = residuals @ residuals.T + 1e-4 * torch.eye(count, dtype=torch.float64)
            weights = torch.linalg.solve(gram, torch.ones(count, dtype=torch.float64))
            expected = ((weights / weights.sum()) @ values).view(3, 4).float()
            torch.testing.assert_close(found[example], expected, rtol=1e-3, atol=1e-3)


def test_anderson_begins_anew_with_each_cycle_and_leaves_graded_calls_alone() -> None:
    variant = Variant(cycles=2, latent_updates=3, solver=Anderson(), backprop=LastCycles(1))
    found, _ = run(variant)
    # f(z) = (1 + y + z) / 2 + 1 is met exactly by two evaluations: in the first cycle the third
    # call reads the fixed point z* = 5 (y = 2), so that what it gives is z* again.
    reads = [read for _, read, _ in found]
    assert reads[0] == pytest.approx(1 + 2 + 10)
    assert reads[1] == pytest.approx(1 + 2 + 7.5)
    assert reads[2] == pytest.approx(1 + 2 + 5, abs=1e-3)
    z, y = 5.0, 0.5 * (2 + 5.0) + 1
    for call in range(4, 7):
        assert reads[call] == pytest.approx(1 + y + z, abs=1e-2)
        z = 0.5 * reads[call] + 1
