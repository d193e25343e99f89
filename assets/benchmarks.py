"""The benchmarks: named data sets with their split, augmentation and training recipe. A new one is one entry."""

from dataclasses import dataclass, replace

from trm_model.recipe import Recipe, Size
from trm_model.variant import require


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedSudoku:
    """Puzzles made by :func:`trm_model.puzzles.sudoku.generate`.

    :param digits: 4, 6 or 9.
    :param extra_clues: clues put back into the minimal puzzle, from .. to.
    """

    digits: int
    train: int
    test: int
    extra_clues: tuple[int, int] = (0, 0)
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.digits in (4, 6, 9), f"digits={self.digits}: expected 4, 6 or 9")
        require(self.train >= 1 and self.test >= 1, f"train={self.train}, test={self.test}: expected at least 1 each")


@dataclass(frozen=True, slots=True, kw_only=True)
class SudokuFile:
    """Puzzles from a file in the format of sapientinc/sudoku-extreme, named when the asset is materialized."""

    digits: int = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark.

    :param augmentations: shuffled versions stored beside each training puzzle.
    :param published_as: benchmark in :mod:`trm_model.papers` whose figures stand beside ours (marked as other data).
    :param retrain: (variant, seed) that the weekly schedule trains.
    """

    title: str
    source: GeneratedSudoku | SudokuFile
    recipe: Recipe
    augmentations: int = 0
    published_as: str | None = "sudoku_extreme"
    retrain: tuple[tuple[str, int], ...] = ()

    @property
    def digits(self) -> int:
        """Digits of the grid."""
        return self.source.digits


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

BENCHMARKS: dict[str, Benchmark] = {
    "sudoku_4x4": Benchmark(
        title="4 x 4 Sudoku, generated: minutes on a laptop",
        source=GeneratedSudoku(digits=4, train=1_000, test=500, extra_clues=(1, 5)),
        recipe=_SMALL,
        augmentations=100,
        retrain=(("trm_mlp", 0), ("trm", 0)),
    ),
    "sudoku_6x6": Benchmark(
        title="6 x 6 Sudoku, generated, boxes of 2 x 3",
        source=GeneratedSudoku(digits=6, train=1_000, test=1_000),
        recipe=_MIDDLE,
        augmentations=200,
    ),
    "sudoku_9x9": Benchmark(
        title="9 x 9 Sudoku, generated, minimal puzzles",
        source=GeneratedSudoku(digits=9, train=1_000, test=1_000),
        recipe=_LARGE,
        augmentations=1_000,
    ),
    "sudoku_csv": Benchmark(
        title="Your own 9 x 9 Sudoku, from a file in the format of sapientinc/sudoku-extreme",
        source=SudokuFile(),
        recipe=_LARGE,
        augmentations=100,
    ),
}
