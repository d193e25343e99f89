"""The model's pieces against references written out here."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trm_model import onednn
from trm_model.ema import Ema
from trm_model.embedding import sign_sgd_
from trm_model.halting import earliest_halts, halts
from trm_model.layers import inner_width, linear, rms_norm, swiglu, truncated_normal
from trm_model.losses import IGNORE, log_stablemax, losses
from trm_model.noise import Noise
from trm_model.optim import AdamAtan2, make_optimizers, warmup
from trm_model.reasoner import Output, Reasoner, State
from trm_model.recipe import Recipe, Size
from trm_model.supervision import Batch, Carry, supervise
from trm_model.variant import VARIANTS, Attention, Dense, LastCalls, NoisyStart, TokenMlp, Variant

NOISE = Noise(0, torch.arange(5))
SIZE = Size(width=16, heads=2, prefix=2, puzzle_width=24)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(variant: Variant, size: Size = SIZE, precision: str = "float32") -> Reasoner:
    return Reasoner(variant, size, vocabulary=6, length=9, num_puzzles=4, generator=generator(), precision=precision, grid=(3, 3))  # type: ignore[arg-type]


def batch(seed: int = 1) -> Batch:
    g = generator(seed)
    labels = torch.randint(1, 6, (5, 9), generator=g)
    labels[0, :4] = IGNORE
    return Batch(torch.randint(1, 6, (5, 9), generator=g), labels, torch.randint(0, 4, (5,), generator=g))


@pytest.mark.parametrize("width", [20, 64])
def test_onednn_swiglu_equals_the_formula_forward_and_backward(width: int) -> None:
    g = generator()
    x = torch.randn(7, 5, width, generator=g, dtype=torch.float64)
    gate_up = truncated_normal((512, width), width**-0.5, g).double()
    down = truncated_normal((width, 256), 256**-0.5, g).double()
    results = []
    for dtype in (torch.float32, torch.float64):
        tensors = [t.to(dtype).requires_grad_() for t in (x, gate_up, down)]
        assert onednn.serves(tensors[0]) == (dtype == torch.float32)
        out = swiglu(*tensors)
        with torch.no_grad():
            torch.testing.assert_close(swiglu(*tensors), out.detach(), rtol=1e-5, atol=1e-5)
        results.append([out.detach(), *torch.autograd.grad(out.square().sum(), tensors)])
    for ours, reference in zip(*results, strict=True):
        torch.testing.assert_close(ours.double(), reference, rtol=1e-4, atol=1e-4)


def test_linear_equals_the_product() -> None:
    g = generator()
    x, weight = torch.randn(3, 4, 8, generator=g, requires_grad=True), torch.randn(6, 8, generator=g, requires_grad=True)
    ours, reference = linear(x, weight), x @ weight.T
    torch.testing.assert_close(ours, reference)
    for mine, theirs in zip(*(torch.autograd.grad(out.sin().sum(), (x, weight)) for out in (ours, reference)), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_rms_norm_and_inner_width() -> None:
    x = torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(rms_norm(x), x / math.sqrt(12.5 + 1e-5))
    assert [inner_width(width, 4) for width in (20, 64, 96, 97, 512)] == [256, 256, 256, 512, 1536]


def test_initial_weights_have_the_stated_moments() -> None:
    weights = truncated_normal((400, 500), 0.3, generator())
    assert weights.std().item() == pytest.approx(0.3, rel=0.01)
    assert weights.mean().item() == pytest.approx(0.0, abs=0.005)
    # Cut at two standard deviations of the normal that is cut, whose spread is 1 / 0.8796 times that of the result.
    assert weights.abs().max().item() == pytest.approx(2 * 0.3 / 0.87962566, rel=0.01)
    model = make(VARIANTS["trm"])
    assert (model.halt_weight == 0).all()
    assert (model.halt_bias == -5).all()
    assert (model.puzzle_rows == 0).all()


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
    result = losses(Output(logits, halt, halt, state), labels)
    log_p = log_stablemax(logits)
    torch.testing.assert_close(result.answer[0], -(log_p[0, 0, 1] + log_p[0, 2, 2]) / 2)
    assert result.answer[1] == 0
    assert result.labelled_cells.tolist() == [2, 0]
    solved = torch.tensor([float((logits[0, [0, 2]].argmax(-1) == torch.tensor([1, 2])).all()), 1.0])
    torch.testing.assert_close(result.halt, F.binary_cross_entropy_with_logits(halt, solved, reduction="none"))
    torch.testing.assert_close(result.total, result.answer.sum() + 0.5 * result.halt.sum())
    assert losses(Output(logits, halt, halt, state), labels, halting="none").halt.tolist() == [0, 0]


def test_halting_and_exploration() -> None:
    zero = torch.zeros(4)
    logits, steps = torch.tensor([1.0, 1.0, -1.0, -1.0]), torch.tensor([1, 3, 3, 4])
    assert halts(logits, zero, zero > 0, steps, halting="bce", max_steps=4).tolist() == [True, True, False, True]
    earliest = torch.tensor([2, 2, 0, 5])
    assert halts(logits, zero, zero > 0, steps, halting="bce", max_steps=4, earliest=earliest).tolist() == [False, True, False, True]
    assert halts(logits, zero, zero > 0, steps, halting="none", max_steps=4).tolist() == [False, False, False, True]
    drawn = earliest_halts(20_000, 16, 0.1, generator())
    assert (drawn > 0).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert set(drawn[drawn > 0].tolist()) == set(range(2, 17))
    assert (earliest_halts(100, 1, 1.0, generator()) == 1).all()


def test_sign_sgd_sums_duplicates_and_leaves_other_rows() -> None:
    table, ids = torch.randn(6, 3, generator=generator()), torch.tensor([4, 1, 4, 4])
    gradient = torch.tensor([[1.0, -1.0, 0.5], [2.0, 0.0, -3.0], [-3.0, -1.0, -0.5], [1.0, 5.0, 0.0]])
    dense = torch.zeros(6, 3).index_add_(0, ids, gradient)
    expected = table.clone()
    expected[[1, 4]] = (table * (1 - 0.1 * 0.5) - 0.1 * dense.sign())[[1, 4]]
    sign_sgd_(table, ids, gradient, learning_rate=0.1, weight_decay=0.5)
    torch.testing.assert_close(table, expected)


def test_adam_atan2_equals_its_formula() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = AdamAtan2([weight], lr=0.0, betas=(0.9, 0.95), weight_decay=0.1)
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


def test_ema_and_warmup_closed_forms() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(0.0)
    ema = Ema(layer, 0.9)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    for _ in range(7):
        ema.update(layer)
    assert ema.average["weight"].item() == pytest.approx(1 - 0.9**7)
    assert [warmup(step, 4) for step in (1, 2, 4, 5)] == [0.25, 0.5, 1.0, 1.0]
    assert warmup(1, 0) == 1.0


def test_recursion_calls_and_gradient_depth() -> None:
    """Counted by hooks: T (n + 1) calls, gradient in the last cycle or the last calls only."""
    for backprop, graded in ((VARIANTS["trm_mlp"].backprop, 7), (LastCalls(2), 2)):
        variant = replace(VARIANTS["trm_mlp"], backprop=backprop)
        model, seen = make(variant), []
        model.networks[0].register_forward_hook(lambda *_, seen=seen: seen.append(torch.is_grad_enabled()))
        supervise(model, Carry.fresh(model, batch(), NOISE), max_steps=4, noise=NOISE)
        assert len(seen) == 21 == variant.calls
        assert seen == [False] * (21 - graded) + [True] * graded


@pytest.mark.parametrize("name", list(VARIANTS))
def test_every_variant_has_finite_gradients_for_every_weight(name: str) -> None:
    model = make(VARIANTS[name])
    step = supervise(model, Carry.fresh(model, batch(), NOISE), max_steps=4, noise=NOISE)
    step.losses.total.backward()
    assert step.rows.grad is not None
    assert step.rows.grad.abs().sum() > 0
    variant = VARIANTS[name]
    # What nothing reads with a gradient: corrupted answers enter before the graded cycle, and "solved" needs no halting head.
    unused = {"answer_tokens"} if isinstance(variant.start, NoisyStart) else set[str]()
    unused |= {"halt_weight", "halt_bias"} if variant.halting == "solved" else set()
    for parameter_name, parameter in model.named_parameters():
        if parameter_name in unused:
            assert parameter.grad is None
        elif isinstance(variant.feed_forward, Dense):
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.networks.parameters())


def test_learned_positions_wide_rows_and_no_puzzle_rows() -> None:
    for mixer in (Attention(positions="learned"), TokenMlp(positions="learned"), Attention(positions="none")):
        for size in (SIZE, Size(width=16, heads=2, prefix=0, puzzle_width=0), Size(width=16, heads=2, prefix=2, puzzle_width=32)):
            model = make(replace(VARIANTS["trm"], mixer=mixer), size)
            step = supervise(model, Carry.fresh(model, batch(), NOISE), max_steps=4, noise=NOISE)
            assert step.output.logits.shape == (5, 9, 6)
            assert (model.positions is None) == (mixer.positions == "none")


def test_bfloat16_follows_float32() -> None:
    # Two calls: with more, the recursion of random weights magnifies rounding (docs/log.md).
    short = replace(VARIANTS["trm"], cycles=1, latent_updates=1)
    exact, rounded = make(short), make(short, precision="bfloat16")
    outputs = [supervise(model, Carry.fresh(model, batch(), NOISE), max_steps=4, noise=NOISE).output for model in (exact, rounded)]
    assert outputs[1].state.answer.dtype == torch.bfloat16
    assert outputs[1].logits.dtype == torch.float32
    assert F.cosine_similarity(outputs[1].logits.flatten(), outputs[0].logits.flatten(), dim=0) > 0.999


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
