"""What the tests of both kernels need: gradients of a formula, and the kernels as they are compiled
for other processors than this one."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+popcnt,+sse4.2",
}
"""A processor with AVX2 alone."""
only_on_x86 = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="only x86 has registers of several widths"
)


def passes(check: str, environment: Mapping[str, str], wide: str = "") -> None:
    """Run a program in a process of its own; ``wide``: the columns of a block that it expects."""
    command = [sys.executable, "-c", check, wide]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def with_gradients(
    function: Callable[..., Tensor], dtype: torch.dtype, *inputs: Tensor
) -> list[Tensor]:
    """The function's result, and the gradients of a weighted sum of it, computed in ``dtype``."""
    leaves = [t.detach().clone().to(dtype).requires_grad_() for t in inputs]
    result = function(*leaves)
    weight = torch.linspace(-1, 1, result.numel(), dtype=dtype).view(result.shape)
    return [result.detach(), *torch.autograd.grad((result * weight).sum(), leaves)]
