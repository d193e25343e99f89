"""The benchmarks: named data sets with their split, augmentation and training recipe. A new one is
one entry."""

import hashlib
from dataclasses import dataclass, replace

from assets.families.arc import ArcFiles, ArcTasks
from assets.families.maze import GeneratedMaze, MazeFile
from assets.families.origin import Origin
from assets.families.sequence import GeneratedAddition, GeneratedLengths
from assets.families.sudoku import GeneratedSudoku, SudokuFile
from assets.stages import STAGES
from trm_model.model.size import Size
from trm_model.training.recipe import Recipe

# The papers' (docs/published.md, settings): an epoch visits each group once; steps = epochs x
# groups x examples per puzzle / batch.
_PAPER = Recipe(steps=60_000 * 1_000 // 768, precision="bfloat16")
# The authors' commands for Sudoku-Extreme and Maze-Hard have 50,000 epochs (docs/published.md).
_COMMANDS = replace(_PAPER, steps=50_000 * 1_000 // 768)
_PAPER_ARC = replace(
    _PAPER,
    steps=100_000 * 3_988 // 768,
    weight_decay=0.1,
    puzzle_weight_decay=0.1,
    puzzle_learning_rate=1e-2,
)
_PAPER_ARC_2 = replace(_PAPER_ARC, steps=100_000 * 5_574 // 768)


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark.

    :param origin: where its puzzles come from.
    :param augmentations: versions of each training puzzle besides itself (of ARC: of every puzzle);
        one materialization of the examples may be told another number.
    :param online: compute them while training, in place of storing them; the same examples either
        way.
    :param evaluated: evaluate so many test puzzles (ARC: tasks) unless told otherwise; None: all.
    :param validation: find up to so many further puzzles to validate trainings with, where the
        origin has others: generated ones, or rows of a file that the draw left over (of ARC: the
        test pairs of the tasks that the setting ``validation_tasks`` holds out, whatever their
        number); no part of the data.
    :param published_as: benchmark in :mod:`trm_model.authors.published` whose figures stand beside
        ours (marked where it is other data).
    :param paper_variant: the variant that reproduces the paper's figure on these puzzles; None:
        there is no such figure.
    :param paper_name: the name under which that figure is published, where it is another.
    :param paper_recipe: the paper's for such puzzles, with which reports compare ``recipe``.
    :param retrain: (variant, seed) that the weekly schedule trains.
    """

    title: str
    origin: Origin
    recipe: Recipe
    augmentations: int = 0
    online: bool = False
    evaluated: int | None = None
    validation: int = 100
    published_as: str | None = None
    paper_variant: str | None = None
    paper_name: str | None = None
    paper_recipe: Recipe = _PAPER
    retrain: tuple[tuple[str, int], ...] = ()

    @property
    def data_hash(self) -> str:
        """Hash of what the data depend on in this entry: data with another one are out of date."""
        return hashlib.sha256(
            repr((self.origin, self.augmentations, self.online)).encode()
        ).hexdigest()[:16]

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that the benchmark has, in order; ``votes`` only where answers are voted
        on.
        """
        return tuple(stage for stage in STAGES if stage != "votes" or self.votes)

    @property
    def votes(self) -> bool:
        """Whether answers are voted on over the augmentations of a puzzle."""
        return self.origin.family.votes

    @property
    def metric(self) -> tuple[str, int | None]:
        """Metric and its k that reports compare: what the papers report."""
        return ("pass_at_k", 2) if self.votes else ("exact_accuracy", None)


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

BENCHMARKS: dict[str, Benchmark] = {
    "sudoku_4x4": Benchmark(
        title="4 x 4 Sudoku, generated: minutes on a laptop",
        origin=GeneratedSudoku(digits=4, train=1_000, test=500, extra_clues=(1, 5)),
        recipe=_SMALL,
        augmentations=100,
        published_as="sudoku_extreme",
        retrain=(("trm_mlp", 0), ("trm_grid", 0)),
    ),
    "sudoku_6x6": Benchmark(
        title="6 x 6 Sudoku, generated, boxes of 2 x 3",
        origin=GeneratedSudoku(digits=6, train=1_000, test=1_000),
        recipe=_MIDDLE,
        augmentations=200,
        published_as="sudoku_extreme",
    ),
    "sudoku_9x9": Benchmark(
        title="9 x 9 Sudoku, generated, minimal puzzles",
        origin=GeneratedSudoku(digits=9, train=1_000, test=1_000),
        recipe=_LARGE,
        augmentations=1_000,
        published_as="sudoku_extreme",
    ),
    "sudoku_hard": Benchmark(
        title="9 x 9 Sudoku, generated, minimal and hard: kept by guesses of our solver",
        origin=GeneratedSudoku(digits=9, train=1_000, test=1_000, min_difficulty=5, seed=1),
        recipe=_COMMANDS,
        augmentations=1_000,
        published_as="sudoku_extreme",
    ),
    "sudoku_extreme": Benchmark(
        title=(
            "Sudoku-Extreme, the papers' benchmark: 1,000 of sapientinc/sudoku-extreme's training "
            "puzzles, its whole test file"
        ),
        origin=SudokuFile(
            side=9,
            repository="sapientinc/sudoku-extreme",
            revision="58942f96baeb572ca3127e2a9e9c70f330783d6b",
            train_puzzles=1_000,
        ),
        recipe=_COMMANDS,
        augmentations=1_000,
        # 423 k puzzles for 16 steps cost half a training.
        evaluated=10_000,
        published_as="sudoku_extreme",
        paper_variant="trm_mlp",
    ),
    "sudoku_csv": Benchmark(
        title="Your own 9 x 9 Sudoku, from a file in the format of sapientinc/sudoku-extreme",
        origin=SudokuFile(side=9),
        recipe=_LARGE,
        augmentations=100,
        published_as="sudoku_extreme",
    ),
    # A maze with several shortest paths has one of them as its label, by a rule that knows
    # directions: the label of a turned maze is another than the turned label (docs/published.md).
    # Hence large mazes are not augmented unless asked for. With few training mazes of few cells,
    # augmentation is what makes a model find its way (docs/measurements.md).
    "maze_small": Benchmark(
        title="6 x 6 mazes, generated, for CPUs",
        origin=GeneratedMaze(side=6, longer_than=8, train=1_000, test=500),
        recipe=_MIDDLE,
        augmentations=7,
        published_as="maze_hard",
    ),
    "maze_hard": Benchmark(
        title="30 x 30 mazes, generated after Lehnert et al. (2024), shortest path longer than 110",
        origin=GeneratedMaze(side=30, longer_than=110, train=1_000, test=1_000),
        recipe=_COMMANDS,
        published_as="maze_hard",
        paper_variant="trm_attention_n4_t3",
        paper_name="trm",
    ),
    # At 30 x 30 with paths longer than 110 every maze has millions of shortest paths: one path
    # alone is a matter of small mazes. Where there is one, its images are right too.
    "maze_unique": Benchmark(
        title="14 x 14 mazes, generated, each with one shortest path",
        origin=GeneratedMaze(side=14, longer_than=28, train=1_000, test=1_000, unique=True),
        recipe=_MIDDLE,
        augmentations=7,
        published_as="maze_hard",
    ),
    "maze_csv": Benchmark(
        title="Mazes from files in the format of sapientinc/maze-30x30-hard-1k, by default those",
        origin=MazeFile(
            side=30,
            repository="sapientinc/maze-30x30-hard-1k",
            revision="549754de3d67eebe57b6b22c7d226b9412d55b07",
        ),
        recipe=_COMMANDS,
        published_as="maze_hard",
        paper_variant="trm_attention_n4_t3",
        paper_name="trm",
    ),
    "addition": Benchmark(
        title=(
            "Sums of two numbers of two digits, the answer's least significant digit first: for "
            "autoregressive variants"
        ),
        origin=GeneratedAddition(digits=2, train=2_000, test=500),
        recipe=replace(
            _SMALL,
            size=Size(width=64, heads=4, prefix=1, puzzle_width=64),
            steps=2_000,
            max_steps=4,
        ),
        augmentations=1,
    ),
    "addition_lengths": Benchmark(
        title=(
            "Sums of numbers of one to three digits, tested up to five; the answers end where the "
            "model says so"
        ),
        origin=GeneratedLengths(digits=5, trained_digits=3, train=4_000, test=500),
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
        origin=ArcTasks(train=(), test="arc_agi_1/training", side=10, tasks=8),
        recipe=_ARC_DEMO,
        augmentations=20,
        paper_recipe=_PAPER_ARC,
    ),
    "arc_agi_1": Benchmark(
        title=(
            "ARC-AGI-1: training and evaluation demonstrations and ConceptARC; tested on evaluation"
        ),
        origin=ArcTasks(train=("arc_agi_1/training",), test="arc_agi_1/evaluation", files=True),
        recipe=_PAPER_ARC,
        augmentations=1_000,
        published_as="arc_agi_1",
        paper_variant="trm_attention_n4_t3",
        paper_name="trm",
        paper_recipe=_PAPER_ARC,
    ),
    "arc_agi_2": Benchmark(
        title=(
            "ARC-AGI-2 (2025): training and evaluation demonstrations and ConceptARC; tested on "
            "evaluation (167 inputs)"
        ),
        origin=ArcTasks(train=("arc_agi_2/training",), test="arc_agi_2/evaluation", files=True),
        recipe=_PAPER_ARC_2,
        augmentations=1_000,
        published_as="arc_agi_2",
        paper_variant="trm_attention_n4_t3",
        paper_name="trm",
        paper_recipe=_PAPER_ARC_2,
    ),
    "arc_agi_2_april": Benchmark(
        title="ARC-AGI-2 as of April 2025, which the TRM authors evaluated on (172 inputs)",
        origin=ArcTasks(
            train=("arc_agi_2/training",), test="arc_agi_2_april/evaluation", files=True
        ),
        recipe=_PAPER_ARC_2,
        augmentations=1_000,
        published_as="arc_agi_2",
        paper_variant="trm_attention_n4_t3",
        paper_name="trm",
        paper_recipe=_PAPER_ARC_2,
    ),
    "arc_files": Benchmark(
        title="Your own ARC tasks, from Kaggle's or other JSON files",
        origin=ArcFiles(),
        recipe=_PAPER_ARC,
        augmentations=1_000,
        paper_recipe=_PAPER_ARC,
    ),
}
