"""The canonical form of an ARC task or pair, which all its augmented versions share."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trm_model.compiled import numba
from trm_model.puzzles.arc.tasks import Pair
from trm_model.puzzles.arc.tokens import COLOURS
from trm_model.puzzles.symmetry import COUNT, dihedral


@numba.njit(cache=True)
def _relabel(image, labels):
    """Number the colours of a flat image by first appearance, going on with ``labels`` [10] (255:
    not seen yet; black is 0)."""
    seen = 0
    for label in labels:
        seen += label != 255
    result, after = np.empty_like(image), labels.copy()
    for place in range(len(image)):
        colour = image[place]
        if after[colour] == 255:
            after[colour] = seen
            seen += 1
        result[place] = after[colour]
    return result, after


Image = tuple[bytes, npt.NDArray[np.uint8]]
"""The sides of a pair's two grids, and all its cells."""


def _next_images(
    images: list[Image], labels: npt.NDArray[np.uint8]
) -> tuple[bytes, list[tuple[list[Image], npt.NDArray[np.uint8]]]]:
    """The smallest recoloured image, and for each image that gives it: the others, and the colours'
    labels after it."""
    recoloured = [(shape, *_relabel(image, labels)) for shape, image in images]
    forms = [shape + form.tobytes() for shape, form, _ in recoloured]
    least = min(forms)
    return least, [
        (images[:place] + images[place + 1 :], recoloured[place][2])
        for place, form in enumerate(forms)
        if form == least
    ]


def _any_order(images: list[Image], labels: npt.NDArray[np.uint8]) -> bytes:
    """Images recoloured in an order that takes a smallest one each time, whichever comes first."""
    form = b""
    while images:
        least, choices = _next_images(images, labels)
        form += least
        images, labels = choices[0]
    return form


def _smallest(images: list[Image], labels: npt.NDArray[np.uint8]) -> bytes:
    """The smallest of these sequences, whichever of the equal ones comes first."""
    if not images:
        return b""
    least, choices = _next_images(images, labels)
    if len(choices) > 1:
        # Choices that lead to one same sequence are images of each other, so that all they lead to
        # is the same: one will do.
        choices = list({_any_order(*choice): choice for choice in choices}.values())
    return least + min(_smallest(*choice) for choice in choices)


def canonical(pairs: Sequence[Pair]) -> bytes:
    """A form that is equal exactly for sets of pairs that are equal, in any order, up to the
    augmentations' group: the eight symmetries and the permutations of the colours other than black,
    the same for all the pairs.
    """
    forms: list[bytes] = []
    labels = np.full(COLOURS, 255, np.uint8)
    labels[0] = 0
    for which in range(COUNT):
        images: list[Image] = []
        for pair in pairs:
            turned = [np.ascontiguousarray(dihedral(grid, which)) for grid in pair]
            shape = bytes(side for grid in turned for side in grid.shape)
            images.append((shape, np.concatenate([grid.reshape(-1) for grid in turned])))
        forms.append(_smallest(images, labels))
    return min(forms)
