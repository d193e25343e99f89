"""``python -m pipelines.materialize``: any stages of a benchmark from the command line.

``python -m pipelines.materialize sudoku_4x4 --partition 'trm_mlp|0' --partition 'trm|0'``

``trm data``, ``trm train`` and ``trm evaluate`` do the same for the stages that their names say.
"""

import sys
from collections.abc import Sequence

from pipelines.command import trm
from trm_model.terminal import run


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    return run(trm, ["materialize", *arguments], program="trm")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
