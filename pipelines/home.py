"""Dagster's home folder on this machine: ``python -m pipelines.home`` makes it where it is missing
and prints its path."""

import os
from pathlib import Path

from storage.atomic import write_text

VARIABLE = "DAGSTER_HOME"
SETTINGS = "dagster.yaml"


def prepare_home() -> Path:
    """The folder that ``DAGSTER_HOME`` names, by default ``.dagster`` here, with our settings in
    it. The variable is set for this process and those that it starts."""
    home = Path(os.environ.get(VARIABLE, ".dagster")).resolve()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / SETTINGS).exists():
        ours = Path(__file__).parent / "deployment" / SETTINGS
        write_text(home / SETTINGS, ours.read_text("utf-8"))
    os.environ[VARIABLE] = str(home)
    return home


if __name__ == "__main__":
    print(prepare_home())
