"""A puzzle being solved as a moving picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from storage.atomic import new_file
from trm_model.errors import ConfigurationError, require
from trm_model.puzzles.picture import WRONG, new_figure, paint
from trm_model.solving.trained import Solution

CHANGED, BELIEF = "#ffd33d", "#2e8b57"
STEP_MILLISECONDS, LAST_MILLISECONDS = 900, 3000
COLOURS = 48


def write_gif(path: Path, solutions: Sequence[Solution]) -> int:
    """Write solutions of one model, side by side, as an animated GIF: the questions, then a frame
    for each supervision step up to the one after which no answer changes.

    Cells that a step changed are yellow, those that a later step changes red; a bar shows the
    halting probability. The last frame says whether the answers are right.

    :returns: the number of frames.
    :raises ConfigurationError: no solutions, or matplotlib and Pillow are not installed.
    """
    require(bool(solutions), f"{path}: no solution to show; give at least one")
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error}: expected Pillow, which writes GIF; install it"
        ) from error
    changing = np.flatnonzero(np.any([one.changed.any(1) for one in solutions], axis=0))
    last = min(int(changing.max(initial=0)) + 2, len(solutions[0].answers))
    frames = [
        Image.fromarray(_frame(solutions, step, final=step == last)).quantize(COLOURS)
        for step in range(last + 1)
    ]
    times = [STEP_MILLISECONDS] * last + [LAST_MILLISECONDS]
    with new_file(path) as temporary:
        frames[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=times,
            loop=0,
            optimize=True,
        )
    return len(frames)


def _frame(solutions: Sequence[Solution], step: int, *, final: bool) -> Any:
    """The picture after ``step`` supervision steps (0: of the questions), uint8 [H, W, 3]."""
    figure = new_figure((2.6 * len(solutions), 3.2))
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(solutions), squeeze=False, height_ratios=(20, 1))
    figure.suptitle(f"after supervision step {step}" if step else "the question", fontsize=9)
    for column, one in enumerate(solutions):
        grid, bar = axes[:, column]
        question = one.question.cells
        picture = one.family.picture(question, question)
        if step:
            shown = one.answers[step - 1]
            later = shown != one.final
            picture = one.family.picture(question, shown).marked(one.changed[step - 1], CHANGED)
            bar.barh([0], [one.halt_probabilities[step - 1]], color=BELIEF)
            picture = picture.marked(later, WRONG)
        paint(grid, picture)
        bar.set_xlim(0, 1)
        bar.set_xticks([])
        bar.set_yticks([])
        right = {None: "", True: "right", False: "wrong"}[one.verdict.right]
        bar.set_xlabel(right if final else "belief that it is right", fontsize=8)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
