"""``python -m trm_model.conformance``: another name of ``python -m trm_model conformance``."""

import sys

from trm_model.command import main

if __name__ == "__main__":
    sys.exit(main(["conformance", *sys.argv[1:]]))
