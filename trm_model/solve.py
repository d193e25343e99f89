"""``python -m trm_model.solve``: another name of ``python -m trm_model solve``."""

import sys

from trm_model.command import main

if __name__ == "__main__":
    sys.exit(main(["solve", *sys.argv[1:]]))
