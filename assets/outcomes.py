"""A check of something stored, and how it came out."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Bools = npt.NDArray[np.bool_]


class Check(NamedTuple):
    """A check of a stage; a failure of a ``blocking`` one keeps what is downstream from running."""

    description: str
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """Whether a check passed, and the figures behind it."""

    passed: bool
    figures: dict[str, int | float | str] = field(default_factory=dict[str, int | float | str])


def all_pass(good: Bools, what: str) -> CheckOutcome:
    """Passed if ``good`` holds everywhere; else the first ``what`` where it does not is named."""
    wrong = np.flatnonzero(~good)
    figures: dict[str, int | float | str] = {"checked": len(good), "failed": len(wrong)}
    if len(wrong):
        figures["first_failed"] = f"{what} {int(wrong[0])}"
    return CheckOutcome(not len(wrong), figures)


def leaks(splits: pl.Series, forms: Sequence[Hashable]) -> CheckOutcome:
    """Whether no training puzzle is a test puzzle, up to symmetry: whether no form is in both
    splits."""
    in_test = {form for split, form in zip(splits, forms, strict=True) if split == "test"}
    return all_pass(
        np.array(
            [
                form not in in_test
                for split, form in zip(splits, forms, strict=True)
                if split == "train"
            ],
            np.bool_,
        ),
        "training puzzle",
    )


def together(outcomes: Mapping[str, Mapping[str, CheckOutcome]]) -> dict[str, CheckOutcome]:
    """One outcome of each check for several partitions; ``outcomes``: by partition and check."""
    names = dict.fromkeys(name for of_partition in outcomes.values() for name in of_partition)
    found: dict[str, CheckOutcome] = {}
    for name in names:
        failed = [
            key for key, made in outcomes.items() if name not in made or not made[name].passed
        ]
        figures: dict[str, int | float | str] = {"partitions": len(outcomes), "failed": len(failed)}
        if failed:
            figures["first_failed"] = failed[0]
        found[name] = CheckOutcome(not failed, figures)
    return found
