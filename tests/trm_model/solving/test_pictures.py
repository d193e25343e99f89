"""A solution is a picture: in a notebook, and as a moving one."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from storage.examples import open_header
from storage.store import LocalStore
from tests.trm_model.puzzles.test_families import FAMILIES
from tests.trm_model.solving.test_solve import random_model
from trm_model import command
from trm_model.authors import checkpoints as authors
from trm_model.errors import ConfigurationError
from trm_model.puzzles.family import Question, Tokens
from trm_model.puzzles.picture import WRONG, Picture, to_svg
from trm_model.puzzles.sudoku.family import Sudoku
from trm_model.solving.moving import BELIEF, CHANGED, write_gif
from trm_model.solving.trained import Solution

SVG = "{http://www.w3.org/2000/svg}"
QUESTION = Sudoku(4).read("12..34....43..21")[0]
LABEL = Sudoku(4).read("1234341221434321")[0].cells


def texts(svg: str) -> list[tuple[str, str]]:
    """Each text in a picture and its colour."""
    found = ET.fromstring(svg).iter(f"{SVG}text")
    return [(str(text.text), text.attrib["fill"]) for text in found]


def solution(*answers: Tokens, logit: float = 0.0) -> Solution:
    halts = np.full(len(answers), logit, np.float32)
    return Solution(Sudoku(4), QUESTION, np.stack(answers), halts)


def test_a_notebook_shows_question_answer_and_verdict() -> None:
    found = texts(solution(LABEL)._repr_svg_())  # pyright: ignore[reportPrivateUsage]
    clues, answered = [(digit, "black") for digit in "12344321"], "1234341221434321"
    shown = [text for text in found if len(text[0]) == 1]
    assert shown[:8] == clues
    assert "".join(digit for digit, _ in shown[8:]) == answered
    given = (QUESTION.cells > 1).tolist()
    assert [ink == "black" for _, ink in shown[8:]] == given
    assert [text for text, _ in found if len(text) > 1] == [
        "question",
        "after step 1",
        "right: every row, column and box has every digit once, and the clues are kept",
    ]


def test_marks_lie_on_their_cells() -> None:
    picture = Picture(grid=(2, 3), fills=["#ffffff"] * 6, box=(1, 3))
    marked = picture.marked(np.array([0, 0, 0, 0, 0, 1], bool), WRONG)
    root = ET.fromstring(to_svg([("", marked)]))
    [mark] = [part for part in root.iter(f"{SVG}rect") if part.attrib["fill"] == WRONG]
    size = float(mark.attrib["width"])
    assert (float(mark.attrib["x"]), float(mark.attrib["y"])) == (2 * size, size)
    thick = [line.attrib["stroke-width"] == "2" for line in root.iter(f"{SVG}path")]
    assert thick == [True, True, True, True, False, False, True]
    assert len(picture.marks) == 0


@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_family_moves(name: str, tmp_path: Path) -> None:
    family, text = FAMILIES[name]
    question = family.read(text)[0]
    first = np.full(family.cells, 2, np.uint8)
    answers = np.stack([first, question.cells, question.cells, question.cells])
    one = Solution(family, Question(question.cells), answers, np.zeros(4, np.float32))
    assert write_gif(tmp_path / "x.gif", [one, one]) == 4
    with Image.open(tmp_path / "x.gif") as image:
        assert image.format == "GIF"
        assert getattr(image, "n_frames", 1) >= 3
        assert image.width > 1.5 * image.height


def colours(path: Path, frame: int) -> set[tuple[int, ...]]:
    with Image.open(path) as image:
        image.seek(frame)
        return set(map(tuple, np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()))


def near(found: set[tuple[int, ...]], colour: str, share: float) -> bool:
    """Whether a colour laid over white, by this share of it, is there."""
    wanted = 255 - share * (255 - np.array(list(bytes.fromhex(colour[1:]))))
    return bool((np.abs(np.array(list(found)) - wanted).max(1) < 12).any())


def test_changed_cells_are_yellow_and_those_that_will_change_red(tmp_path: Path) -> None:
    wrong = LABEL.copy()
    wrong[3] = 2
    gif = tmp_path / "x.gif"
    assert write_gif(gif, [solution(wrong, LABEL, LABEL, LABEL, logit=2.0)]) == 4
    asked, first, second = (colours(gif, frame) for frame in range(3))
    assert not near(asked, CHANGED, 0.45)
    assert near(first, CHANGED, 0.45)
    assert near(first, WRONG, 0.45)
    assert near(second, CHANGED, 0.45)
    assert not near(second, WRONG, 0.45)
    assert near(first, BELIEF, 1.0)
    with pytest.raises(ConfigurationError, match="no solution to show"):
        write_gif(gif, [])


def test_the_command_writes_a_moving_picture(
    tiny: tuple[LocalStore, Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = random_model("trm_mlp", open_header(tiny[1] / "test.zarr"))
    authors.save(model.reasoner, tmp_path / "step_9")
    gif = tmp_path / "solving.gif"
    of_theirs = ["--heads", "2", "--length", "16", "--kind", "sudoku", "--depth", "3"]
    theirs = [str(tmp_path / "step_9"), *of_theirs]
    arguments = ["solve", *theirs, ".1..42132....3.2", "--gif", str(gif), "--json"]
    assert command.main(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    [note] = said["notes"]
    assert note.startswith(f"made {gif}, ")
    assert gif.read_bytes().startswith(b"GIF89a")
