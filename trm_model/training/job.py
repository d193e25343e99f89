"""A run as a job for a launcher."""

from pathlib import Path

from trm_model.launching import Job, Launcher, Torchrun
from trm_model.training import process
from trm_model.training.execution import Execution
from trm_model.training.folders import FOLDER
from trm_model.training.run import RunSpec, modules_of
from trm_model.version import PACKAGES


def training_job(run: Path, spec: RunSpec, *, other_code: bool = False) -> Job:
    """The job that trains or continues ``spec``, described in the folder ``run``.

    It imports the modules of the user's own choices in ``spec``, trackers and what decides about
    evaluations among them, as this process has done to make it; a name in ``run.json`` alone would
    import nothing.

    :param other_code: go on although another version of the code began the training.
    """
    own = (name for name in sorted(modules_of(spec)) if name.partition(".")[0] not in PACKAGES)
    imports = [word for name in own for word in (process.IMPORT, name)]
    flags = [process.OTHER_CODE] if other_code else []
    return Job(
        module=process.__name__, arguments=(str(run), *imports, *flags), progress=run / FOLDER
    )


def started_by(launcher: Launcher, execution: Execution) -> Launcher:
    """What starts a training: the launcher, or, of several processes, torchrun started by it."""
    processes = execution.processes
    return launcher if processes == 1 else Torchrun(processes=processes, launcher=launcher)
