"""``python -m trm_model``: the commands of the library, where it is used without the graph."""

import sys

from trm_model.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
