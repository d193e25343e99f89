"""Run blocks of the documentation, one after another, in the current folder.

``python -m tests.docs.running`` reads a JSON list of blocks from standard input: ``["python", name,
text]``, ``["file", path, text]`` or ``["trm", words, output]``. All run in one process, trainings
too, since starting Python, torch and Dagster for each takes longer than most of them. The first
that fails ends it.
"""

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from pipelines.command import trm
from tests.launching import ThisProcess
from trm_model.terminal import run


def run_trm(words: Sequence[str], output: str | None) -> None:
    """``trm WORDS… > output``."""
    with contextlib.ExitStack() as stack:
        if output is not None:
            stack.enter_context(
                contextlib.redirect_stdout(stack.enter_context(Path(output).open("w")))
            )
        code = run(trm, words, program="trm")
    if code:
        raise SystemExit(f"trm {' '.join(words)}: exit code {code}")


def main() -> None:
    """Run what standard input says; the names of Python blocks are kept apart."""
    sys.path.insert(0, str(Path.cwd()))
    for kind, what, text in json.load(sys.stdin):
        print(f"## {time.process_time():.0f} s: {kind} {what}", flush=True)
        if kind == "python":
            exec(compile(text, what, "exec"), {"__name__": "__main__"})
        elif kind == "file":
            path = Path(what)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        else:
            with mock.patch("pipelines.resources.LocalProcess", ThisProcess):
                run_trm(what, text)


if __name__ == "__main__":
    main()
