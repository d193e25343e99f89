"""What data and results must satisfy. Each check is a plain function of what is stored; graph.py declares it beside its asset."""

from pathlib import Path

import numpy as np
import polars as pl

from assets.common import Verdict
from assets.grids import grids
from storage.examples import Examples
from storage.manifest import CorruptDataError, verify_manifest
from trm_model.puzzles import sudoku

BALANCE = 0.02
"""Largest distance of a digit's share among the answers from 1 / n. Every solved grid holds each digit equally often."""


def _all(good: sudoku.Bools, what: str) -> Verdict:
    wrong = np.flatnonzero(~good)
    figures: dict[str, int | float | str] = {"checked": len(good), "failed": len(wrong)}
    if len(wrong):
        figures["first_failed"] = f"{what} {int(wrong[0])}"
    return Verdict(not len(wrong), figures)


def puzzle_checks(frame: pl.DataFrame, digits: int) -> dict[str, Verdict]:
    """Checks of a table of base puzzles (:class:`storage.tables.Puzzles`): solutions, clues, leakage up to symmetry."""
    shape = sudoku.SHAPES[digits]
    puzzles, answers = grids(frame, "question", digits), grids(frame, "answer", digits)
    solved = sudoku.solve(puzzles, shape)
    forms = sudoku.canonical(puzzles, answers, shape)
    in_test = (frame["split"] == "test").to_numpy()
    test_forms = {form.tobytes() for form in forms[in_test]}
    leaks = np.array([form.tobytes() in test_forms for form in forms[~in_test]], dtype=np.bool_)
    return {
        "unique_solution": _all(solved.counts == 1, "puzzle"),
        "label_solves_input": _all(sudoku.is_solution(answers, shape) & (solved.answers == answers).all(axis=1), "puzzle"),
        "clues_kept": _all(sudoku.keeps_clues(puzzles, answers), "puzzle"),
        "no_leakage": _all(~leaks, "training puzzle"),
    }


def example_checks(folder: Path, splits: dict[str, Examples], digits: int) -> dict[str, Verdict]:
    """Checks of a stored data set, over every example; ``splits`` are what was read back from ``folder``."""
    shape = sudoku.SHAPES[digits]
    try:
        stored = Verdict(True, {"content_hash": verify_manifest(folder)})
    except CorruptDataError as error:
        stored = Verdict(False, {"error": str(error)})
    inputs = np.concatenate([sudoku.from_tokens(split.inputs) for split in splits.values()])
    labels = np.concatenate([sudoku.from_tokens(split.labels) for split in splits.values()])
    shares = np.bincount(labels.ravel(), minlength=shape.n + 1)[1:] / labels.size
    distance = float(np.abs(shares - 1 / shape.n).max())
    return {
        "hash_matches_content": stored,
        "label_solves_input": _all(sudoku.is_solution(labels, shape), "example"),
        "clues_kept": _all(sudoku.keeps_clues(inputs, labels), "example"),
        "class_balance": Verdict(distance <= BALANCE, {"largest_distance": distance, "allowed": BALANCE}),
    }


def finite_loss(training: pl.DataFrame) -> Verdict:
    """Whether every logged loss is a finite number (and there is one)."""
    finite = training["loss"].is_finite()
    return Verdict(len(training) > 0 and bool(finite.all()), {"rows": len(training), "not_finite": int((~finite).sum())})


def above_chance(scores: pl.DataFrame, digits: int) -> Verdict:
    """Whether the lower bound of the cell accuracy is above 1 / n, what a constant digit reaches."""
    low = float(scores.filter(pl.col("metric") == "cell_accuracy")["low"][0])
    return Verdict(low > 1 / digits, {"low": low, "chance": 1 / digits})
