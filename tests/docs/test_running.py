"""The commands and programs of the documentation that are marked to run do what they say."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from tests.docs.pages import ROOT, Command, all_blocks, commands, files

SUBSTITUTIONS = {"trm_mlp|0...trm_mlp|2": "trm_mlp|0...trm_mlp|0"}
"""Words of commands that would take longer than a test should -> words in their place."""
_TESTED = ("--stage", "predictions", "--stage", "scores", "--set", "predictions.limit=4")
SMALL = {
    "train": ("--stage", "checkpoint", "--set", "checkpoint.steps=2", *_TESTED),
    "evaluate": _TESTED,
    "test": ("--limit", "4", "--depth", "2"),
}
"""Commands -> words that are added, that make them short: few steps, few puzzles, no report."""


DEMO: list[list[object]] = [
    ["trm", ["data", "sudoku_4x4"], None],
    ["trm", ["train", "sudoku_4x4", "--partition", "trm_mlp|0", *SMALL["train"]], None],
]
"""What readers have made by ``make demo`` before they try anything else."""


def shortened(command: Command) -> list[str]:
    """The words after ``trm``, so that the command takes seconds."""
    words = [SUBSTITUTIONS.get(word, word) for word in command.words[1:]]
    small = SMALL.get(words[0], ())
    ours = {_setting(pair) for pair in pairwise(small)} - {None}
    # A setting may be given once only: ours in place of the page's.
    again = [at for at, pair in enumerate(pairwise(words)) if _setting(pair) in ours]
    return [word for at, word in enumerate(words) if not {at, at - 1} & {*again}] + [*small]


def _setting(pair: tuple[str, str]) -> str | None:
    """What ``--set NAME=VALUE`` sets."""
    return pair[1].partition("=")[0] if pair[0] == "--set" else None


def to_run() -> list[list[object]]:
    """The files first, since variants are read once; then what is marked to run, in the order of
    the pages, no command twice."""
    items: list[list[object]] = [["file", name, text] for name, text in files().items()]
    items += DEMO
    for block in all_blocks("sh", "python"):
        if block.mark == "run" and block.language == "python":
            items.append(["python", block.name, block.text])
        elif block.mark == "run":
            for command in commands(block):
                item: list[object] = ["trm", shortened(command), command.output]
                if command.words[0] == "trm" and item not in items:
                    items.append(item)
    return items


def test_commands_and_programs_run(tmp_path: Path) -> None:
    items = to_run()
    assert len(items) > 10
    environment = {
        **os.environ,
        "TRM_DATA": str(tmp_path / "data"),
        "DAGSTER_HOME": str(tmp_path / "dagster"),
        "TRM_VARIANTS": str(tmp_path / "variants"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.running"],
        cwd=tmp_path,
        env=environment,
        input=json.dumps(items),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    print(done.stdout)
