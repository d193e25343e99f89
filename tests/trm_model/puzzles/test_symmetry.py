"""The dihedral group: numbers, laws, gathers."""

import itertools

import numpy as np
import pytest

from trm_model.errors import ConfigurationError
from trm_model.puzzles import symmetry
from trm_model.puzzles.symmetry import compose, dihedral, dihedral_index, inverse

GRID = np.arange(12).reshape(3, 4)


def test_numbers_are_the_authors() -> None:
    expected = [
        GRID,
        np.rot90(GRID),
        np.rot90(GRID, 2),
        np.rot90(GRID, 3),
        np.fliplr(GRID),
        np.flipud(GRID),
        GRID.T,
        np.fliplr(np.rot90(GRID)),
    ]
    for which, image in enumerate(expected):
        np.testing.assert_array_equal(dihedral(GRID, which), image)
    # By hand: counter-clockwise the last column becomes the first row; the anti-transpose starts
    # with the last cell.
    assert dihedral(GRID, 1)[0].tolist() == [3, 7, 11]
    assert dihedral(GRID, 7)[0].tolist() == [11, 7, 3]


def test_group_laws_on_a_rectangle() -> None:
    for a, b in itertools.product(range(8), repeat=2):
        np.testing.assert_array_equal(dihedral(dihedral(GRID, a), b), dihedral(GRID, compose(a, b)))
    assert sorted(compose(a, 1) for a in range(8)) == list(range(8))
    for a in range(8):
        np.testing.assert_array_equal(dihedral(dihedral(GRID, a), inverse(a)), GRID)
    assert [inverse(a) for a in range(8)] == [0, 3, 2, 1, 4, 5, 6, 7]


def test_stacks_and_gathers_agree_with_single_grids() -> None:
    stack = np.random.Generator(np.random.Philox(0)).integers(0, 9, (5, 6, 6)).astype(np.uint8)
    flat = stack.reshape(5, 36)
    rows, which = (part.ravel() for part in np.meshgrid(np.arange(5), np.arange(8), indexing="ij"))
    made = symmetry.images(flat, rows, which, 6)
    for k in range(40):
        expected = dihedral(stack[rows[k]], int(which[k]))
        np.testing.assert_array_equal(made[k].reshape(6, 6), expected)
        np.testing.assert_array_equal(dihedral(stack, int(which[k]))[rows[k]], expected)
        np.testing.assert_array_equal(
            flat[rows[k]][dihedral_index(6)[which[k]]].reshape(6, 6), expected
        )
    smallest = symmetry.smallest_images(flat, 6)
    for row in range(5):
        assert smallest[row].tobytes() == min(
            made[k].tobytes() for k in range(40) if rows[k] == row
        )
        assert (symmetry.smallest_images(made[rows == row], 6) == smallest[row]).all()


def test_errors() -> None:
    for call in (lambda: dihedral(GRID, 8), lambda: inverse(-1), lambda: compose(0, 9)):
        with pytest.raises(ConfigurationError, match=r"expected 0\.\.7"):
            call()
    with pytest.raises(IndexError, match="of 1 grids"):
        symmetry.images(np.zeros((1, 4), np.uint8), np.array([1]), np.array([0]), 2)
