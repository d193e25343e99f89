"""Where a run keeps its checkpoints: for those who need not load any."""

from pathlib import Path

from storage.manifest import CorruptDataError, verify_manifest

FOLDER = "checkpoints"
_PREFIX = "step-"


def saved(run: Path) -> list[Path]:
    """The run's checkpoint folders, oldest first."""
    folders = (run / FOLDER).glob(f"{_PREFIX}*")
    return sorted(path for path in folders if path.name.removeprefix(_PREFIX).isdecimal())


def at(run: Path, step: int) -> Path:
    """The folder of the run's checkpoint of a step."""
    return run / FOLDER / f"{_PREFIX}{step:08d}"


def step_of(folder: Path) -> int:
    """The step after which a checkpoint's folder was written."""
    return int(folder.name.removeprefix(_PREFIX))


def step_reached(run: Path) -> int:
    """The step of the run's newest checkpoint; 0 where there is none."""
    return max(map(step_of, saved(run)), default=0)


def verified_step(run: Path) -> int:
    """The step of the run's newest checkpoint whose files are as they were written; 0 where there
    is none."""
    for folder in reversed(saved(run)):
        try:
            verify_manifest(folder)
        except CorruptDataError:
            continue
        return step_of(folder)
    return 0
