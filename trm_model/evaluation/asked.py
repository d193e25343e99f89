"""Which cells an example asks for, and which of them an answer has.

At test nobody knows the labels. So what answers gets no labels but these: zero in a cell that the
question asks for, IGNORE elsewhere.
"""

import torch
from torch import Tensor

from trm_model.model.batch import IGNORE, Batch
from trm_model.puzzles.family import Family


def questions(batch: Batch, family: Family | None) -> Batch:
    """The examples without their labels.

    :param family: says what the questions ask for; None: unknown, so that the labels' places say
        it.
    """
    if family is None:
        asked = batch.labels != IGNORE
    else:
        cells = family.answered(batch.inputs.to(torch.uint8).cpu().numpy())
        asked = torch.from_numpy(cells).to(batch.inputs.device)
    return Batch(batch.inputs, torch.where(asked, 0, IGNORE), batch.puzzle_ids)


def own_cells(answers: Tensor, asked: Tensor, end: int | None) -> Tensor:
    """The cells of answers [R, L], bool [R, L]: those asked for, bool [R, L], and of these none
    after the first that holds the end.
    """
    if end is None:
        return asked
    ends = asked & (answers == end)
    return asked & (ends.cumsum(-1) - ends.int() == 0)
