"""Sudoku: solving, generating, symmetries."""

import csv
import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trm_model.puzzles.plain_sudoku import plain_solve_all
from trm_model.errors import ConfigurationError
from trm_model.puzzles import sudoku
from trm_model.puzzles.sudoku.tokens import SHAPES, Shape

EASY = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
EASY_ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def test_solves_a_known_puzzle() -> None:
    solved = sudoku.solve(sudoku.from_text(EASY, SHAPES[9])[None], SHAPES[9])
    assert solved.counts.tolist() == [1]
    assert sudoku.to_text(solved.answers[0]) == EASY_ANSWER


def test_counts_all_grids_of_four() -> None:
    """There are 288 solved 4 x 4 grids (OEIS A107739)."""
    empty = np.zeros((1, 16), np.uint8)
    assert sudoku.solve(empty, SHAPES[4], limit=1000).counts.tolist() == [288]
    assert sudoku.solve(empty, SHAPES[4], limit=7).counts.tolist() == [7]


def test_contradictory_clues_have_no_solution() -> None:
    puzzle = np.zeros((1, 81), np.uint8)
    puzzle[0, :2] = 5
    assert sudoku.solve(puzzle, SHAPES[9]).counts.tolist() == [0]


def plain(puzzles: sudoku.Grids, shape: Shape, limit: int) -> tuple[sudoku.Grids, sudoku.Ints]:
    """Answers and counts of the plain search."""
    answers, counts, guesses = (
        np.zeros_like(puzzles),
        np.zeros(len(puzzles), np.int64),
        np.zeros(len(puzzles), np.int64),
    )
    plain_solve_all(puzzles, shape.box_rows, shape.box_columns, limit, answers, counts, guesses)
    return answers, counts


@pytest.mark.parametrize(
    "shape",
    [*SHAPES.values(), Shape(2, 4)],
    ids=lambda shape: f"{shape.box_rows}x{shape.box_columns}",
)
def test_counts_and_answers_equal_those_of_a_plain_search(shape: Shape) -> None:
    """Minimal puzzles, and the same with clues taken away (many solutions) or changed (mostly
    none)."""
    made = sudoku.generate(30 if shape.n == 4 else 300, shape, seed=7, extra_clues=(0, 0))
    generator = np.random.Generator(np.random.Philox(shape.n))
    drop, change = (generator.random(made.puzzles.shape) for _ in range(2))
    digits = generator.integers(1, shape.n + 1, made.puzzles.shape, dtype=np.uint8)
    fewer = np.where(drop < 0.08, np.uint8(0), made.puzzles)
    changed = np.where((change < 0.06) & (made.puzzles > 0), digits, made.puzzles)
    spoilt = np.where(change < 0.02, digits, made.answers)
    puzzles = np.concatenate((made.puzzles, fewer, changed, spoilt))
    for limit in (1, 2, 50):
        solved, (answers, counts) = (
            sudoku.solve(puzzles, shape, limit),
            plain(puzzles, shape, limit),
        )
        assert (solved.counts == counts).all()
        assert sudoku.is_solution(solved.answers[counts > 0], shape).all()
        assert sudoku.keeps_clues(puzzles, solved.answers)[counts > 0].all()
        assert (solved.answers[counts == 0] == 0).all()
        if limit == 2:
            assert (solved.answers[counts == 1] == answers[counts == 1]).all()
            assert set(counts.tolist()) == {0, 1, 2}
        assert (solved.guesses == sudoku.solve(puzzles, shape, limit).guesses).all()


def test_clues_that_repeat_a_digit_have_no_solution_and_unknown_digits_are_refused() -> None:
    for shape in SHAPES.values():
        answer = sudoku.generate(1, shape, seed=0).answers[0]
        spoilt = np.repeat(answer[None], shape.cells, axis=0)
        cells = np.arange(shape.cells)
        spoilt[cells, cells] = (
            spoilt[cells, cells] % shape.n + 1
        )  # A full grid with one wrong digit.
        lone = np.zeros((3, shape.cells), np.uint8)
        for row, other in enumerate(
            (shape.n - 1, shape.cells - shape.n, shape.n + 1)
        ):  # One row, column, box.
            lone[row, [0, other]] = 2
        assert not sudoku.solve(np.concatenate((spoilt, lone)), shape).counts.any()
        lone[1, 5] = shape.n + 1
        with pytest.raises(ValueError, match=f"puzzle 1 has the digit {shape.n + 1}"):
            sudoku.solve(lone, shape)


def test_finds_every_minimal_class_of_four_and_then_says_so() -> None:
    """4 x 4 has 36 classes of minimal puzzles: 13 with 4 clues, 22 with 5, 1 with 6."""
    made = sudoku.generate(36, SHAPES[4], seed=0)
    assert np.bincount((made.puzzles > 0).sum(axis=1)).tolist() == [0, 0, 0, 0, 13, 22, 1]
    with pytest.raises(ConfigurationError, match="only 36 different 4 x 4 puzzles"):
        sudoku.generate(37, SHAPES[4], seed=0)


@pytest.mark.parametrize("n", [4, 6, 9])
def test_generated_puzzles_are_minimal_with_one_solution(n: int) -> None:
    shape = SHAPES[n]
    made = sudoku.generate(20, shape, seed=3)
    solved = sudoku.solve(made.puzzles, shape)
    assert (solved.counts == 1).all()
    assert (solved.answers == made.answers).all()
    assert sudoku.is_solution(made.answers, shape).all()
    assert sudoku.keeps_clues(made.puzzles, made.answers).all()
    for puzzle in made.puzzles:
        fewer = np.repeat(puzzle[None], int((puzzle > 0).sum()), axis=0)
        fewer[np.arange(len(fewer)), np.flatnonzero(puzzle)] = 0
        assert (sudoku.solve(fewer, shape).counts == 2).all()


def test_same_seed_same_puzzles_another_seed_others() -> None:
    first, again, other = (sudoku.generate(30, SHAPES[6], seed).puzzles for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def symmetries(shape: Shape) -> list[tuple[list[int], list[int], bool]]:
    """Every spatial symmetry as row order, column order, transposed; written independently of the
    compiled code."""

    def orders(band: int) -> list[list[int]]:
        bands = [list(range(start, start + band)) for start in range(0, shape.n, band)]
        return [
            [line for part in parts for line in part]
            for arrangement in itertools.permutations(bands)
            for parts in itertools.product(*(itertools.permutations(part) for part in arrangement))
        ]

    return [
        (rows, columns, transposed)
        for rows in orders(shape.box_rows)
        for columns in orders(shape.box_columns)
        for transposed in ((False, True) if shape.box_rows == shape.box_columns else (False,))
    ]


def test_canonical_form_of_four_equals_brute_force() -> None:
    """Two puzzles have equal forms exactly if some of the 128 spatial symmetries and a renaming of
    digits maps one to the other."""
    shape = SHAPES[4]
    made = sudoku.generate(60, shape, seed=5, extra_clues=(0, 2))
    group = symmetries(shape)
    assert len(group) == 128

    def brute(puzzle: sudoku.Grids, answer: sudoku.Grids) -> bytes:
        best = None
        for rows, columns, transposed in group:
            p, a = (
                grid.reshape(4, 4).T if transposed else grid.reshape(4, 4)
                for grid in (puzzle, answer)
            )
            p, a = p[rows][:, columns], a[rows][:, columns]
            names = np.zeros(5, np.uint8)
            names[a[0]] = np.arange(1, 5)
            text = names[a].tobytes() + (p > 0).tobytes()
            best = text if best is None or text < best else best
        assert best is not None
        return best

    shuffled = sudoku.shuffle(made.puzzles, made.answers, np.arange(60, dtype=np.uint64), shape)
    everything = (
        np.concatenate((made.puzzles, shuffled[0])),
        np.concatenate((made.answers, shuffled[1])),
    )
    forms = [form.tobytes() for form in sudoku.canonical(*everything, shape)]
    brutes = [brute(p, a) for p, a in zip(*everything, strict=True)]
    assert len(set(forms)) == len(set(brutes)) == 60
    assert [forms.index(form) for form in forms] == [brutes.index(form) for form in brutes]


@settings(max_examples=25, deadline=None)
@given(n=st.sampled_from([4, 6, 9]), seed=st.integers(0, 2**63 - 1))
def test_shuffles_stay_in_their_class(n: int, seed: int) -> None:
    shape = SHAPES[n]
    made = sudoku.generate(3, shape, seed=11, extra_clues=(0, 2))
    seeds = np.array([seed, seed ^ 1, seed ^ 2], dtype=np.uint64)
    puzzles, answers = sudoku.shuffle(made.puzzles, made.answers, seeds, shape)
    assert sudoku.is_solution(answers, shape).all()
    assert sudoku.keeps_clues(puzzles, answers).all()
    assert (sudoku.canonical(puzzles, answers, shape) == made.forms).all()


def test_shuffle_reaches_the_whole_group_evenly() -> None:
    """Images of one asymmetric 4 x 4 puzzle: 24 x 128 of them, each about equally often
    (chi-square)."""
    shape = SHAPES[4]
    made = sudoku.generate(40, shape, seed=5, extra_clues=(2, 3))
    count = 3072 * 20
    for puzzle, answer in zip(made.puzzles, made.answers, strict=True):
        images, _ = sudoku.shuffle(
            np.repeat(puzzle[None], count, 0),
            np.repeat(answer[None], count, 0),
            np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15),
            shape,
        )
        _, times = np.unique(images, axis=0, return_counts=True)
        if len(times) == 3072:
            chi_square = float(((times - 20) ** 2 / 20).sum())
            assert abs(chi_square - 3071) < 6 * (2 * 3071) ** 0.5
            return
    pytest.fail("no puzzle without own symmetries among 40")


def test_real_puzzles_have_one_solution_each_and_are_all_different(real_sudoku: Path) -> None:
    with gzip.open(real_sudoku / "hard_test.csv.gz", "rt") as file:
        rows = list(itertools.islice(csv.DictReader(file), 1500))
    puzzles, answers = (
        np.array([sudoku.from_text(row[name], SHAPES[9]) for row in rows])
        for name in ("question", "answer")
    )
    solved = sudoku.solve(puzzles, SHAPES[9])
    assert (solved.counts == 1).all()
    assert (solved.answers == answers).all()
    assert len(np.unique(sudoku.canonical(puzzles, answers, SHAPES[9]), axis=0)) == len(rows)


def test_real_puzzles_and_their_neighbours_are_counted_as_by_a_plain_search(
    real_sudoku: Path,
) -> None:
    """Each kind of puzzle, whole and without one of its clues."""
    with gzip.open(real_sudoku / "hard_test.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    puzzles = np.stack([sudoku.from_text(row["question"], SHAPES[9]) for row in rows[::8]])
    rng = np.random.Generator(np.random.Philox(3))
    fewer = puzzles[rng.permutation(len(puzzles))[:300]]
    for puzzle in fewer:
        puzzle[rng.choice(np.flatnonzero(puzzle))] = 0
    solved, (answers, counts) = sudoku.solve(puzzles, SHAPES[9]), plain(puzzles, SHAPES[9], 2)
    assert (counts == 1).all()
    assert (solved.counts == counts).all()
    assert (solved.answers == answers).all()
    assert (sudoku.solve(fewer, SHAPES[9], 20).counts == plain(fewer, SHAPES[9], 20)[1]).all()


def test_difficulty_is_the_least_of_its_orientations_and_agrees_between_disjoint_ones(
    real_sudoku: Path,
) -> None:
    with gzip.open(real_sudoku / "hard_test.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["source"].startswith("puzzles5")][:600]
    puzzles = np.stack([sudoku.from_text(row["question"], SHAPES[9]) for row in rows])
    one, four, more = (sudoku.difficulty(puzzles, SHAPES[9], orientations=k) for k in (1, 4, 12))
    assert (one == sudoku.solve(puzzles, SHAPES[9]).guesses).all()
    assert (more <= four).all()
    assert (four <= one).all()
    assert (sudoku.difficulty(puzzles[5:7], SHAPES[9]) == four[5:7]).all()
    turned = [
        sudoku.shuffle(puzzles, puzzles, np.arange(600, dtype=np.uint64) + np.uint64(k), SHAPES[9])[
            0
        ]
        for k in (1, 10_000)
    ]
    correlations: list[float] = []
    for orientations in (1, 12):
        x, y = (
            sudoku.difficulty(part, SHAPES[9], seed, orientations)
            for seed, part in enumerate(turned)
        )
        correlations.append(float(((x - x.mean()) * (y - y.mean())).mean() / (x.std() * y.std())))
    assert correlations[1] > correlations[0] + 0.1


def test_generates_by_difficulty() -> None:
    shape = SHAPES[9]
    made = sudoku.generate(40, shape, seed=2, min_difficulty=3)
    assert (made.difficulty == sudoku.difficulty(made.puzzles, shape)).all()
    assert made.difficulty.min() >= 3
    assert len(np.unique(made.forms, axis=0)) == 40
    assert (sudoku.solve(made.puzzles, shape).counts == 1).all()
    everything = sudoku.generate(2_000, shape, seed=2)
    hard = everything.puzzles[everything.difficulty >= 3]
    assert (hard[:40] == made.puzzles[: len(hard)]).all()
    with pytest.raises(ConfigurationError, match="min_difficulty=100000: 0 of .* ask for less"):
        sudoku.generate(1, SHAPES[4], seed=0, min_difficulty=100_000)


def test_canonical_forms_tell_nearly_equal_puzzles_apart() -> None:
    """One answer, another place of one clue: another class, unless the answer itself has a
    symmetry."""
    shape = SHAPES[9]
    made = sudoku.generate(1, shape, seed=4)
    clue, blanks = np.flatnonzero(made.puzzles[0])[0], np.flatnonzero(made.puzzles[0] == 0)
    moved = np.repeat(made.puzzles, len(blanks), axis=0)
    moved[:, clue] = 0
    moved[np.arange(len(blanks)), blanks] = made.answers[0, blanks]
    answers = np.repeat(made.answers, len(blanks), axis=0)
    forms = sudoku.canonical(moved, answers, shape)
    assert len(np.unique(forms, axis=0)) == len(blanks)
    again = sudoku.canonical(
        *sudoku.shuffle(moved, answers, np.arange(len(blanks), dtype=np.uint64), shape), shape
    )
    assert (again == forms).all()


def test_text_round_trip_and_errors() -> None:
    grid = sudoku.from_text(EASY, SHAPES[9])
    assert sudoku.to_text(grid) == EASY
    assert (sudoku.from_tokens(sudoku.to_tokens(grid)) == grid).all()
    with pytest.raises(ValueError, match="80 characters: expected 81"):
        sudoku.from_text(EASY[:-1], SHAPES[9])
    with pytest.raises(ValueError, match="'x' at cell 3"):
        sudoku.from_text("12x." * 4, SHAPES[4])
    with pytest.raises(ConfigurationError, match="at most 9 cells"):
        Shape(4, 4)


def test_drawing_rules_off_boxes() -> None:
    grid = np.array([1, 2, 3, 4, 5, 6] * 6, np.uint8)
    lines = sudoku.to_drawing(grid, SHAPES[6]).split("\n")
    assert lines[0] == " 1 2 3 | 4 5 6 "
    assert lines[2] == "-------+-------"
    assert len(lines) == 8


def test_an_answer_that_is_no_solved_grid_is_its_own_form() -> None:
    """The search for the smallest image would write past its arrays."""
    made = sudoku.generate(3, SHAPES[4], seed=2)
    answers = made.answers.copy()
    answers[1] = np.tile([1, 2, 3, 4], 4)
    answers[2, 0] = 200
    forms = sudoku.canonical(made.puzzles, answers, SHAPES[4])
    np.testing.assert_array_equal(forms[0], made.forms[0])
    np.testing.assert_array_equal(
        forms[1:], np.concatenate((answers, made.puzzles > 0), axis=1)[1:]
    )
