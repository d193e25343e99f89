"""Answers that need no thought: what a model must beat before its accuracy means anything."""

import numpy as np

from storage.examples import ExampleSet
from trm_model.puzzles.family import Family, Tokens

SAMPLED = 1_000
"""Training puzzles at most whose labels are counted."""


def training_labels(examples: ExampleSet) -> Tokens:
    """Labels, tokens [K, L], of training puzzles as they are, without their augmentations: of all,
    or of :data:`SAMPLED` of them, evenly spread."""
    puzzles = examples.group_offsets[:-1]
    spread = np.linspace(0, len(puzzles) - 1, min(SAMPLED, len(puzzles))).astype(np.int64)
    starts, stops = (examples.example_offsets[puzzles[spread] + last] for last in (0, 1))
    parts = (np.arange(*ends) for ends in zip(starts.tolist(), stops.tolist(), strict=True))
    return examples.rows(np.concatenate([*parts]))[1]


def trivial_answers(
    family: Family, inputs: Tokens, trained: Tokens, ignore: int
) -> dict[str, Tokens]:
    """Answers to questions [N, L] that need no thought, by name, tokens [N, L] each: the family's
    own, and the most frequent token.

    :param trained: labels of training examples [K, L].
    :param ignore: label token of cells that are not counted.
    """
    tokens = [token for token in range(len(family.vocabulary)) if token != ignore]
    counts = np.stack([(trained == token).sum(axis=0) for token in tokens])
    cells = np.array(tokens, np.uint8)[counts.argmax(axis=0)]
    one = tokens[int(counts.sum(axis=1).argmax())]
    return {
        **family.trivial(inputs),
        f"{family.vocabulary[one]} everywhere": np.full_like(inputs, one),
        "each cell's most frequent token": np.broadcast_to(cells, inputs.shape),
    }
