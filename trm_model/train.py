"""``python -m trm_model.train RUN``: another name of ``python -m trm_model.training.process RUN``.

What it imports is light, so that the process is tied to its parent before anything heavy loads.
"""

import sys

from trm_model.training.process import leave, main

if __name__ == "__main__":
    leave(main(sys.argv[1:]))
