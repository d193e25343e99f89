"""``python -m pipelines``: the command ``trm``, where it is not on the path."""

import sys

from pipelines.command import main

if __name__ == "__main__":
    sys.exit(main())
