"""Sublayers that GPUs have programs for: which are, and that the programs compute their formula."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.trm_model.model.kernels import passes
from trm_model.model.feed_forwards.gated_norm import GatedNormSwiGlu
from trm_model.model.kernels import gpu_swiglu
from trm_model.model.layers import SwiGlu

TRITON = Path(sys.prefix, "triton")
"""Where ``make install`` puts it."""


@pytest.mark.skipif(not TRITON.is_dir(), reason="make install puts Triton there, on Linux")
def test_the_programs_compute_the_formula_where_triton_interprets_them() -> None:
    check = (
        "import runpy; runpy.run_module('tests.trm_model.model.interpreted', run_name='__main__')"
    )
    paths = os.pathsep.join([str(TRITON), *sys.path])
    passes(check, {"TRITON_INTERPRET": "1", "PYTHONPATH": paths})


class Seen(TorchDispatchMode):
    """The operators of ours that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        del types
        self.names += [func.name()] * func.name().startswith("trm::")
        return func(*args, **(kwargs or {}))


def given(
    *shape: int, turned: bool, dtype: torch.dtype = torch.bfloat16, device: str = "cuda:0"
) -> tuple[Tensor, SwiGlu]:
    """Activations and a sublayer on a GPU that need not be here, without any numbers."""
    with torch.device("meta"):
        module = SwiGlu(shape[-1], 4.0, torch.Generator())
    for name, weight in module.named_parameters():
        setattr(module, name, nn.Parameter(torch.empty(weight.shape, device=device)))
    if turned:
        return torch.empty(shape[0], shape[2], shape[1], dtype=dtype, device=device).mT, module
    return torch.empty(shape, dtype=dtype, device=device), module


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with a GPU that computes nothing."""
    monkeypatch.setattr(gpu_swiglu, "is_hopper", lambda device: True)
    monkeypatch.setattr(gpu_swiglu, "HAS_TRITON", True)
    with FakeTensorMode(), torch.no_grad():
        yield


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("shape", "turned", "operator"),
    [
        ((2, 64, 20), True, "trm::over_positions"),
        ((2, 512, 97), True, "trm::over_positions"),
        ((2, 20, 64), False, "trm::over_channels"),
        ((9, 512), False, "trm::over_channels"),
    ],
)
def test_sublayers_in_bfloat16_on_such_a_gpu_are_served(
    shape: tuple[int, ...], turned: bool, operator: str
) -> None:
    x, module = given(*shape, turned=turned)
    with Seen() as seen:
        result = module.post_norm(x)
    assert (result.shape, result.dtype, seen.names) == (x.shape, x.dtype, [operator])


def served(x: Tensor, module: SwiGlu) -> bool:
    return gpu_swiglu.serves(x, module.gate_up, module.down)


@pytest.mark.usefixtures("fake")
def test_what_is_not_served_is_for_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    assert served(*given(2, 64, 20, turned=True))
    # Many positions are mixed as channels are, where their number fits.
    assert served(*given(2, 64, 192, turned=True))
    assert not served(*given(2, 64, 20, turned=True, dtype=torch.float32))
    assert not served(*given(2, 64, 20, turned=True, device="cpu"))
    assert not served(*given(2, 40, 20, turned=True))
    assert not served(*given(2, 64, 932, turned=True))
    assert not served(*given(2, 20, 40, turned=False))
    assert not served(*given(0, 64, 20, turned=True))
    x, module = given(2, 64, 20, turned=True)
    assert not served(x, given(2, 64, 21, turned=True)[1])
    half, turned = (
        torch.empty_like(module.gate_up, dtype=torch.bfloat16),
        torch.empty(module.down.shape[::-1], device=x.device).mT,
    )
    assert not gpu_swiglu.serves(x, half, module.down)
    assert not gpu_swiglu.serves(x, module.gate_up, turned)
    with monkeypatch.context() as without:
        without.setattr(gpu_swiglu, "HAS_TRITON", False)
        assert not served(x, module)
    monkeypatch.setattr(gpu_swiglu, "is_hopper", lambda device: False)
    assert not served(x, module)


@pytest.mark.parametrize(
    ("capability", "hip", "found"),
    [((9, 0), None, True), ((8, 9), None, False), ((12, 0), None, False), ((9, 0), "6.4", False)],
)
def test_the_programs_are_for_the_gpus_on_which_they_were_tried(
    capability: tuple[int, int], hip: str | None, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: capability)
    monkeypatch.setattr(torch.version, "hip", hip)
    assert gpu_swiglu.is_hopper(0) is found


def test_models_are_loaded_without_the_compiler() -> None:
    passes("import sys, trm_model.model.reasoner; assert 'torch._dynamo' not in sys.modules", {})


def test_what_is_counted_as_served_ends_with_an_error() -> None:
    x, gate_up, down = (
        torch.empty(shape, device="meta") for shape in ((2, 64), (512, 64), (64, 256))
    )
    x = x.bfloat16()
    with pytest.raises(ZeroDivisionError), gpu_swiglu.counted(there=True):
        assert gpu_swiglu.serves(x, gate_up, down)
        _ = 1 / 0
    assert not gpu_swiglu.serves(x, gate_up, down)


def test_norms_of_inner_activations_are_for_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_swiglu, "serves", lambda *_: pytest.fail("the programs have no norm"))
    sublayer = GatedNormSwiGlu(64, 4.0, torch.Generator().manual_seed(0))
    x = torch.ones(3, 64, dtype=torch.bfloat16)
    assert sublayer.post_norm(x).isfinite().all()
