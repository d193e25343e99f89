"""What Dagster loads: ``defs``, the code location, its partitions, their variants and the studies.

Python's garbage collector pauses meanwhile, and leaves out its last round when the process ends: it
would look for circles among a million objects that live as long as the process, which takes more
than a third of the time.
"""

import atexit
import gc

gc.disable()
try:
    from pipelines.code_location import PARTITIONS, STUDIES, VARIANTS, defs
finally:
    gc.enable()
atexit.register(gc.freeze)

__all__ = ["PARTITIONS", "STUDIES", "VARIANTS", "defs"]
