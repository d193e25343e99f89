"""The sublayer in one pass on CPUs, against its formula in float64."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.trm_model.model.kernels import AVX2, only_on_x86, passes, with_gradients
from trm_model.model.feed_forwards.gated_norm import GatedNormSwiGlu, ProductNormSwiGlu
from trm_model.model.kernels import swiglu as fused
from trm_model.model.kernels.tiles import threads_reached
from trm_model.model.layers import NORM_EPSILON, SwiGlu, inner_width, rms_norm, truncated_normal


def tensors(*shape: int, turned: bool = False, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """x [*shape] (turned: its last two axes exchanged in memory), and the weights."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=g) * scale
    width, inner = shape[-1], inner_width(shape[-1], 4.0)
    if turned:
        x = x.transpose(-1, -2).contiguous().transpose(-1, -2)
    weights = (
        truncated_normal((2 * inner, width), width**-0.5, g),
        truncated_normal((width, inner), inner**-0.5, g),
    )
    return x, *weights


pytestmark = pytest.mark.skipif(
    not threads_reached(), reason="torch's threads are not OpenMP's here"
)


def ours(x: Tensor, gate_up: Tensor, down: Tensor, *, norm: int = fused.NO_NORM) -> Tensor:
    return fused.post_norm_swiglu(x, gate_up, down, NORM_EPSILON, norm)


def normalised(y: Tensor) -> Tensor:
    return y * (y.square().mean(-1, keepdim=True) + 1e-5).rsqrt()


INNER: dict[int, Callable[[Tensor, Tensor], Tensor]] = {
    fused.NO_NORM: lambda gate, up: F.silu(gate) * up,
    fused.UP_NORM: lambda gate, up: F.silu(gate) * normalised(up),
    fused.PRODUCT_NORM: lambda gate, up: gate.sigmoid() * normalised(gate * up),
}


def formula(x: Tensor, gate_up: Tensor, down: Tensor, *, norm: int = fused.NO_NORM) -> Tensor:
    return normalised(x + INNER[norm](*(x @ gate_up.T).chunk(2, dim=-1)) @ down.T)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


SHAPES = [
    (2, 20, 64),
    (3, 64, 20),
    (2, 97, 40),
    (1, 5, 7),
    (5, 1, 3),
    (2, 130, 101),
    (130, 9),
    (2, 3, 4, 24),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("norm", INNER)
def test_equals_the_formula_forward_and_backward(
    shape: tuple[int, ...], turned: bool, norm: int
) -> None:
    inputs = tensors(*shape, turned=turned)
    mine = with_gradients(partial(ours, norm=norm), torch.float32, *inputs)
    reference = with_gradients(partial(formula, norm=norm), torch.float64, *inputs)
    for one, theirs in zip(mine, reference, strict=True):
        torch.testing.assert_close(
            one.double(), theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item()
        )
    with torch.no_grad():
        assert torch.equal(ours(*inputs, norm=norm), mine[0])


def test_large_gates_and_what_is_not_finite() -> None:
    inputs = tensors(1, 70, 16, scale=300.0)
    mine = with_gradients(ours, torch.float32, *inputs)
    for one, theirs in zip(mine, with_gradients(formula, torch.float64, *inputs), strict=True):
        torch.testing.assert_close(
            one.double(), theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item()
        )
    x, *weights = inputs
    x = x.detach().clone()
    x[0, 3, 5] = float("nan")
    result = ours(x, *weights)
    assert result[0, 3].isnan().all()
    assert torch.equal(result[0, 4:], mine[0][0, 4:])


@pytest.mark.parametrize("turned", [False, True])
def test_a_column_has_the_same_bits_in_any_batch_and_with_any_number_of_threads(
    turned: bool, threads: None
) -> None:
    x, *weights = tensors(6, 20, 72, turned=turned)
    whole = ours(x, *weights)
    assert torch.equal(
        ours(x[2:5].clone(memory_format=torch.preserve_format), *weights), whole[2:5]
    )
    torch.set_num_threads(1)
    assert torch.equal(ours(x, *weights), whole)


def test_gradients_do_not_depend_on_the_number_of_threads_beyond_rounding(threads: None) -> None:
    inputs = tensors(6, 20, 72)
    several = with_gradients(ours, torch.float32, *inputs)
    torch.set_num_threads(1)
    for one, more in zip(with_gradients(ours, torch.float32, *inputs), several, strict=True):
        torch.testing.assert_close(one, more, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", INNER)
def test_a_gradient_that_is_computed_twice_is_the_same(norm: int) -> None:
    inputs = [tensor.requires_grad_() for tensor in tensors(2, 70, 24)]
    total = ours(*inputs, norm=norm).sum()
    first, second = (torch.autograd.grad(total, inputs, retain_graph=True) for _ in range(2))
    assert all(map(torch.equal, first, second))


def test_wide_sublayers_whose_gradient_is_wanted_take_the_formula_of_torch() -> None:
    x, gate_up, down = tensors(1, 2, fused.MOST_GRADED_WIDTH + 8)
    down.requires_grad_()
    assert not fused.serves(x, gate_up, down)
    with torch.no_grad():
        assert fused.serves(x, gate_up, down)
    assert fused.serves(x, gate_up, down.detach())
    x, gate_up, down = tensors(1, 2, fused.MOST_GRADED_WIDTH)
    assert fused.serves(x, gate_up, down.requires_grad_())


@pytest.mark.parametrize("kind", [SwiGlu, GatedNormSwiGlu, ProductNormSwiGlu])
def test_other_types_and_compiled_networks_take_the_formula_of_torch(kind: type[SwiGlu]) -> None:
    x, *weights = tensors(2, 5, 16)
    gate_up = weights[0]
    assert not fused.serves(x.double(), *weights)
    assert not fused.serves(x.bfloat16(), *weights)
    assert not fused.serves(x[:0], *weights)
    sublayer = kind(16, 4.0, torch.Generator().manual_seed(0))
    assert sublayer.gate_up.shape == gate_up.shape
    compiled = torch.compile(sublayer.post_norm, backend="eager", fullgraph=True)
    expected = rms_norm(x + sublayer(x))
    torch.testing.assert_close(compiled(x), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(sublayer.post_norm(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_weights_of_other_types_take_the_formula_of_torch(dtype: torch.dtype) -> None:
    """As in ``model.double()`` and ``model.bfloat16()``: memory is not taken for what it is not."""
    x, gate_up, down = tensors(2, 5, 16)
    sublayer = SwiGlu(16, 4.0, torch.Generator().manual_seed(0)).to(dtype)
    assert not fused.serves(x, gate_up, down.to(dtype))
    assert not fused.serves(x, gate_up.to(dtype), down)
    expected = formula(x, sublayer.gate_up.float(), sublayer.down.float())
    torch.testing.assert_close(sublayer.post_norm(x), expected, rtol=1e-4, atol=1e-5)


def test_weights_of_other_shapes_and_devices_are_not_read() -> None:
    x, gate_up, down = tensors(2, 5, 16)
    assert fused.serves(x, gate_up, down)
    for others in (
        (gate_up[:-2], down),
        (gate_up, down[:, :-1]),
        (gate_up[:, :-1], down),
        (gate_up, down[:-1]),
        (gate_up[: 2 * 40], down[:, :40]),
        (gate_up[:0], down[:, :0]),
        (gate_up.to("meta"), down),
        (gate_up, down.to("meta")),
    ):
        assert not fused.serves(x, *others)
    assert not fused.serves(x[..., :-1], gate_up, down)
    sublayer = SwiGlu(16, 4.0, torch.Generator().manual_seed(0))
    with pytest.raises(RuntimeError, match="size|shape"):
        sublayer.post_norm(x[..., :-1])


def test_strided_inputs_and_weights_are_read_as_they_are() -> None:
    x, gate_up, down = tensors(2, 5, 16)
    wide, tall = torch.zeros(4, 5, 32), torch.zeros(2 * len(gate_up), 32)
    wide[::2, :, ::2], tall[::2, ::2] = x, gate_up
    strided = ours(wide[::2, :, ::2], tall[::2, ::2], down.T.contiguous().T)
    assert torch.equal(strided, ours(x, gate_up, down))


def test_a_second_derivative_is_refused() -> None:
    """Or right: by the formula of torch, as in ``model.double()``."""
    x, gate_up, down = tensors(1, 3, 16)
    x.requires_grad_()
    with pytest.raises(NotImplementedError, match=r"has no second one; use model\.double"):
        torch.autograd.grad(ours(x, gate_up, down).sum(), x, create_graph=True)
    sublayer = SwiGlu(16, 4.0, torch.Generator().manual_seed(0)).double()

    def second(result: Tensor) -> Tensor:
        weight = torch.linspace(-1, 1, result.numel()).view(result.shape)
        (first,) = torch.autograd.grad((result * weight).sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    expected = second(formula(x, sublayer.gate_up.float(), sublayer.down.float()))
    torch.testing.assert_close(second(sublayer.post_norm(x)), expected, rtol=1e-3, atol=1e-4)


CHECK = """
import sys
from tests.trm_model.model import test_fused
from tests.trm_model.model.test_fused import INNER, SHAPES
from trm_model.model.kernels.instructions import WIDE
check = test_fused.test_equals_the_formula_forward_and_backward
assert int(sys.argv[1] or WIDE) == WIDE, WIDE
for shape in SHAPES:
    for turned in (False, True):
        for norm in INNER:
            check(shape, turned, norm)
"""


@pytest.mark.slow
@only_on_x86
def test_equals_the_formula_on_narrower_registers() -> None:
    passes(CHECK, AVX2, "16")


def test_equals_the_formula_where_openmp_grants_fewer_threads_than_torch_asks_for() -> None:
    limited = {"OMP_THREAD_LIMIT": "1", "OMP_NUM_THREADS": "2"}
    passes("import torch; torch.set_num_threads(2)\n" + CHECK, limited)
