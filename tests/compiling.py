"""Make the machine code of the CPU kernels, which is kept for later processes, and the byte code of
what every command imports: ``python -m tests.compiling``.

It takes a minute where none is there yet. Otherwise every test process would make it for itself.
"""

from importlib import import_module

from tests.benchmarks.__main__ import SMALL, ours

import_module("pipelines.definitions")
for name in ("trm_mlp", "trm"):
    _, step = ours(name, SMALL)
    step()
