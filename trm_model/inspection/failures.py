"""Puzzles that a model does not solve, on one sheet: question, answer, label."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from storage.atomic import new_file
from storage.examples import ExampleSet, Header
from trm_model.model.batch import DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.puzzles.family import Bools, Family, Tokens
from trm_model.puzzles.picture import WRONG, new_figure, paint
from trm_model.solving.trained import BATCH, TrainedModel


class Failure(NamedTuple):
    """A puzzle that is not solved: its number in the split, and tokens uint8 [L] each.

    :param wrong: bool [L], cells that count and whose answer is not the label's.
    """

    example: int
    question: Tokens
    answer: Tokens
    label: Tokens
    wrong: Bools


def failure(
    example: int, question: Tokens, answer: Tokens, label: Tokens, header: Header
) -> Failure:
    """An answer beside its label; ``header``: of the examples."""
    return Failure(
        example, question, answer, label, (answer != label) & (label != header.ignore_id)
    )


def failures(
    model: TrainedModel, examples: ExampleSet, evaluation: Evaluation | None = None
) -> Iterator[Failure]:
    """The examples of a split that a model does not solve, in their order; they are answered as
    they are asked for.

    :raises ConfigurationError: no puzzles of the model's.
    """
    model.require_data(examples.header, evaluation)
    data = DeviceExamples(examples, model.reasoner.puzzle_rows.device)
    for start in range(0, len(data), BATCH):
        index = np.arange(start, min(start + BATCH, len(data)))
        inputs, labels = examples.rows(index)
        found, _ = model.steps(inputs, data.gather(index).puzzle_ids.cpu().numpy(), evaluation)
        for row in zip(index.tolist(), inputs, found[:, -1], labels, strict=True):
            one = failure(*row, examples.header)
            if one.wrong.any():
                yield one


def failure_sheet(family: Family, shown: Sequence[Failure]) -> Any:
    """A matplotlib figure with a row for each of at least one failure: question, answer with the
    wrong cells marked, label.

    :raises ConfigurationError: matplotlib is not installed.
    """
    figure = new_figure((6.6, 2.3 * len(shown)))
    axes = figure.subplots(len(shown), 3, squeeze=False)
    for row, one in zip(axes, shown, strict=True):
        pictures = (
            (f"example {one.example}", family.picture(one.question, one.question)),
            (
                f"answer, {int(one.wrong.sum())} cells wrong",
                family.picture(one.question, one.answer, one.label).marked(one.wrong, WRONG),
            ),
            ("label", family.picture(one.question, one.label)),
        )
        for panel, (title, picture) in zip(row, pictures, strict=True):
            paint(panel, picture)
            panel.set_title(title, fontsize=8)
    return figure


def publish_failures(
    model: TrainedModel, examples: ExampleSet, evaluation: Evaluation, most: int, folder: Path
) -> str:
    """Write the sheet of the first ``most`` failures as ``failures.png`` into a folder, which is
    made if it is not there.

    :returns: a line that says what was made.
    :raises ConfigurationError: see :func:`failures` and :func:`failure_sheet`.
    """
    found = list(islice(failures(model, examples, evaluation), most))
    if not found:
        return f"every one of {int(examples.example_offsets[-1])} puzzles is solved"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "failures.png"
    with new_file(target) as temporary:
        failure_sheet(model.family, found).savefig(temporary, format="png", dpi=100)
    return f"made {target}, {len(found)} puzzles that are not solved"
