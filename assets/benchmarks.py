"""The benchmarks: named data sets with their split, augmentation and training recipe. A new one is
one entry."""

import hashlib
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from assets.stages import STAGES
from trm_model.errors import require
from trm_model.model.size import Size
from trm_model.training.recipe import Recipe

KindName = Literal["sudoku", "maze", "arc", "sequence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedSudoku:
    """Puzzles made by :func:`trm_model.puzzles.sudoku.grids.generate`.

    :param digits: 4, 6 or 9.
    :param extra_clues: clues put back into the minimal puzzle, from .. to.
    :param min_difficulty: keep puzzles that take our solver at least so many guesses.
    """

    kind: ClassVar[KindName] = "sudoku"
    digits: int
    train: int
    test: int
    extra_clues: tuple[int, int] = (0, 0)
    min_difficulty: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.digits in (4, 6, 9), f"digits={self.digits}: expected 4, 6 or 9")
        require(
            self.train >= 1 and self.test >= 1,
            f"train={self.train}, test={self.test}: expected at least 1 each",
        )

    @property
    def side(self) -> int:
        """Rows and columns of the grids."""
        return self.digits


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedMaze:
    """Mazes made by :func:`trm_model.puzzles.maze.grids.generate`.

    :param side: rows and columns.
    :param longer_than: a shortest path has more steps than this.
    :param tie: the labelled path among several shortest: the first found, or one drawn uniformly.
    :param unique: keep only mazes with one shortest path.
    """

    kind: ClassVar[KindName] = "maze"
    side: int
    longer_than: int
    train: int
    test: int
    tie: Literal["first", "uniform"] = "first"
    unique: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        require(
            self.train >= 1 and self.test >= 1,
            f"train={self.train}, test={self.test}: expected at least 1 each",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedAddition:
    """Sums made by :func:`trm_model.puzzles.sequence.sums.generate`.

    :param digits: of each number.
    """

    kind: ClassVar[KindName] = "sequence"
    digits: int
    train: int
    test: int
    seed: int = 0

    def __post_init__(self) -> None:
        require(
            self.train >= 1 and self.test >= 1,
            f"train={self.train}, test={self.test}: expected at least 1 each",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PuzzleFile:
    """Sudoku or mazes from files in the format of sapientinc's data sets
    (``source,question,answer,rating``).

    The paths are given when the asset is materialized; without them the files are taken from a
    repository.

    :param side: rows and columns of the grids.
    :param repository: data set on the Hugging Face hub with ``train.csv`` and ``test.csv``; None:
        paths must be given.
    :param train_puzzles: draw so many training puzzles; None: all.
    """

    kind: KindName
    side: int
    repository: str | None = None
    train_puzzles: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.kind in ("sudoku", "maze"), f"kind={self.kind!r}: expected sudoku or maze")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcTasks:
    """ARC tasks by the names of their sets (:data:`trm_model.puzzles.arc.tasks.PACKAGED`).

    :param train: sets whose tasks are trained on whole.
    :param test: the set that is evaluated; its demonstration pairs are trained on too.
    :param files: whether training wants further tasks from files (ConceptARC), given when the asset
        is materialized.
    :param side: of the frame; tasks with larger grids are left out.
    :param tasks: take only the first so many of each set; None: all.
    """

    kind: ClassVar[KindName] = "arc"
    train: tuple[str, ...]
    test: str
    files: bool = False
    side: int = 30
    tasks: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcFiles:
    """ARC tasks from files, given when the asset is materialized: Kaggle's challenges beside their
    solutions, or JSON with whole tasks."""

    kind: ClassVar[KindName] = "arc"
    seed: int = 0


PuzzleSource = (
    GeneratedSudoku | GeneratedMaze | GeneratedAddition | PuzzleFile | ArcTasks | ArcFiles
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark.

    :param augmentations: versions of each training puzzle besides itself (of ARC: of every puzzle).
    :param online: compute them while training, in place of storing them; the same examples either
        way.
    :param evaluated: evaluate so many test puzzles (ARC: tasks) unless told otherwise; None: all.
    :param published_as: benchmark in :mod:`trm_model.authors.published` whose figures stand beside
        ours (marked where it is other data).
    :param retrain: (variant, seed) that the weekly schedule trains.
    """

    title: str
    source: PuzzleSource
    recipe: Recipe
    augmentations: int = 0
    online: bool = False
    evaluated: int | None = None
    published_as: str | None = None
    retrain: tuple[tuple[str, int], ...] = ()

    @property
    def data_hash(self) -> str:
        """Hash of what the data depend on in this entry: data with another one are out of date."""
        return hashlib.sha256(
            repr((self.source, self.augmentations, self.online)).encode()
        ).hexdigest()[:16]

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that the benchmark has, in order; only where answers are voted on has it
        ``votes``.
        """
        return tuple(stage for stage in STAGES if stage != "votes" or self.votes)

    @property
    def votes(self) -> bool:
        """Whether answers are voted on over the augmentations of a puzzle."""
        return self.source.kind == "arc"

    @property
    def metric(self) -> tuple[str, int | None]:
        """Metric and its k that reports compare: what the papers report."""
        return ("pass_at_k", 2) if self.votes else ("exact_accuracy", None)

    @property
    def generated(self) -> bool:
        """Whether the puzzles need neither files nor a network."""
        if isinstance(self.source, ArcTasks):
            return not self.source.files
        return isinstance(self.source, (GeneratedSudoku, GeneratedMaze, GeneratedAddition))


# Sized for two CPU cores: minutes for 4x4, a quarter of an hour for 6x6, hours for 9x9.
_SMALL = Recipe(
    size=Size(width=64, heads=4, prefix=4, puzzle_width=64),
    steps=1_000,
    batch_size=32,
    learning_rate=1e-3,
    weight_decay=0.1,
    puzzle_learning_rate=1e-3,
    puzzle_weight_decay=0.1,
    warmup_steps=100,
    ema_decay=0.99,
)
_LARGE = Recipe(
    size=Size(width=128, heads=4, prefix=7, puzzle_width=128),
    steps=10_000,
    batch_size=64,
    learning_rate=5e-4,
    weight_decay=0.5,
    puzzle_learning_rate=5e-4,
    puzzle_weight_decay=0.5,
    warmup_steps=500,
    ema_decay=0.998,
)
_MIDDLE = replace(_SMALL, steps=4_000, warmup_steps=200, ema_decay=0.995)
_ARC_DEMO = replace(
    _SMALL,
    size=Size(width=32, heads=2, prefix=1, puzzle_width=32),
    batch_size=8,
    steps=100,
    puzzle_learning_rate=1e-2,
)

# The papers' settings (docs/published.md). An epoch visits each group once, so that steps = epochs x
# groups x examples per puzzle / batch.
_PAPER = Recipe(steps=60_000 * 1_000 // 768, precision="bfloat16")
_PAPER_ARC = replace(
    _PAPER,
    steps=100_000 * 3_988 // 768,
    weight_decay=0.1,
    puzzle_weight_decay=0.1,
    puzzle_learning_rate=1e-2,
)

BENCHMARKS: dict[str, Benchmark] = {
    "sudoku_4x4": Benchmark(
        title="4 x 4 Sudoku, generated: minutes on a laptop",
        source=GeneratedSudoku(digits=4, train=1_000, test=500, extra_clues=(1, 5)),
        recipe=_SMALL,
        augmentations=100,
        published_as="sudoku_extreme",
        retrain=(("trm_mlp", 0), ("trm", 0)),
    ),
    "sudoku_6x6": Benchmark(
        title="6 x 6 Sudoku, generated, boxes of 2 x 3",
        source=GeneratedSudoku(digits=6, train=1_000, test=1_000),
        recipe=_MIDDLE,
        augmentations=200,
        published_as="sudoku_extreme",
    ),
    "sudoku_9x9": Benchmark(
        title="9 x 9 Sudoku, generated, minimal puzzles",
        source=GeneratedSudoku(digits=9, train=1_000, test=1_000),
        recipe=_LARGE,
        augmentations=1_000,
        published_as="sudoku_extreme",
    ),
    "sudoku_hard": Benchmark(
        title="9 x 9 Sudoku, generated, minimal and hard: kept by guesses of our solver",
        source=GeneratedSudoku(digits=9, train=1_000, test=1_000, min_difficulty=5, seed=1),
        recipe=_PAPER,
        augmentations=1_000,
        published_as="sudoku_extreme",
    ),
    "sudoku_extreme": Benchmark(
        title=(
            "Sudoku-Extreme, the papers' benchmark: 1,000 of sapientinc/sudoku-extreme's training "
            "puzzles, its whole test file"
        ),
        source=PuzzleFile(
            kind="sudoku", side=9, repository="sapientinc/sudoku-extreme", train_puzzles=1_000
        ),
        recipe=_PAPER,
        augmentations=1_000,
        # 423 k puzzles for 16 steps cost half a training.
        evaluated=10_000,
        published_as="sudoku_extreme",
    ),
    "sudoku_csv": Benchmark(
        title="Your own 9 x 9 Sudoku, from a file in the format of sapientinc/sudoku-extreme",
        source=PuzzleFile(kind="sudoku", side=9),
        recipe=_LARGE,
        augmentations=100,
        published_as="sudoku_extreme",
    ),
    "maze_small": Benchmark(
        title="10 x 10 mazes, generated, for CPUs",
        source=GeneratedMaze(side=10, longer_than=16, train=1_000, test=500),
        recipe=_MIDDLE,
        augmentations=7,
        published_as="maze_hard",
    ),
    "maze_hard": Benchmark(
        title="30 x 30 mazes, generated after Lehnert et al. (2024), shortest path longer than 110",
        source=GeneratedMaze(side=30, longer_than=110, train=1_000, test=1_000),
        recipe=_PAPER,
        augmentations=7,
        published_as="maze_hard",
    ),
    # At 30 x 30 with paths longer than 110 every maze has millions of shortest paths: one path
    # alone is a matter of small mazes.
    "maze_unique": Benchmark(
        title="14 x 14 mazes, generated, each with one shortest path",
        source=GeneratedMaze(side=14, longer_than=28, train=1_000, test=1_000, unique=True),
        recipe=_MIDDLE,
        augmentations=7,
        published_as="maze_hard",
    ),
    "maze_csv": Benchmark(
        title="Mazes from files in the format of sapientinc/maze-30x30-hard-1k, by default those",
        source=PuzzleFile(kind="maze", side=30, repository="sapientinc/maze-30x30-hard-1k"),
        recipe=_PAPER,
        augmentations=7,
        published_as=("maze_hard"),
    ),
    "addition": Benchmark(
        title=(
            "Sums of two numbers of two digits, the answer's least significant digit first: for "
            "autoregressive variants"
        ),
        source=GeneratedAddition(digits=2, train=2_000, test=500),
        recipe=replace(
            _SMALL,
            size=Size(width=64, heads=4, prefix=1, puzzle_width=64),
            steps=2_000,
            max_steps=4,
        ),
        augmentations=1,
    ),
    "arc_demo": Benchmark(
        title="A few small ARC tasks, for CPUs",
        source=ArcTasks(train=(), test="arc_agi_1/training", side=10, tasks=8),
        recipe=_ARC_DEMO,
        augmentations=20,
    ),
    "arc_agi_1": Benchmark(
        title="ARC-AGI-1: training and evaluation demonstrations and ConceptARC; tested on evaluation",
        source=ArcTasks(train=("arc_agi_1/training",), test="arc_agi_1/evaluation", files=True),
        recipe=_PAPER_ARC,
        augmentations=1_000,
        published_as=("arc_agi_1"),
    ),
    "arc_agi_2": Benchmark(
        title="ARC-AGI-2 (2025): training and evaluation demonstrations and ConceptARC; tested on evaluation (167 inputs)",
        source=ArcTasks(train=("arc_agi_2/training",), test="arc_agi_2/evaluation", files=True),
        recipe=replace(_PAPER_ARC, steps=100_000 * 5_574 // 768),
        augmentations=1_000,
        published_as="arc_agi_2",
    ),
    "arc_agi_2_april": Benchmark(
        title="ARC-AGI-2 as of April 2025, which the TRM authors evaluated on (172 inputs)",
        source=ArcTasks(
            train=("arc_agi_2/training",), test="arc_agi_2_april/evaluation", files=True
        ),
        recipe=replace(_PAPER_ARC, steps=100_000 * 5_574 // 768),
        augmentations=1_000,
        published_as="arc_agi_2",
    ),
    "arc_files": Benchmark(
        title="Your own ARC tasks, from Kaggle's or other JSON files",
        source=ArcFiles(),
        recipe=_PAPER_ARC,
        augmentations=1_000,
    ),
}
