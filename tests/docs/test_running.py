"""The commands and programs of the documentation that are marked to run do what they say."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence, Set
from itertools import pairwise
from pathlib import Path

import polars as pl

from tests.docs.pages import ROOT, Command, all_blocks, commands, files

SUBSTITUTIONS = {
    "trm_mlp|0...trm_mlp|2": "trm_mlp|0...trm_mlp|0",
    "checkpoint.steps=1500": "checkpoint.steps=3",
    "rates": "two_points",
}
"""Words of commands that would take longer than a test should -> words in their place."""
_TESTED = ("--stage", "predictions", "--stage", "scores", "--set", "predictions.limit=4")
_TRAINED = ("--set", "checkpoint.steps=2", "--set", "checkpoint.validate_steps=0")
SMALL = {
    "train": ("--stage", "checkpoint", *_TRAINED, *_TESTED),
    "evaluate": _TESTED,
    "test": ("--limit", "4", "--depth", "2"),
}
"""Commands -> words that are added, that make them short: few steps, few puzzles, no report."""


STUDY = """
title: What the learning rate and the weight decay do
benchmark: sudoku_4x4
variants: [trm_mlp]
settings: {recipe.steps: 2}
grid:
  recipe.learning_rate: [3e-4, 1e-3]
execution: {validate_steps: 0}
evaluation: {limit: 4}
"""
"""The study ``two_points``."""

DEMO: list[list[object]] = [
    ["file", "studies/two_points.yaml", STUDY],
    ["trm", ["data", "sudoku_4x4"], None],
    *(
        ["trm", ["train", "sudoku_4x4", "--partition", f"{variant}|0", *SMALL["train"]], None]
        for variant in ("trm_mlp", "trm_grid")
    ),
]
"""What readers have made by ``make demo`` before they try anything else."""


def shortened(command: Command) -> list[str]:
    """The words after ``trm``, so that the command takes seconds."""
    words = [SUBSTITUTIONS.get(word, word) for word in command.words[1:]]
    short = {_setting(pair) for pair in pairwise(words) if pair[1] in SUBSTITUTIONS.values()}
    # A setting may be given once only: ours in place of the page's, unless that is short already.
    small = _without(SMALL.get(words[0], ()), short)
    return [*_without(words, {_setting(pair) for pair in pairwise(small)}), *small]


def _without(words: Sequence[str], settings: Set[str | None]) -> list[str]:
    """The words but for those that set any of these."""
    left_out = [
        at for at, pair in enumerate(pairwise(words)) if _setting(pair) in settings - {None}
    ]
    return [word for at, word in enumerate(words) if not {at, at - 1} & {*left_out}]


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
        "TRM_STUDIES": str(tmp_path / "studies"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
        "TRM_IMPORT": "my_ideas.schedules my_ideas.trackers",
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
    _the_loop_of_readme_has_left_its_traces(tmp_path / "data" / "tables")


def _the_loop_of_readme_has_left_its_traces(tables: Path) -> None:
    runs = pl.read_parquet(tables / "runs").filter(variant="trm_mlp", seed=0)
    assert runs.filter(learning_rate=3e-4, steps=2)["changes"].str.contains("rate=0.0003").any()
    assert runs.filter(cycles=2)["changes"].str.contains("cycles=2").any()
    plain = runs.filter(steps=2, changes="steps=2 in place of 1000")
    longer = runs.filter(steps=3)
    assert longer["parent"].to_list() == [f"{plain['run'].item()}, step 2"]
    tested = {"run": longer["run"].item(), "n": 4}
    deep = pl.col("settings").str.contains('"depth":64') & pl.col("settings").str.contains(
        '"rollouts":8'
    )
    scores = pl.read_parquet(tables / "scores").filter(deep, **tested)
    assert scores.filter(metric="exact_accuracy_after_step")["k"].max() == 64
    selections = pl.read_parquet(tables / "selections").filter(deep, **tested)
    assert selections.filter(depth=64, rollouts=8)["selection"].n_unique() == 8
    study = pl.read_parquet(tables / "study_results").filter(study="two_points")
    assert len(study) == 2
