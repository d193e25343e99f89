"""The benchmarks of mazes, and why most of them are not augmented."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from assets.benchmarks import BENCHMARKS
from assets.families.maze import GeneratedMaze, MazeOrigin
from assets.graph import build_benchmark
from assets.partitions import variant_seed_partitions
from assets.store import StoreResource
from trm_model.launching import LocalProcess
from trm_model.puzzles import maze
from trm_model.puzzles.maze import MazeExamples
from trm_model.variants import VARIANTS

MAZES = [name for name, entry in BENCHMARKS.items() if isinstance(entry.origin, MazeOrigin)]


def test_which_mazes_are_augmented() -> None:
    assert {name: BENCHMARKS[name].augmentations for name in MAZES} == {
        "maze_small": 7,
        "maze_hard": 0,
        "maze_unique": 7,
        "maze_csv": 0,
    }


@pytest.mark.parametrize("unique", [True, False])
def test_turned_labels_are_those_of_the_turned_mazes_only_there(unique: bool) -> None:
    side = 8
    made = maze.generate(20, side, 0, longer_than=8, unique=unique)
    examples = MazeExamples(made.inputs, made.labels, side, 7, 0)
    inputs, labels = examples.rows(np.arange(20 * 8))
    solved = maze.solve(inputs, side).labels
    same = (solved == labels).all(axis=1).reshape(20, 8)
    assert same[:, 0].all()
    assert same.all() == unique


@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")
def test_more_images_than_there_are_is_one_line(tmp_path: Path) -> None:
    origin = GeneratedMaze(side=6, longer_than=4, train=4, test=2)
    entry = replace(BENCHMARKS["maze_small"], origin=origin)
    graph = build_benchmark("mazes", entry, VARIANTS, variant_seed_partitions(VARIANTS))
    resources: dict[str, Any] = {
        "store": StoreResource(root=str(tmp_path)),
        "launcher": LocalProcess(),
    }
    with (
        dg.DagsterInstance.ephemeral() as instance,
        pytest.raises(dg.Failure, match="copies=8: expected 0..7, since a square has 8"),
    ):
        dg.materialize(
            graph,
            selection=[dg.AssetKey(["mazes", stage]) for stage in ("puzzles", "examples")],
            resources=resources,
            instance=instance,
            run_config={"ops": {"mazes__examples": {"config": {"augmentations": 8}}}},
        )
