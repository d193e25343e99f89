"""Dagster's home folder on this machine: ``python -m pipelines.home`` makes it where it is missing
and prints its path."""

import hashlib
import os
import sys
from pathlib import Path

from storage.atomic import write_text
from storage.refusals import require_writable
from trm_model.errors import ConfigurationError

VARIABLE = "DAGSTER_HOME"
SETTINGS = "dagster.yaml"
OURS = "dagster.yaml.ours"
"""The settings that this project wrote last, beside those in use: where the two differ, the user
has edited them."""
_BEFORE_OURS = {
    "5140f9b0d270c46f58b659dc216acb0b5e2344ea848dcf996fe63ab1c26fde1a",
    "e840daa129252714d5dcff37dfef1d0c973a1e1c26acee18af29bd0b3576357e",
    "2cf3332d7c0b3d2f53cbede9e867e7486afb79b1ca834fc4e30283219cdb775a",
    "aade3d75ac589b42e4177e9374f690e25a70036c8429ab6fdae2f71c6a49057a",
}
"""SHA-256 of the settings that were written before there was :data:`OURS`."""


def prepare_home() -> Path:
    """The folder that ``DAGSTER_HOME`` names, by default ``.dagster`` here, with our settings in
    it. The variable is set for this process and those that it starts.

    :raises ConfigurationError: nothing can be written there.
    """
    home = Path(os.environ.get(VARIABLE, ".dagster")).resolve()
    ours = (Path(__file__).parent / "deployment" / SETTINGS).read_bytes()
    try:
        home.mkdir(parents=True, exist_ok=True)
        require_writable(home / SETTINGS)
        said = _bring_up_to_date(home, ours)
    except OSError as error:
        raise ConfigurationError(
            f"{home}: {error.strerror}; expected a folder that may be written, in which Dagster "
            f"keeps its history; mend it, or name another by {VARIABLE}"
        ) from error
    if said is not None:
        print(said, file=sys.stderr, flush=True)
    os.environ[VARIABLE] = str(home)
    return home


def _bring_up_to_date(home: Path, ours: bytes) -> str | None:
    """Write our settings where there are none or those of an older version, and leave what the user
    has edited; returns what is to be said about it, once for each version of ours."""
    used, recorded = home / SETTINGS, home / OURS
    found = used.read_bytes() if used.exists() else None
    before = recorded.read_bytes() if recorded.exists() else None
    if before == ours and found is not None:
        return None
    edited = (
        found not in (None, before, ours) and hashlib.sha256(found).hexdigest() not in _BEFORE_OURS
    )
    if not edited:
        write_text(used, ours.decode())
    write_text(recorded, ours.decode())
    if found in (None, ours):
        return None
    if edited:
        return (
            f"{used}: kept as it was edited, but this version of the project comes with other "
            f"settings: take over what you want from {recorded}, or remove {used} to have those"
        )
    return f"{used}: was an older version's, and is brought up to date"


if __name__ == "__main__":
    try:
        print(prepare_home())
    except ConfigurationError as refused:
        sys.exit(f"error: {refused}")
