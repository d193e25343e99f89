"""A process that has read or written examples ends without a word, however busy the machine is."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, time
import numpy as np, zarr
import storage.examples

array = zarr.create_array(sys.argv[1], data=np.zeros(4))
array[:]
# The thread in which zarr reads is longer busy than zarr waits for it.
zarr.core.sync.loop[0].call_soon_threadsafe(time.sleep, 1.0)
"""


def test_the_end_waits_for_the_thread_in_which_zarr_reads(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "array.zarr")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
