"""The model's pieces against references written out here."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trm_model.evaluation.evaluate import rollout
from trm_model.model.backprop.last_calls import LastCalls
from trm_model.model.batch import IGNORE, Batch
from trm_model.model.feed_forwards.dense import Dense
from trm_model.model.feed_forwards.experts import MixtureOfExperts
from trm_model.model.feed_forwards.gated_norm import GatedNorm, GatedNormSwiGlu, ProductNormSwiGlu
from trm_model.model.feed_forwards.short_convolution import ConvolvedSwiGlu
from trm_model.model.haltings.bce import BinaryCrossEntropy
from trm_model.model.haltings.compared import Compared
from trm_model.model.haltings.halting import Halting
from trm_model.model.haltings.none import AllSteps
from trm_model.model.haltings.q_learning import QLearning
from trm_model.model.haltings.solved import WhenSolved
from trm_model.model.layers import Gated, inner_width, linear, rms_norm, truncated_normal
from trm_model.model.mixers.attention import Attention
from trm_model.model.mixers.token_mlp import TokenMlp
from trm_model.model.positions.learned import Learned
from trm_model.model.positions.none import NoPosition
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Precision, Size
from trm_model.model.solvers.anderson import MEMORY, RIDGE, Anderson, FixedPoint
from trm_model.model.solvers.iteration import Iteration
from trm_model.model.solvers.solver import Solver
from trm_model.model.starts.noisy import NoisyStart
from trm_model.model.starts.random import RandomStart
from trm_model.model.state import Output, State
from trm_model.model.variant import Variant
from trm_model.noise import Noise
from trm_model.optimizers.adam_atan2 import Atan2Steps
from trm_model.training.ema import Ema
from trm_model.training.exploration import earliest_halts
from trm_model.training.losses import log_stablemax, losses
from trm_model.training.optimizers import make_optimizers, warmup
from trm_model.training.puzzle_rows import sign_sgd_
from trm_model.training.recipe import Recipe
from trm_model.training.supervision import Carry, supervise
from trm_model.variants import VARIANTS

NOISE = Noise(0, torch.arange(5))
SIZE = Size(width=16, heads=2, prefix=2, puzzle_width=24)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(variant: Variant, size: Size = SIZE, precision: Precision = "float32") -> Reasoner:
    return Reasoner(
        variant,
        size,
        vocabulary=6,
        length=9,
        num_puzzles=4,
        generator=generator(),
        precision=precision,
        grid=(3, 3),
    )


def batch(seed: int = 1) -> Batch:
    g = generator(seed)
    labels = torch.randint(1, 6, (5, 9), generator=g)
    labels[0, :4] = IGNORE
    return Batch(
        torch.randint(1, 6, (5, 9), generator=g), labels, torch.randint(0, 4, (5,), generator=g)
    )


def test_linear_equals_the_product() -> None:
    g = generator()
    x, weight = (
        torch.randn(3, 4, 8, generator=g, requires_grad=True),
        torch.randn(6, 8, generator=g, requires_grad=True),
    )
    ours, reference = linear(x, weight), x @ weight.T
    torch.testing.assert_close(ours, reference)
    for mine, theirs in zip(
        *(torch.autograd.grad(out.sin().sum(), (x, weight)) for out in (ours, reference)),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_rms_norm_and_inner_width() -> None:
    x = torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(rms_norm(x), x / math.sqrt(12.5 + 1e-5))
    assert [inner_width(width, 4) for width in (20, 64, 96, 97, 512)] == [256, 256, 256, 512, 1536]


def test_initial_weights_have_the_stated_moments() -> None:
    weights = truncated_normal((400, 500), 0.3, generator())
    assert weights.std().item() == pytest.approx(0.3, rel=0.01)
    assert weights.mean().item() == pytest.approx(0.0, abs=0.005)
    # Cut at two standard deviations of the normal that is cut, whose spread is 1 / 0.8796 times
    # that of the result.
    assert weights.abs().max().item() == pytest.approx(2 * 0.3 / 0.87962566, rel=0.01)


@pytest.mark.parametrize("name", ["trm", "trm_mlp", "hrm", "direct", "drm"])
def test_initial_models_are_the_authors(name: str) -> None:
    """Each weight's spread is that of its fan-in (embeddings: of the width), fixed vectors have 1,
    the head -5, puzzle rows 0."""
    model = make(VARIANTS[name], Size(width=64, heads=4, prefix=2, puzzle_width=64))
    for key, weight in model.named_parameters():
        if key in ("halt_weight", "halt_bias"):
            assert (weight == (0.0 if key == "halt_weight" else -5.0)).all()
        else:
            expected = weight.shape[1] ** -0.5
            assert weight.std().item() == pytest.approx(expected, rel=5 * weight.numel() ** -0.5), (
                key
            )
            assert abs(weight.mean().item()) < 5 * expected * weight.numel() ** -0.5, key
    for fixed in (model.answer_start, *model.latent_starts):
        assert fixed.std().item() == pytest.approx(1.0, rel=0.4)
        assert fixed.abs().max() < 2.0 / 0.8796 + 1e-3
    state = model.start(NOISE)
    assert all((x == x[0, 0]).all() for x in (state.answer, *state.latents))
    assert (model.puzzle_rows == 0).all()
    assert "answer_start" not in dict(model.named_parameters())


def test_stablemax_is_the_formula_and_has_finite_gradients() -> None:
    x = torch.tensor([[-3.0, 0.0, 2.0]], dtype=torch.float64, requires_grad=True)
    scores = torch.tensor([1 / 4, 1.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(log_stablemax(x)[0], torch.log(scores / scores.sum()))
    extreme = torch.tensor([[-1e6, 1.0, 1e6]], requires_grad=True)
    log_stablemax(extreme)[0, 2].backward()
    assert extreme.grad is not None
    assert extreme.grad.isfinite().all()


def test_losses_count_labelled_cells_only() -> None:
    logits = torch.randn(2, 3, 4, generator=generator())
    labels = torch.tensor([[1, IGNORE, 2], [IGNORE, IGNORE, IGNORE]])
    state = State(torch.zeros(2, 3, 1), ())
    halt = torch.tensor([0.5, -0.5])
    output = Output(logits, halt, halt, state)
    result = losses(output, labels, VARIANTS["trm"])
    log_p = log_stablemax(logits)
    expected = -(log_p[0, 0, 1] + log_p[0, 2, 2]).double() / 2
    torch.testing.assert_close(result.answer[0], expected, rtol=1e-6, atol=0.0)
    assert result.answer[1] == 0
    assert result.labelled_cells.tolist() == [2, 0]
    solved = torch.tensor(
        [float((logits[0, [0, 2]].argmax(-1) == torch.tensor([1, 2])).all()), 1.0]
    )
    torch.testing.assert_close(
        result.halt, F.binary_cross_entropy_with_logits(halt, solved, reduction="none")
    )
    torch.testing.assert_close(result.total, result.answer.sum() + 0.5 * result.halt.sum())
    for halting in (AllSteps(), WhenSolved()):
        assert losses(output, labels, Variant(halting=halting)).halt.tolist() == [0, 0]


def test_halting_and_exploration() -> None:
    zero = torch.zeros(4)
    both = torch.tensor([2.0, 0.5, 0.0, 0.0])
    logits, steps = torch.tensor([1.0, 1.0, -1.0, -1.0]), torch.tensor([1, 3, 3, 4])
    rules: tuple[Halting, ...] = (QLearning(), Compared())
    for halting in rules:
        assert halting.halts(logits, both, zero > 0, steps, max_steps=4).tolist() == [
            False,
            True,
            False,
            True,
        ]
    assert WhenSolved().halts(-both, zero, both > 0, torch.ones(4), max_steps=4).tolist() == [
        True,
        True,
        False,
        False,
    ]
    bce = BinaryCrossEntropy()
    assert bce.halts(logits, zero, zero > 0, steps, max_steps=4).tolist() == [
        True,
        True,
        False,
        True,
    ]
    earliest = torch.tensor([2, 2, 0, 5])
    assert bce.halts(logits, zero, zero > 0, steps, max_steps=4, earliest=earliest).tolist() == [
        False,
        True,
        False,
        True,
    ]
    assert AllSteps().halts(logits, zero, zero > 0, steps, max_steps=4).tolist() == [
        False,
        False,
        False,
        True,
    ]
    drawn = earliest_halts(20_000, 16, 0.1, generator())
    assert (drawn > 0).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert set(drawn[drawn > 0].tolist()) == set(range(2, 17))
    assert (earliest_halts(100, 1, 1.0, generator()) == 1).all()


def test_sign_sgd_sums_duplicates_and_leaves_other_rows() -> None:
    table, ids = torch.randn(6, 3, generator=generator()), torch.tensor([4, 1, 4, 4])
    gradient = torch.tensor(
        [[1.0, -1.0, 0.5], [2.0, 0.0, -3.0], [-3.0, -1.0, -0.5], [1.0, 5.0, 0.0]]
    )
    dense = torch.zeros(6, 3).index_add_(0, ids, gradient)
    expected = table.clone()
    expected[[1, 4]] = (table * (1 - 0.1 * 0.5) - 0.1 * dense.sign())[[1, 4]]
    sign_sgd_(table, ids, gradient, learning_rate=0.1, weight_decay=0.5)
    torch.testing.assert_close(table, expected)


def test_adam_atan2_equals_its_formula() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = Atan2Steps([weight], lr=0.0, betas=(0.9, 0.95), weight_decay=0.1)
    optimizer.param_groups[0]["lr"] = 0.01
    expected, mean, square = weight.detach().double().numpy().copy(), np.zeros(3), np.zeros(3)
    for step in range(1, 6):
        gradient = np.array([0.1 * step, -1.0, 1e-12])
        weight.grad = torch.tensor(gradient, dtype=torch.float32)
        optimizer.step()
        mean, square = 0.9 * mean + 0.1 * gradient, 0.95 * square + 0.05 * gradient**2
        update = np.arctan2(mean / (1 - 0.9**step), np.sqrt(square / (1 - 0.95**step)))
        expected = expected * (1 - 0.01 * 0.1) - 0.01 * update
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-5)


def test_muon_takes_the_matrices_of_the_networks_and_orthogonalises() -> None:
    model = make(VARIANTS["muon"])
    others, muon = make_optimizers(model, Recipe(weight_decay=0.0))
    assert {id(p) for p in muon.param_groups[0]["params"]} == {
        id(p) for p in model.networks.parameters()
    }
    assert len(others.param_groups[0]["params"]) + len(muon.param_groups[0]["params"]) == len(
        list(model.parameters())
    )
    weight = next(iter(model.networks.parameters()))
    before = weight.detach().clone()
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator(7))
    for optimizer in (others, muon):
        optimizer.param_groups[0]["lr"] = 0.01
        optimizer.step()
    values = torch.linalg.svdvals(weight.detach() - before)
    # Newton and Schulz's iteration leaves singular values between 0.7 and 1.2, times the rescaled
    # rate.
    assert (values.max() / values.min()).item() < 2.0
    assert values.mean().item() == pytest.approx(0.01 * 0.2 * math.sqrt(max(weight.shape)), rel=0.3)


def test_ema_and_warmup_closed_forms() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(0.0)
    ema = Ema(layer, 0.9)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    for step in range(1, 8):
        ema.update(layer, step)
    assert ema.average["weight"].item() == pytest.approx(1 - 0.9**7)
    assert [warmup(step, 4) for step in (1, 2, 4, 5)] == [0.25, 0.5, 1.0, 1.0]
    assert warmup(1, 0) == 1.0


def test_recursion_calls_and_gradient_depth() -> None:
    """Counted by hooks: T (n + 1) calls, gradient in the last cycle or the last calls only."""
    for backprop, graded in ((VARIANTS["trm_mlp"].backprop, 7), (LastCalls(2), 2)):
        variant = replace(VARIANTS["trm_mlp"], backprop=backprop)
        model, seen = make(variant), []
        model.networks[0].register_forward_hook(
            lambda *_, seen=seen: seen.append(torch.is_grad_enabled())
        )
        supervise(model, Carry.fresh(model, batch(), NOISE), max_steps=4, noise=NOISE)
        assert len(seen) == 21 == variant.calls
        assert seen == [False] * (21 - graded) + [True] * graded


def written_out(model: Reasoner, x: torch.Tensor) -> torch.Tensor:
    """The last answer by the papers' nested loops (HRM Figure 4, TRM Figure 3 and its variants),
    without a call counter."""
    v, start = model.variant, model.start(NOISE)
    low, high = model.networks[0], model.networks[-1]
    y, z = start.answer, list(start.latents)
    one_step = isinstance(v.backprop, LastCalls)
    for cycle in range(v.cycles):
        last_cycle = cycle == v.cycles - 1
        for update in range(v.latent_updates):
            with torch.set_grad_enabled(
                last_cycle and (not one_step or update == v.latent_updates - 1)
            ):
                if not z:
                    y = low(y + x)
                elif len(z) == 1:
                    z[0] = low(z[0] + y + x)
                else:
                    z[update % len(z)] = low(torch.stack([y, x, *z]).sum(0))
        with torch.set_grad_enabled(last_cycle):
            y = high(y + x) if not v.latent_updates else high(torch.stack([y, *z]).sum(0))
    return y


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        ("hrm", {"cycles": 3, "latent_updates": 1, "answer_layers": 1}),
        (
            "hrm",
            {
                "cycles": 1,
                "latent_updates": 4,
                "layers": 1,
                "answer_layers": 2,
                "mixer": Attention(positions=(Learned(),)),
            },
        ),
        ("hrm", {"mixer": TokenMlp(), "layers": 1}),
        ("trm", {"cycles": 2, "latent_updates": 3, "layers": 1}),
        ("trm", {"cycles": 1, "latent_updates": 1, "layers": 3}),
        ("single_feature", {"cycles": 2, "latent_updates": 2}),
        ("multi_scale", {"latents": 3, "latent_updates": 4, "cycles": 2}),
        ("direct", {"layers": 3}),
    ],
)
def test_recursion_equals_the_papers_loops(base: str, changes: dict[str, Any]) -> None:
    model, examples = make(replace(VARIANTS[base], **changes)), batch()
    gradients: list[list[torch.Tensor | None]] = []
    answers: list[torch.Tensor] = []
    for loops in (False, True):
        x = model.embed(examples.inputs, model.puzzle_rows[examples.puzzle_ids])
        y = (
            written_out(model, x)
            if loops
            else model.recurse(x, model.start(NOISE), model.recursion, NOISE).answer
        )
        answers.append(y.detach())
        gradients.append(
            list(
                torch.autograd.grad(
                    y.square().mean() + y[:, 3].sum(), list(model.parameters()), allow_unused=True
                )
            )
        )
    torch.testing.assert_close(*answers, rtol=1e-3, atol=1e-4)
    for mine, theirs in zip(*gradients, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            assert F.cosine_similarity(mine.flatten(), theirs.flatten(), dim=0) > 0.999


@pytest.mark.parametrize("name", list(VARIANTS))
def test_every_variant_has_finite_gradients_for_every_weight(name: str) -> None:
    model = make(VARIANTS[name])
    step = supervise(model, Carry.fresh(model, batch(), NOISE), max_steps=4, noise=NOISE)
    step.losses.total.backward()
    assert step.rows.grad is not None
    assert step.rows.grad.abs().sum() > 0
    variant = VARIANTS[name]
    # What nothing reads with a gradient: corrupted answers enter before the graded cycle, and
    # "solved" needs no halting head.
    unused = {"answer_tokens"} if isinstance(variant.start, NoisyStart) else set[str]()
    unused |= {"halt_weight", "halt_bias"} if variant.halting == WhenSolved() else set()
    for parameter_name, parameter in model.named_parameters():
        if parameter_name in unused:
            assert parameter.grad is None
        elif isinstance(variant.feed_forward, Dense):
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.networks.parameters())


def test_learned_positions_wide_rows_and_no_puzzle_rows() -> None:
    for mixer in (
        Attention(positions=(Learned(),)),
        TokenMlp(positions=(Learned(),)),
        Attention(positions=(NoPosition(),)),
    ):
        for size in (
            SIZE,
            Size(width=16, heads=2, prefix=0, puzzle_width=0),
            Size(width=16, heads=2, prefix=2, puzzle_width=32),
        ):
            model = make(replace(VARIANTS["trm"], mixer=mixer), size)
            step = supervise(model, Carry.fresh(model, batch(), NOISE), max_steps=4, noise=NOISE)
            assert step.output.logits.shape == (5, 9, 6)
            assert (model.positions is None) == (NoPosition() in mixer.positions)


def test_bfloat16_follows_float32() -> None:
    # Two calls: with more, the recursion of random weights magnifies rounding (docs/log.md).
    short = replace(VARIANTS["trm"], cycles=1, latent_updates=1)
    exact, rounded = make(short), make(short, precision="bfloat16")
    outputs = [
        supervise(model, Carry.fresh(model, batch(), NOISE), max_steps=4, noise=NOISE).output
        for model in (exact, rounded)
    ]
    assert outputs[1].state.answer.dtype == torch.bfloat16
    assert outputs[1].logits.dtype == torch.float32
    assert (
        F.cosine_similarity(outputs[1].logits.flatten(), outputs[0].logits.flatten(), dim=0) > 0.999
    )


@pytest.mark.parametrize(
    "name", [name for name in VARIANTS if "_n" not in name or name.endswith("norm")]
)
def test_every_variant_runs_in_bfloat16(name: str) -> None:
    model = make(VARIANTS[name], precision="bfloat16")
    step = supervise(model, Carry.fresh(model, batch(), NOISE), max_steps=4, noise=NOISE)
    step.losses.total.backward()
    assert {x.dtype for x in (step.carry.state.answer, *step.carry.state.latents)} == {
        torch.bfloat16
    }
    outputs = list(rollout(model, batch(), 2, model.variant.evaluation, NOISE))
    assert outputs[1].logits.dtype == torch.float32
    assert outputs[1].logits.isfinite().all()


def test_refill_replaces_halted_examples_only() -> None:
    model, old, new = make(VARIANTS["trm_mlp"]), batch(1), batch(2)
    carry = supervise(model, Carry.fresh(model, old, NOISE), max_steps=4, noise=NOISE).carry
    halted = torch.tensor([True, False, False, True, False])
    mixed = replace(carry, halted=halted).refill(model, new, NOISE)
    assert mixed.steps.tolist() == [0, 1, 1, 0, 1]
    assert not mixed.halted.any()
    assert (mixed.batch.inputs[halted] == new.inputs[halted]).all()
    assert (mixed.batch.inputs[~halted] == old.inputs[~halted]).all()
    assert (mixed.state.answer[0] == model.answer_start).all()
    assert (mixed.state.answer[1] == carry.state.answer[1]).all()


def test_gated_norm_short_convolution_and_experts_equal_their_formulas() -> None:
    g, x = generator(), torch.randn(2, 5, 16, generator=generator(3))

    def halves(weight: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inner = len(weight) // 2
        return F.silu(rows @ weight[:inner].T), rows @ weight[inner:].T

    gated = GatedNormSwiGlu(16, 4.0, g)
    gate, up = halves(gated.gate_up, x)
    normed = up / (up.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(gated(x), (gate * normed) @ gated.down.T, rtol=1e-4, atol=1e-5)

    gated = GatedNorm(product=True).build(16, 4.0, g)
    assert isinstance(gated, ProductNormSwiGlu)
    gate, up = (x @ half.T for half in gated.gate_up.chunk(2))
    product = gate * up
    normed = product / (product.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    expected = (gate.sigmoid() * normed) @ gated.down.T
    torch.testing.assert_close(gated(x), expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        # Without a gradient other sublayers have a kernel.
        torch.testing.assert_close(gated.post_norm(x), rms_norm(x + expected), rtol=1e-4, atol=1e-5)

    convolved = ConvolvedSwiGlu(16, 4.0, 3, g)
    gate, up = halves(convolved.gate_up, x)
    inner = gate * up
    summed = torch.zeros_like(inner)
    for position in range(5):
        for tap in range(3):
            if position + tap - 2 >= 0:
                summed[:, position] += convolved.kernel[:, 0, tap] * inner[:, position + tap - 2]
    torch.testing.assert_close(
        convolved(x), F.silu(summed) @ convolved.down.T, rtol=1e-4, atol=1e-5
    )

    experts = MixtureOfExperts(16, 4.0, 4, 2, g)
    with torch.no_grad():
        expected = torch.zeros_like(x)
        for b in range(2):
            for position in range(5):
                scores = experts.router @ x[b, position]
                best = scores.argsort(descending=True)[:2]
                for weight, number in zip(scores[best].softmax(-1), best.tolist(), strict=True):
                    expert = experts.experts[number]
                    gate, up = halves(expert.gate_up, x[b, position])  # type: ignore[arg-type]
                    expected[b, position] += weight * ((gate * up) @ expert.down.T)  # type: ignore[operator]
        torch.testing.assert_close(experts(x), expected, rtol=1e-4, atol=1e-5)
    # Each on all positions, whatever the router says: shapes that vary would round in other ways.
    seen: list[torch.Size] = []
    for expert in experts.experts:
        expert.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    experts(x)
    assert seen == [x.shape] * 4


def test_token_mlp_alone_takes_the_gated_norm() -> None:
    model = make(VARIANTS["gated_norm"])
    assert {type(m) for m in model.modules() if isinstance(m, Gated)} == {GatedNormSwiGlu}
    assert {
        type(m) for m in make(VARIANTS["short_convolution"]).modules() if isinstance(m, Gated)
    } == {ConvolvedSwiGlu}


def contraction(width: int) -> torch.Tensor:
    """A symmetric matrix with eigenvalues from -0.95 to 0.95."""
    basis = torch.linalg.qr(torch.randn(width, width, generator=generator(9)))[0]
    return basis @ torch.diag(torch.linspace(-0.95, 0.95, width)) @ basis.T


def test_anderson_equals_least_squares_and_finds_a_fixed_point_sooner() -> None:
    g = generator()
    matrix = contraction(12)
    shift = torch.randn(3, 12, generator=g)
    solution = torch.linalg.solve(torch.eye(12) - matrix, shift.T).T
    solving, plain, point = FixedPoint(), torch.zeros(3, 12), torch.zeros(3, 12)
    points, values = [], []
    for _ in range(8):
        value = point @ matrix.T + shift
        points.append(point)
        values.append(value)
        point, plain = solving.next(point, value), plain @ matrix.T + shift
        f, r = (
            torch.stack(rows[-MEMORY:], 1).double()
            for rows in (values, [v - p for v, p in zip(values, points, strict=True)])
        )
        for example in range(3):
            # Eliminating the constraint: a = (1 - sum b, b), with the ridge as extra rows.
            difference = r[example, 1:] - r[example, :1]
            size = len(difference)
            ridge = math.sqrt(RIDGE) * torch.cat((-torch.ones(1, size), torch.eye(size))).double()
            left = torch.cat((difference.T, ridge))
            right = torch.cat((-r[example, 0], -math.sqrt(RIDGE) * torch.eye(size + 1).double()[0]))
            b = torch.linalg.lstsq(left, right.unsqueeze(1)).solution[:, 0]
            weights = torch.cat((1.0 - b.sum()[None], b))
            torch.testing.assert_close(
                point[example].double(), weights @ f[example], rtol=1e-3, atol=1e-3
            )
    assert (point - solution).norm() < 0.3 * (plain - solution).norm()


def test_the_fixed_point_variant_ends_nearer_to_one() -> None:
    """With a contraction for a network: |f(z) - z| at the last latent call of the first cycle."""
    residuals: list[float] = []
    solvers: tuple[Solver, ...] = (Iteration(), Anderson())
    for solver in solvers:
        model, calls = (
            make(replace(VARIANTS["trm"], solver=solver, latent_updates=8, cycles=2)),
            list[tuple[torch.Tensor, torch.Tensor]](),
        )
        network = torch.nn.Linear(16, 16, bias=False)
        with torch.no_grad():
            network.weight.copy_(contraction(16))

        def record(
            _module: object, given: tuple[torch.Tensor], out: torch.Tensor, seen: list[Any] = calls
        ) -> None:
            seen.append((given[0].detach(), out.detach()))

        network.register_forward_hook(record)
        model.networks[0] = network
        examples, carry = batch(), Carry.fresh(model, batch(), NOISE)
        supervise(model, carry, max_steps=4, noise=NOISE)
        given, out = calls[7]
        z = (
            given
            - carry.state.answer
            - model.embed(examples.inputs, model.puzzle_rows[examples.puzzle_ids]).detach()
        )
        residuals.append((out - z).norm().item())
    assert residuals[1] < 0.5 * residuals[0]


def test_going_on_has_the_best_following_head_as_target() -> None:
    state = State(torch.zeros(3, 3, 1), ())
    now, following = (
        Output(torch.zeros(3, 2, 2), torch.tensor(halt), torch.tensor(go_on), state)
        for halt, go_on in (
            ([0.0, 0.0, 0.0], [0.3, -0.2, 1.0]),
            ([1.0, -1.0, -2.0], [0.5, 2.0, 3.0]),
        )
    )
    targets = [1 / (1 + math.exp(-x)) for x in (1.0, 2.0, -2.0)]
    log = [
        [math.log(1 / (1 + math.exp(-x))), math.log(1 - 1 / (1 + math.exp(-x)))]
        for x in (0.3, -0.2, 1.0)
    ]
    expected = torch.tensor(
        [-(t * yes + (1 - t) * no) for t, (yes, no) in zip(targets, log, strict=True)]
    )
    found = QLearning().going_on_loss(now, following, torch.tensor([False, False, True]))
    torch.testing.assert_close(found, expected)


def test_the_winner_of_several_starts_is_trained_alone() -> None:
    model, examples = make(VARIANTS["winner_takes_all"]), batch()
    carry = Carry.fresh(model, examples, NOISE)
    assert carry.state.answer.shape[0] == 4 * 5
    assert not torch.equal(carry.state.latents[0][:5], carry.state.latents[0][5:10])
    step = supervise(model, carry, max_steps=4, noise=NOISE)
    wide, draws = examples.repeat(4), NOISE.repeat(4)
    output = model(wide.inputs, model.puzzle_rows[wide.puzzle_ids], carry.state, draws)
    every = losses(output, wide.labels, model.variant)
    torch.testing.assert_close(step.losses.answer, every.answer.view(4, 5).amin(0))
    torch.testing.assert_close(step.losses.halt, every.halt.view(4, 5).mean(0))
    # Halted examples start anew with all their starts, the others go on with all of theirs.
    halted = torch.tensor([True, False, False, True, False])
    mixed = replace(step.carry, halted=halted).refill(model, examples, NOISE)
    kept = (~halted).repeat(4)
    assert torch.equal(mixed.state.latents[0][kept], step.carry.state.latents[0][kept])
    assert torch.equal(mixed.state.latents[0][~kept], carry.state.latents[0][~kept])


def test_loss_weights_of_the_curriculum_and_softmax() -> None:
    model = make(VARIANTS["depth_curriculum"])
    carry = replace(Carry.fresh(model, batch(), NOISE), steps=torch.arange(5))
    step = supervise(model, carry, max_steps=16, noise=NOISE, recursion=model.variant.stage(0.1))
    each = step.losses.answer + 0.5 * step.losses.halt
    torch.testing.assert_close(step.losses.total, (0.7 ** torch.arange(5) * each).sum())
    logits, labels = (
        torch.randn(2, 3, 4, generator=generator()),
        torch.tensor([[1, IGNORE, 2], [0, 1, 3]]),
    )
    halt = torch.zeros(2)
    output = Output(logits, halt, halt, State(torch.zeros(2, 3, 1), ()))
    soft = losses(output, labels, VARIANTS["softmax_loss"])
    expected = torch.stack(
        [F.cross_entropy(logits[i].double(), labels[i], ignore_index=IGNORE) for i in range(2)]
    )
    torch.testing.assert_close(soft.answer, expected, rtol=1e-6, atol=0.0)


def test_tied_embeddings_have_one_table() -> None:
    model, untied = make(VARIANTS["tied_embeddings"]), make(VARIANTS["trm_mlp"])
    assert untied.num_parameters - model.num_parameters == 6 * 16
    assert "head" not in model.state_dict()


def test_perturbed_states_are_carried_in_training_only() -> None:
    model = make(VARIANTS["sprm"])
    carry = Carry.fresh(model, batch(), NOISE)
    trained = supervise(model, carry, max_steps=4, noise=NOISE)
    with torch.no_grad():
        tested = supervise(model, carry, max_steps=4, noise=NOISE)
    torch.testing.assert_close(tested.carry.state.answer, trained.output.state.answer.detach())
    for mine, clean in zip(
        (trained.carry.state.answer, *trained.carry.state.latents),
        (tested.carry.state.answer, *tested.carry.state.latents),
        strict=True,
    ):
        assert (mine - clean).std().item() == pytest.approx(0.1, rel=0.1)


def test_noisy_latent_updates_follow_their_formula() -> None:
    variant = replace(
        VARIANTS["trm"],
        start=RandomStart(damping=0.5, update_noise=0.2),
        cycles=1,
        latent_updates=1,
    )
    model, examples = make(variant), batch()
    state = model.start(NOISE)
    rows = model.puzzle_rows[examples.puzzle_ids]
    with torch.no_grad():
        z = state.latents[0]
        f = model.networks[0](z + state.answer + model.embed(examples.inputs, rows))
        after = model(examples.inputs, rows, state, NOISE).state.latents[0]
    rest = after - (0.5 * z + 0.5 * f)
    assert rest.std().item() == pytest.approx(0.2, rel=0.1)
    assert rest.mean().item() == pytest.approx(0.0, abs=0.02)
    assert z.std().item() == pytest.approx(1.0, rel=0.1)
