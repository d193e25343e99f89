"""``python -m trm_model.variant``: another name of ``python -m trm_model variants``."""

import sys

from trm_model.command import main

if __name__ == "__main__":
    sys.exit(main(["variants", *sys.argv[1:]]))
