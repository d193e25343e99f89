"""Make the machine code of the CPU kernels, which is kept for later processes: ``python -m
tests.compiling``.

It takes a minute where none is there yet. Otherwise every test process would make it for itself.
"""

from tests.benchmarks.__main__ import SMALL, ours

for name in ("trm_mlp", "trm"):
    _, step = ours(name, SMALL)
    step()
