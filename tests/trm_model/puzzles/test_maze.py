"""Mazes: distances, shortest paths, the distribution of the generator, checks, text."""

import itertools
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trm_model.errors import ConfigurationError
from trm_model.puzzles import maze
from trm_model.puzzles.maze.family import Maze
from trm_model.puzzles.maze.layouts import draw_layout, good_pairs, may_exceed
from trm_model.puzzles.maze.sampling import sample_layouts
from trm_model.puzzles.maze.tokens import GOAL, PATH, SPACE, START, WALL
from trm_model.puzzles.symmetry import dihedral

Cell = tuple[int, int]


def distances(grid: np.ndarray, start: Cell) -> dict[Cell, int]:
    """Breadth-first search written plainly; ``grid`` [side, side], walls are WALL."""
    found, queue = {start: 0}, deque([start])
    while queue:
        row, column = queue.popleft()
        for other in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            inside = 0 <= other[0] < len(grid) and 0 <= other[1] < len(grid)
            if inside and grid[other] != WALL and other not in found:
                found[other] = found[row, column] + 1
                queue.append(other)
    return found


def shortest_paths(grid: np.ndarray, start: Cell, goal: Cell) -> list[frozenset[Cell]]:
    """The inner cells of every shortest path, by walking back from the goal."""
    found = distances(grid, start)

    def back(cell: Cell) -> list[list[Cell]]:
        if cell == start:
            return [[]]
        row, column = cell
        before = [
            c
            for c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
            if found.get(c) == found[cell] - 1
        ]
        return [[*path, cell] for c in before for path in back(c)]

    return [frozenset(path[:-1]) for path in back(goal)] if goal in found else []


def draw(generator: np.random.Generator, side: int, low: float, high: float) -> np.ndarray:
    """One maze as the distribution says, before rejection: [side, side]."""
    cells = side * side
    grid = np.full(cells, SPACE, np.uint8)
    order = generator.permutation(cells)
    walls = int(generator.integers(round(low * cells), round(high * cells), endpoint=True))
    grid[order[:walls]] = WALL
    grid[order[walls]], grid[order[walls + 1]] = START, GOAL
    return grid.reshape(side, side)


def place(grid: np.ndarray, token: int) -> Cell:
    return tuple(int(i) for i in np.argwhere(grid == token)[0])  # type: ignore[return-value]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    side=st.sampled_from([2, 3, 5, 8, 31, 32, 33]),
    share=st.floats(0.0, 0.45),
)
def test_lengths_counts_and_labels_agree_with_a_plain_search(
    seed: int, side: int, share: float
) -> None:
    grid = draw(np.random.Generator(np.random.Philox(seed)), side, share, share)
    flat, start, goal = grid.reshape(1, -1), place(grid, START), place(grid, GOAL)
    length = distances(grid, start).get(goal, -1)
    assert maze.shortest_length(flat, side).tolist() == [length]
    for tie in ("first", "uniform"):
        solved = maze.solve(flat, side, tie, seed)
        checked = maze.check_examples(flat, solved.labels, side)
        assert checked.well_formed.all()
        assert checked.keeps_input.all()
        assert checked.shortest.all() == (length > 0)
        if side <= 5:
            paths = shortest_paths(grid, start, goal)
            assert solved.shortest_paths.tolist() == [len(paths)]
            marked = frozenset(
                (int(r), int(c))
                for r, c in np.argwhere(solved.labels[0].reshape(side, side) == PATH)
            )
            assert marked in paths or not paths


def test_number_of_shortest_paths_of_an_open_grid_is_a_binomial() -> None:
    grid = np.full((1, 900), SPACE, np.uint8)
    grid[0, 0], grid[0, 899] = START, GOAL
    assert maze.num_shortest_paths(grid, 30)[0] == pytest.approx(
        30067266499541040, rel=1e-14
    )  # 58 over 29


def test_uniform_tie_draws_each_shortest_path_alike_and_first_takes_the_stated_one() -> None:
    grid = maze.from_text("S    " + " # # " + "     " + " # # " + "    G", 5)
    paths = shortest_paths(grid.reshape(5, 5), (0, 0), (4, 4))
    many = np.repeat(grid[None], 6000, axis=0)
    solved = maze.solve(many, 5, "uniform", seed=3)
    kinds, counts = np.unique(solved.labels, axis=0, return_counts=True)
    assert len(kinds) == len(paths) == solved.shortest_paths[0]
    expected = 6000 / len(paths)
    assert (
        (counts - expected) ** 2 / expected
    ).sum() < 20.5  # chi-square, 5 degrees of freedom, 99.9 %
    # Down before right: the cell below the start is met first, and with it everything that it
    # reaches in time.
    assert (
        maze.to_text(maze.solve(grid[None], 5).labels[0])
        == "S    " + "o# # " + "o    " + "o# # " + "ooooG"
    )


def test_bounds_never_change_the_number_of_good_pairs() -> None:
    """The search with all its bounds against all-pairs distances, and the filter before it: never
    wrong, whatever is asked."""
    generator = np.random.Generator(np.random.Philox(5))
    seen = 0
    for trial in range(300):
        side = int(generator.integers(4, 13))
        grid = draw(generator, side, 0.25, 0.55)
        longer_than = int(generator.integers(1, 3 * side))
        free = np.zeros(side + 2, np.uint64)
        free[1:-1] = ((grid != WALL).astype(np.uint64) << np.arange(side, dtype=np.uint64)).sum(
            axis=1, dtype=np.uint64
        )
        cells = [(int(r), int(c)) for r, c in np.argwhere(grid != WALL)]
        goals = {
            r * side + c: sum(d > longer_than for d in distances(grid, (r, c)).values())
            for r, c in cells
        }
        total = sum(goals.values())
        sets, starts, counts = (
            np.zeros((6, side + 2), np.uint64),
            np.zeros(side * side, np.int64),
            np.zeros(side * side, np.int64),
        )
        assert may_exceed(free, longer_than, sets) or total == 0
        for enough in (1, total, total + 1, max(1, total // 2)):
            pairs, found = good_pairs(free, longer_than, max(1, enough), sets, starts, counts)
            assert pairs == (total if total >= max(1, enough) else 0), trial
            if pairs:
                assert dict(zip(starts[:found].tolist(), counts[:found].tolist(), strict=True)) == {
                    s: n for s, n in goals.items() if n
                }
        seen += total > 0
    assert seen > 60


def test_layouts_have_their_number_of_walls_uniformly_placed() -> None:
    for side, walls in ((6, 14), (33, 400), (5, 24), (5, 0)):
        free, state, draws = np.zeros(side + 2, np.uint64), np.array([7], np.uint64), 3000
        total = np.zeros((side, side))
        for _ in range(draws):
            draw_layout(free, side, walls, state)
            grid = free[1:-1, None] >> np.arange(side, dtype=np.uint64) & np.uint64(1)
            assert grid.sum() == side * side - walls
            assert free[0] == free[-1] == 0
            total += grid == 0
        share = walls / (side * side)
        assert (np.abs(total / draws - share) <= 5 * np.sqrt(share * (1 - share) / draws)).all()


def by_rejection(
    count: int, side: int, longer_than: int, walls: tuple[float, float], seed: int
) -> np.ndarray:
    """Draw until kept: mazes [count, side * side]."""
    generator = np.random.Generator(np.random.Philox(seed))
    kept: list[np.ndarray] = []
    while len(kept) < count:
        draws = np.stack([draw(generator, side, *walls).ravel() for _ in range(4000)])
        kept.extend(draws[maze.shortest_length(draws, side) > longer_than])
    return np.stack(kept[:count])


def statistics(mazes: np.ndarray, side: int) -> dict[str, np.ndarray]:
    starts, goals = (np.argwhere(mazes == token)[:, 1] for token in (START, GOAL))
    rows, columns = np.abs(starts // side - goals // side), np.abs(starts % side - goals % side)
    return {
        "length": maze.shortest_length(mazes, side),
        "walls": (mazes == WALL).sum(axis=1),
        "rows apart": rows,
        "columns apart": columns,
        "start row": starts // side,
        "goal column": goals % side,
        "paths": np.log(maze.num_shortest_paths(mazes, side)).round(3),
    }


@pytest.mark.parametrize(("side", "longer_than"), [(8, 14), (6, 6), (5, 2)])
def test_same_distribution_as_plain_rejection(side: int, longer_than: int) -> None:
    """Two-sample Kolmogorov-Smirnov distances stay below the 99.9 % bound (1.95 sqrt(2 / n);
    smaller still for discrete numbers)."""
    count = 2500
    reference = statistics(by_rejection(count, side, longer_than, (0.3, 0.5), 1), side)
    made = maze.generate(count, side, 2, longer_than=longer_than)
    ours = statistics(made.inputs, side)
    np.testing.assert_array_equal(ours["length"], made.path_length)
    np.testing.assert_allclose(ours["walls"] / side**2, made.wall_share)
    for name, values in ours.items():
        points = np.unique(np.concatenate([values, reference[name]]))
        shares = [
            np.searchsorted(np.sort(sample), points, side="right") / count
            for sample in (values, reference[name])
        ]
        assert np.abs(shares[0] - shares[1]).max() < 1.95 * np.sqrt(2 / count), name


@pytest.mark.parametrize("scale", [1.0, 7.0, 60.0])
def test_every_maze_is_as_likely_whatever_the_scale(scale: float) -> None:
    """3 x 3 with 2 or 3 walls has 9 over w layouts: all mazes can be listed, and come out in the
    right shares for any c."""
    grids: list[np.ndarray] = []
    weights: list[float] = []
    for walls in (2, 3):
        layouts = list(itertools.combinations(range(9), walls))
        for layout in layouts:
            free = [cell for cell in range(9) if cell not in layout]
            for start, goal in itertools.permutations(free, 2):
                grid = np.full(9, SPACE, np.uint8)
                grid[list(layout)] = WALL
                grid[start], grid[goal] = START, GOAL
                grids.append(grid)
                weights.append(1 / len(layouts) / (len(free) * (len(free) - 1)))
    every, weight = np.stack(grids), np.array(weights)
    good = maze.shortest_length(every, 3) > 3
    expected = {
        grid.tobytes(): w
        for grid, w in zip(every[good], weight[good] / weight[good].sum(), strict=True)
    }
    scales = np.array([scale, scale / 3])
    inputs, labels, lengths = (
        np.empty((1_500_000, 9), np.uint8),
        np.empty((1_500_000, 9), np.uint8),
        np.empty(1_500_000, np.int64),
    )
    share = np.cumsum(1 / scales)[:-1] / np.sum(1 / scales)
    _, made = sample_layouts(
        np.uint64(3), 0, 300_000, 3, 3, 2, share, scales, False, False, inputs, labels, lengths
    )
    kinds, counts = np.unique(inputs[:made], axis=0, return_counts=True)
    assert {kind.tobytes() for kind in kinds} == set(expected)
    p = np.array([expected[kind.tobytes()] for kind in kinds])
    # Mazes of one layout are dependent at large scales, which widens counts: at most by the number
    # of mazes that one layout gives.
    spread = np.sqrt(made * p * max(1.0, scale / 2))
    assert (np.abs(counts - made * p) < 5 * spread).all()


def test_seeds_and_prefixes() -> None:
    first, again, other, more = (
        maze.generate(n, 10, s, longer_than=20) for n, s in ((40, 1), (40, 1), (40, 2), (60, 1))
    )
    for ours, theirs, longer in zip(first, again, more, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(ours, longer[:40])
    assert (first.inputs != other.inputs).any()
    assert (first.path_length > 20).all()
    assert len(np.unique(more.forms, axis=0)) == 60
    assert maze.check_examples(first.inputs, first.labels, 10).shortest.all()


def test_hard_mazes() -> None:
    made = maze.generate(20, 30, 0, longer_than=110, tie="uniform")
    assert (made.path_length > 110).all()
    assert ((made.wall_share >= 0.3) & (made.wall_share <= 0.5)).all()
    assert maze.check_examples(made.inputs, made.labels, 30).shortest.all()
    for grid, length in zip(made.inputs.reshape(-1, 30, 30), made.path_length, strict=True):
        assert distances(grid, place(grid, START))[place(grid, GOAL)] == length


def test_unique_paths() -> None:
    made = maze.generate(50, 10, 0, longer_than=12, unique=True)
    assert (maze.num_shortest_paths(made.inputs, 10) == 1).all()
    np.testing.assert_array_equal(maze.solve(made.inputs, 10, "uniform").labels, made.labels)


def test_impossible_mazes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trm_model.puzzles.maze.sampling.PATIENCE", 1)
    for arguments, message in (
        ({"side": 1}, "side=1: expected 2..63"),
        ({"side": 64}, "side=64"),
        ({"longer_than": 0}, "longer_than=0: expected 1..68"),
        ({"longer_than": 69}, "longer_than=69: expected 1..68"),
        ({"longer_than": 60}, "only 0 different 10 x 10 mazes with paths longer than 60"),
        ({"walls": (0.5, 0.3)}, "expected shares"),
        ({"walls": (0.5, 1.0)}, "0 of 100 cells would be free"),
        ({"tie": "any"}, "tie='any': expected one of first, uniform"),
        ({"count": 0}, "count=0"),
    ):
        with pytest.raises(
            ConfigurationError, match=message.replace("(", r"\(").replace(".", r"\.")
        ) as error:
            maze.generate(**{"count": 5, "side": 10, "seed": 0, "longer_than": 10, **arguments})  # type: ignore[arg-type]
        assert "\n" not in str(error.value)


def label(text: str) -> np.ndarray:
    return maze.from_text(text.replace("/", ""), 4)


QUESTION = "S  #/ # #/   G/####"
WRONG = {
    "no marks": ("S  #/ # #/   G/####", (True, True, False)),
    "cut": ("So #/ # #/o oG/####", (True, True, False)),
    "extra": ("S  #/o# #/oooG/####".replace("S  ", "So "), (True, True, False)),
    "moved goal": ("S  #/o# #/ooGo/####", (True, False, False)),
    "no goal": ("S  #/o# #/oooo/####", (False, False, False)),
    "two starts": ("SS #/o# #/oooG/####", (False, False, False)),
    "through a wall": ("S  #/oo #/  oG/####", (True, False, False)),
    "new wall": ("S ##/o# #/oooG/####", (True, False, False)),
}


def test_checks_accept_shortest_paths_and_nothing_else() -> None:
    question = label(QUESTION)[None]
    for right in ("S  #/o# #/oooG/####", "Soo#/ #o#/  oG/####"):
        checked = maze.check_examples(question, label(right)[None], 4)
        assert [bool(c[0]) for c in checked] == [True, True, True, True]
    for name, (text, expected) in WRONG.items():
        checked = maze.check_examples(question, label(text)[None], 4)
        assert tuple(bool(c[0]) for c in checked) == (*expected, False), name
    for token in (0, 6, 255):
        for part in range(2):
            pair = [question.copy(), label("S  #/o# #/oooG/####")[None].copy()]
            pair[part][0, 6] = token
            assert not maze.check_examples(pair[0], pair[1], 4).well_formed[0]


PATHS = {
    # By hand, in a room of 5 x 5 cells with S and G in the upper corners: valid, optimal.
    "SoooG/     /     /     /     ": (True, True),
    "S   G/ooooo/     /     /     ": (True, False),
    "S   G/o   o/o   o/o   o/ooooo": (True, False),
    "S  oG/o oo /ooo  /     /     ": (True, False),
    "So oG/ooooo/     /     /     ": (False, False),
    "SoooG/     /  o  /     /     ": (False, False),
    "SoooG/  o  /     /     /     ": (False, False),
    "So oG/     /     /     /     ": (False, False),
    "S   G/     /     /     /     ": (False, False),
    "ooooo/ooooo/ooooo/ooooo/ooooo": (False, False),
    "oooSG/     /     /     /     ": (False, False),
    "S?ooG/     /     /     /     ": (False, False),
}


def test_metrics_of_answers_that_are_no_label() -> None:
    """Any path that does not touch itself is valid, and of those the shortest ones are optimal."""
    inputs = maze.from_text("S   G" + " " * 20, 5)[None].repeat(len(PATHS), axis=0)
    answers = np.stack([np.array([maze.CHARACTERS.index(c) for c in text.replace("/", "")])
                        for text in PATHS]).astype(np.uint8)  # fmt: skip
    found = Maze(5).metrics(inputs, inputs, answers)
    assert list(found) == ["optimal_path_accuracy", "valid_path"]
    pairs = zip(found["valid_path"].tolist(), found["optimal_path_accuracy"].tolist(), strict=True)
    assert dict(zip(PATHS, pairs, strict=True)) == PATHS


def test_of_several_shortest_paths_each_is_optimal_and_one_is_exact() -> None:
    side = 7
    mazes = maze.generate(count=60, side=side, seed=2, longer_than=8)
    solved = [maze.solve(mazes.inputs, side, "uniform", seed) for seed in range(2)]
    both = Maze(side).metrics(mazes.inputs, solved[0].labels, solved[1].labels)
    assert both["optimal_path_accuracy"].all()
    assert both["valid_path"].all()
    exact = (solved[0].labels == solved[1].labels).all(axis=1)
    assert exact[solved[0].shortest_paths == 1].all()
    assert not exact.all()


def test_no_path_is_the_label_where_there_is_none_and_no_metric_calls_it_a_path() -> None:
    walled = maze.from_text("S#  #    ##   G ", 4)[None]
    [(name, answer)] = Maze(4).trivial(walled).items()
    assert name == "no path"
    assert (answer == maze.solve(walled, 4).labels).all()
    assert not any(holds.any() for holds in Maze(4).metrics(walled, walled, answer).values())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), density=st.floats(0, 0.5), marks=st.floats(0, 1))
def test_valid_paths_are_those_a_walk_finds(seed: int, density: float, marks: float) -> None:
    """Against a walk in Python from the start along the marks, which may not fork."""
    side, draw = 5, np.random.default_rng(seed)
    inputs = np.where(draw.random((40, side * side)) < density, maze.WALL, maze.SPACE).astype(
        np.uint8
    )
    for row in inputs:
        row[draw.choice(side * side, 2, replace=False)] = maze.START, maze.GOAL
    marked = np.where(
        (draw.random(inputs.shape) < marks) & (inputs == maze.SPACE), maze.PATH, inputs
    )
    answers = np.concatenate([marked, maze.solve(inputs, side).labels]).astype(np.uint8)
    inputs = np.concatenate([inputs, inputs])
    found = Maze(side).metrics(inputs, inputs, answers)["valid_path"]
    assert found.tolist() == [walks(answer.reshape(side, side)) for answer in answers]


def walks(answer: np.ndarray) -> bool:
    """Whether the marks lead from start to goal, one after the other, none left and no choice."""
    [cell], [goal] = (
        [tuple(place) for place in np.argwhere(answer == end).tolist()]
        for end in (maze.START, maze.GOAL)
    )
    left = {tuple(place) for place in np.argwhere(answer == maze.PATH).tolist()} | {goal}
    while cell != goal:
        row, column = cell
        beside = {(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)} & left
        if len(beside) != 1:
            return False
        [cell] = beside
        left -= beside
    return not left


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_checks_agree_with_a_list_of_all_shortest_paths(seed: int) -> None:
    """Random marks on a small maze are accepted exactly if they are the inner cells of one of all
    shortest paths."""
    generator = np.random.Generator(np.random.Philox(seed))
    grid = draw(generator, 4, 0.2, 0.5)
    paths = shortest_paths(grid, place(grid, START), place(grid, GOAL))
    free = [(int(r), int(c)) for r, c in np.argwhere(grid == SPACE)]
    candidates = [frozenset(c for c in free if generator.random() < 0.5) for _ in range(20)] + paths
    labels = np.repeat(grid[None], len(candidates), axis=0)
    for k, marks in enumerate(candidates):
        for cell in marks:
            labels[k][cell] = PATH
    result = maze.check_examples(
        np.repeat(grid.reshape(1, -1), len(candidates), axis=0), labels.reshape(-1, 16), 4
    )
    assert result.shortest.tolist() == [marks in paths for marks in candidates]


def test_text_and_drawing() -> None:
    grid = label("S  #/o# #/oooG/####")
    assert maze.to_text(grid) == "S  #o# #oooG####"
    assert maze.from_text(maze.to_text(grid), 4).tolist() == grid.tolist()
    for text, message in (
        ("S G", "3 characters: expected 16"),
        ("S  #o# #oooG###x", "character 'x' at cell 16"),
        ("é" * 16, "'é' at cell 1"),
    ):
        with pytest.raises(ValueError, match=message):
            maze.from_text(text, 4)
    assert maze.to_drawing(grid, 4).splitlines() == [
        "┌────────┐",
        "│S     ██│",
        "│· ██  ██│",
        "│· · · G │",
        "│████████│",
        "└────────┘",
    ]


def test_canonical_forms_are_equal_exactly_within_a_class() -> None:
    made = maze.generate(30, 7, 0, longer_than=8).inputs
    images = [
        np.ascontiguousarray(dihedral(made.reshape(-1, 7, 7), k)).reshape(-1, 49) for k in range(8)
    ]
    forms = [maze.canonical(image, 7) for image in images]
    for form in forms:
        np.testing.assert_array_equal(form, forms[0])
    assert len(np.unique(forms[0], axis=0)) == 30


def test_examples_are_images_in_order_and_open_again() -> None:
    made = maze.generate(6, 7, 0, longer_than=8)
    examples = maze.MazeExamples(
        made.inputs, made.labels, 7, copies=7, seed=0, sources={"file": "abc"}
    )
    assert examples.header.grid == (7, 7)
    assert examples.header.augmentations == 7
    assert examples.header.sources == {"file": "abc"}
    assert (
        len(examples.puzzle_ids)
        == len(examples.example_offsets) - 1
        == examples.group_offsets[-1]
        == 48
    )
    index = np.random.Generator(np.random.Philox(0)).integers(0, 48, 100)
    inputs, labels = examples.rows(index)
    for k, number in enumerate(index):
        for ours, source in ((inputs, made.inputs), (labels, made.labels)):
            np.testing.assert_array_equal(
                ours[k].reshape(7, 7), dihedral(source[number // 8].reshape(7, 7), int(number % 8))
            )
    assert maze.check_examples(inputs, labels, 7).shortest.all()
    again = maze.MazeExamples.from_plan(examples.header, *examples.plan())
    np.testing.assert_array_equal(again.rows(index), (inputs, labels))
    np.testing.assert_array_equal(again.group_offsets, examples.group_offsets)
    with pytest.raises(ConfigurationError, match=r"copies=8: expected 0\.\.7"):
        maze.MazeExamples(made.inputs, made.labels, 7, copies=8, seed=0)
    with pytest.raises(ConfigurationError, match=r"expected uint8 \[N, 64\]"):
        maze.MazeExamples(made.inputs, made.labels, 8, copies=0, seed=0)
