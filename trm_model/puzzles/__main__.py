"""``python -m trm_model.puzzles``: see :mod:`trm_model.puzzles.command`."""

import sys

from trm_model.puzzles.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
