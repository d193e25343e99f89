"""Pictures show what they are given: the lines' points, the bars' heights, the cells' colours."""

import base64
import io
import itertools

import matplotlib.image
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from assets.pages import pictures
from trm_model.puzzles.maze.family import Maze
from trm_model.puzzles.sudoku.family import Sudoku

SUDOKU = Sudoku(4)
RIGHT, WRONG, CLUE = "#1a7f37", "#cf222e", "black"
ANSWER = np.array([1, 2, 3, 4, 3, 4, 1, 2, 2, 1, 4, 3, 4, 3, 2, 1], np.uint8) + 1
QUESTION = np.where(np.arange(16) < 4, ANSWER, 1).astype(np.uint8)
"""The first row is given."""


def decoded(figure: Figure) -> npt.NDArray[np.float64]:
    """The picture's pixels [height, width, 3], 0 to 1."""
    return np.asarray(matplotlib.image.imread(io.BytesIO(pictures.png(figure))))[..., :3]


def shows(pixels: npt.NDArray[np.float64], colour: str) -> bool:
    """Whether any pixel has this colour."""
    return bool((np.abs(pixels - np.array(to_rgb(colour))).max(axis=-1) < 0.02).any())


def digits(axes: Axes) -> dict[int, tuple[str, str]]:
    """Cell -> digit and colour, of a drawn 4 x 4 Sudoku."""
    found: dict[int, tuple[str, str]] = {}
    for text in axes.texts:
        x, y = text.get_position()
        found[int(y) * 4 + int(x)] = (text.get_text(), str(text.get_color()))
    return found


def test_the_wrong_cell_of_a_sudoku_is_drawn_in_the_wrong_colour() -> None:
    wrong = ANSWER.copy()
    wrong[9] = 5
    figure = pictures.answer_sheet(
        SUDOKU, QUESTION[None], ANSWER[None], np.stack([wrong, ANSWER])[None], [1, 3]
    )
    question, first, last = figure.axes
    assert [axes.get_title() for axes in figure.axes] == [
        "question",
        "after step 1",
        "after step 3",
    ]
    assert digits(question) == {cell: (str(ANSWER[cell] - 1), CLUE) for cell in range(4)}
    expected = {cell: (str(ANSWER[cell] - 1), CLUE if cell < 4 else RIGHT) for cell in range(16)}
    assert digits(last) == expected
    assert digits(first) == expected | {9: ("4", WRONG)}
    pixels = decoded(figure)
    assert shows(pixels, WRONG)
    assert shows(pixels, RIGHT)
    right = pictures.answer_sheet(SUDOKU, QUESTION[None], ANSWER[None], ANSWER[None, None], [1])
    assert not shows(decoded(right), WRONG)


def test_the_wrong_cell_of_a_maze_is_drawn_in_the_wrong_colour() -> None:
    # Tokens: 1 wall, 2 space, 3 start, 4 goal, 5 path.
    label = np.array([3, 5, 4, 2, 2, 2, 1, 1, 1], np.uint8)
    question = np.where(label == 5, 2, label).astype(np.uint8)
    astray = label.copy()
    astray[4] = 5
    wrong, good = (
        pictures.answer_sheet(Maze(3), question[None], label[None], shown[None, None], [1])
        for shown in (astray, label)
    )
    cells = [np.asarray(figure.axes[1].images[0].get_array()) for figure in (wrong, good)]
    assert np.argwhere((cells[0] != cells[1]).any(-1)).tolist() == [[1, 1]]
    image = wrong.axes[1].images[0]
    hexadecimal = to_hex(image.to_rgba(cells[0], norm=False)[1, 1])
    assert shows(decoded(wrong), hexadecimal)
    assert not shows(decoded(good), hexadecimal)


def test_questions_stand_above_their_answers() -> None:
    figure = pictures.question_sheet(SUDOKU, np.stack([QUESTION] * 3), np.stack([ANSWER] * 3))
    assert len(figure.axes) == 6
    upper, lower = figure.axes[:3], figure.axes[3:]
    assert all(axes.get_title() == "question" and len(digits(axes)) == 4 for axes in upper)
    assert all(axes.get_title() == "answer" and len(digits(axes)) == 16 for axes in lower)
    assert all(colour != WRONG for axes in lower for _, colour in digits(axes).values())
    tops = [axes.get_position().y0 for axes in upper]
    assert min(tops) > max(axes.get_position().y1 for axes in lower)


def legend(axes: Axes) -> list[str]:
    """The names in the legend, in order."""
    box = axes.get_legend()
    assert box is not None
    return [text.get_text() for text in box.get_texts()]


def bars(axes: Axes) -> dict[float, float]:
    """Middle -> height of the bars that are not empty."""
    found: dict[float, float] = {}
    for patch in axes.patches:
        assert isinstance(patch, Rectangle)
        if patch.get_height():
            found[round(patch.get_x() + patch.get_width() / 2, 3)] = float(patch.get_height())
    return found


def test_a_histogram_shows_the_share_of_each_number() -> None:
    figure = pictures.histogram({"train": np.array([2, 2, 2, 5])}, "clues")
    [axes] = figure.axes
    assert axes.get_xlabel() == "clues"
    assert bars(axes) == pytest.approx({2.0: 0.75, 5.0: 0.25})
    assert legend(axes) == ["train"]
    both = pictures.histogram({"train": np.array([0, 1]), "test": np.array([60])}, "x").axes[0]
    assert len(both.patches) == 2 * 61
    assert sorted(bars(both).values()) == pytest.approx([0.5, 0.5, 1.0])
    # More numbers than bars: sixty ranges from the least to the most.
    wide = pictures.histogram({"train": np.array([0, 0, 0, 119])}, "x").axes[0]
    assert len(wide.patches) == 60
    assert bars(wide) == pytest.approx({0.5: 0.375, 118.5: 0.125})
    assert len(pictures.histogram({"train": np.array([3, 3])}, "x").axes[0].patches) == 1


def lines(axes: Axes) -> dict[str, list[list[float]]]:
    """Label -> points [x, y] of each line."""
    return {str(line.get_label()): np.column_stack(line.get_data()).tolist() for line in axes.lines}


def test_learning_curves_go_through_the_given_points() -> None:
    training = pl.DataFrame(
        {
            "variant": ["trm", "trm", "hrm", "trm"],
            "seed": [0, 0, 0, 1],
            "step": [10, 20, 10, 10],
            "loss": [2.0, 1.0, 3.0, 4.0],
            "exact_accuracy": [0.0, 0.5, 0.25, 0.125],
            "validation_exact_accuracy": [None, 0.4, None, None],
        }
    )
    loss, solved = pictures.learning_curves(training).axes
    assert loss.get_yscale() == "log"
    assert lines(loss) == {
        "trm, seed 0": [[10, 2.0], [20, 1.0]],
        "hrm, seed 0": [[10, 3.0]],
        "trm, seed 1": [[10, 4.0]],
    }
    assert lines(solved) == {
        "trm, seed 0": [[10, 0.0], [20, 0.5]],
        "_trm, seed 0, validation": [[20, 0.4]],
        "hrm, seed 0": [[10, 0.25]],
        "trm, seed 1": [[10, 0.125]],
    }
    assert legend(solved) == ["hrm, seed 0", "trm, seed 0", "trm, seed 1"]


def crowded(figure: Figure) -> list[str]:
    """The texts of a picture that lie on one another, and those of a legend on a drawing."""
    figure.savefig(io.BytesIO(), dpi=100)  # places everything
    found: list[str] = []
    for axes in figure.axes:
        box = axes.get_legend()
        names = box.get_window_extent() if box is not None else None
        if names is not None and axes.bbox.overlaps(names):
            found.append("legend")
        for axis in (axes.xaxis, axes.yaxis):
            shown = axis.get_view_interval()
            labels = [
                (text.get_text(), text.get_window_extent())
                for which in ("major", "minor")
                for text, place in zip(
                    axis.get_ticklabels(which=which),
                    axis.get_majorticklocs() if which == "major" else axis.get_minorticklocs(),
                    strict=True,
                )
                if text.get_text() and min(shown) <= place <= max(shown)
            ]
            found += [text for text, here in labels if names is not None and names.overlaps(here)]
            found += [
                f"{one} and {other}"
                for (one, here), (other, there) in itertools.combinations(labels, 2)
                if here.overlaps(there)
            ]
    return found


@pytest.mark.parametrize("lines_of", [1, 3, 60])
@pytest.mark.parametrize("lowest", [1.9, 0.3, 1e-4])
@pytest.mark.parametrize("steps", [4, 1_000, 10_000_000])
def test_labels_of_curves_do_not_overlap(lines_of: int, lowest: float, steps: int) -> None:
    training = pl.DataFrame(
        [
            {
                "variant": f"a_variant_with_a_long_name_{number}",
                "seed": 0,
                "step": step,
                "loss": 2.0 if step == 1 else lowest,
                "exact_accuracy": number / 60,
                "validation_exact_accuracy": None if step == 1 else number / 70,
            }
            for number in range(lines_of)
            for step in (1, steps)
        ]
    )
    assert crowded(pictures.learning_curves(training)) == []
    scores = training.select(
        "variant",
        "seed",
        k="step",
        value="exact_accuracy",
        metric=pl.lit("exact_accuracy_after_step"),
    ).with_columns(k=pl.col("k").clip(1, 64))
    assert crowded(pictures.depth_curves(scores)) == []


def test_depth_curves_go_through_the_given_points_in_the_order_of_steps() -> None:
    scores = pl.DataFrame(
        {
            "variant": ["trm"] * 4,
            "seed": [0] * 4,
            "metric": ["exact_accuracy_after_step"] * 3 + ["exact_accuracy"],
            "k": [3, 1, 2, None],
            "value": [0.75, 0.25, 0.5, 0.75],
        }
    )
    [axes] = pictures.depth_curves(scores).axes
    assert lines(axes) == {"trm, seed 0": [[1, 0.25], [2, 0.5], [3, 0.75]]}


def test_vote_curves_go_through_the_given_points_in_the_order_of_votes() -> None:
    votes = pl.DataFrame(
        {
            "variant": ["trm", "trm", "trm", "hrm"],
            "seed": [0, 0, 1, 0],
            "votes": [10, 1, 5, 2],
            "value": [0.75, 0.25, 0.5, 0.125],
        }
    )
    [axes] = pictures.vote_curves(votes).axes
    assert lines(axes) == {
        "hrm, seed 0": [[2, 0.125]],
        "trm, seed 0": [[1, 0.25], [10, 0.75]],
        "trm, seed 1": [[5, 0.5]],
    }
    assert legend(axes) == ["hrm, seed 0", "trm, seed 0", "trm, seed 1"]
    assert axes.get_xscale() == "log"


def test_a_picture_is_png_and_its_uri_holds_the_same_bytes() -> None:
    figure = Figure(figsize=(2, 1))
    figure.subplots().set_facecolor("#ff0000")
    encoded = pictures.png(figure)
    assert shows(decoded(figure), "#ff0000")
    head, _, data = pictures.data_uri(encoded).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == encoded


def test_a_legend_of_very_many_lines_names_some() -> None:
    count = pictures.LEGEND_LINES + 1
    scores = pl.DataFrame(
        {
            "variant": ["trm"] * count,
            "seed": range(count),
            "metric": ["exact_accuracy_after_step"] * count,
            "k": [1] * count,
            "value": [0.5] * count,
        }
    )
    for rows, title in ((scores, f"the first {count - 1} of {count}"), (scores[1:], "")):
        [axes] = pictures.depth_curves(rows).axes
        assert len(axes.lines) == len(rows)
        assert len(legend(axes)) == count - 1
        box = axes.get_legend()
        assert box is not None
        assert box.get_title().get_text() == title
