"""Dagster's home folder for one machine: ``python -m pipelines.home`` prints it, creating what is
missing."""

import os
import shutil
from pathlib import Path

VARIABLE = "DAGSTER_HOME"


def prepare_home() -> Path:
    """``$DAGSTER_HOME``, by default ``.dagster`` here, with our ``dagster.yaml`` in it; the
    variable is set for this process."""
    home = Path(os.environ.get(VARIABLE, ".dagster")).resolve()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copyfile(
            Path(__file__).parent / "deployment" / "dagster.yaml", home / "dagster.yaml"
        )
    os.environ[VARIABLE] = str(home)
    return home


if __name__ == "__main__":
    print(prepare_home())
