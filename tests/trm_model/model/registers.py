"""Kernels as they are compiled for other processors than this one."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

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
