"""A solved puzzle as JSON values and as text: what ``trm solve`` prints."""

from typing import Any

import numpy as np

from trm_model.errors import ConfigurationError, require
from trm_model.puzzles.arc.tasks import to_drawing
from trm_model.puzzles.arc.votes import ATTEMPTS, Vote
from trm_model.puzzles.questions import Arc, Puzzle, Question
from trm_model.solving.solve import Loaded, Solution, solve_all, solve_by_votes

SHOWN_CELLS = 12
"""Of the cells that a step changed, so many are listed."""


def describe(
    loaded: Loaded,
    text: str,
    *,
    where: str,
    task_name: str = "",
    puzzle_id: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    votes: int = 0,
) -> dict[str, Any]:
    """Solve the puzzles in a text and tell everything there is about the answers.

    :param where: where the text is from, for messages.
    :param task_name: ARC: the task's name; empty: unknown.
    :param puzzle_id: row of the puzzle table; None: the row of the task, 0 where it is unknown.
    :param votes: ARC: how many versions of the task vote; 0: no vote is taken.
    :returns: JSON values; drawings are under ``drawing``.
    :raises ConfigurationError: a text, a row, steps or votes that the model cannot have.
    """
    puzzle, notes, versions, task = loaded.puzzle, [], [], None
    try:
        if isinstance(puzzle, Arc):
            task, questions = puzzle.read_task(text, task_name or "task")
            versions = loaded.versions(task_name) if task_name else []
        else:
            questions = puzzle.read(text)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    row: int = puzzle_id if puzzle_id is not None else versions[0][0] if versions else 0
    if task is not None and not row:
        notes.append(
            f"task {task.name!r} is unknown to this checkpoint, as far as the puzzle names of its "
            "data are at hand: answered with row 0 of the puzzle table, which belongs to no task, "
            "so expect no right answer; name a task it was trained on by --task, or a row by "
            "--puzzle-id"
        )
    solutions = solve_all(
        loaded,
        np.stack([question.cells for question in questions]),
        np.full(len(questions), row),
        steps=steps,
        seed=seed,
    )
    answers = [
        _answer(puzzle, question, solution)
        for question, solution in zip(questions, solutions, strict=True)
    ]
    if votes:
        require(
            task is not None,
            f"--votes {votes}: this model answers {puzzle.name}; expected ARC, leave it out",
        )
        require(
            votes > 0 and bool(versions),
            f"--votes {votes}: no versions of the task are known; leave it out",
        )
        assert task is not None
        assert isinstance(puzzle, Arc)
        used = versions[:votes]
        for found in solve_by_votes(loaded, task, used, steps=steps, seed=seed):
            if found.rank <= ATTEMPTS:
                answers[found.test_input].setdefault("votes", []).append(
                    _attempt(puzzle, questions[found.test_input], found, len(used))
                )
    return {
        "model": loaded.description,
        "kind": puzzle.name,
        "side": puzzle.side,
        "puzzle_id": row,
        "notes": notes,
        "answers": answers,
    }


def _attempt(puzzle: Arc, question: Question, found: Vote, voters: int) -> dict[str, Any]:
    verdict = puzzle.compare(question, found.grid)
    return {
        "answer": found.grid.tolist(),
        "drawing": to_drawing(found.grid) or "(no grid)",
        "votes": found.votes,
        "of": voters,
        "halt_probability": found.mean_halt,
        "right": verdict.right,
        "verdict": str(verdict),
    }


def _answer(puzzle: Puzzle, question: Question, solution: Solution) -> dict[str, Any]:
    verdict = puzzle.judge(question, solution.final)
    return {
        "question": puzzle.plain(question.cells),
        "answer": puzzle.plain(solution.final),
        "drawing": puzzle.draw(solution.final),
        "right": verdict.right,
        "verdict": str(verdict),
        "steps": [
            {
                "answer": puzzle.plain(answer),
                "drawing": puzzle.draw(answer),
                "changed": np.flatnonzero(changed).tolist(),
                "halt_probability": float(probability),
            }
            for answer, changed, probability in zip(
                solution.answers, solution.changed, solution.halt_probabilities, strict=True
            )
        ],
    }


def to_text(result: dict[str, Any], *, show_steps: bool) -> str:
    """What :func:`describe` returns as lines for people.

    :param show_steps: also the answer after each supervision step.
    """
    side: int = result["side"]
    lines = [f"model: {result['model']}", *(f"note: {note}" for note in result["notes"])]
    for number, answer in enumerate(result["answers"], 1):
        steps: list[dict[str, Any]] = answer["steps"]
        if len(result["answers"]) > 1:
            lines += ["", f"test input {number}"]
        for step, described in enumerate(steps, 1) if show_steps else ():
            cells = [f"{cell // side + 1},{cell % side + 1}" for cell in described["changed"]]
            shown = " ".join(cells[:SHOWN_CELLS]) + (" …" if len(cells) > SHOWN_CELLS else "")
            heading = f"step {step}: halting probability {described['halt_probability']:.3f}, "
            if cells:
                lines += [
                    "",
                    f"{heading}{len(cells)} cells changed (row,column: {shown})",
                    described["drawing"],
                ]
            else:
                lines.append(f"{heading}no cell changed")
        last = steps[-1]["halt_probability"]
        lines += [
            "",
            answer["drawing"],
            f"{answer['verdict']} ({len(steps)} steps, halting probability {last:.3f})",
        ]
        for rank, voted in enumerate(answer.get("votes", ()), 1):
            lines += [
                "",
                f"attempt {rank}: {voted['votes']} of {voted['of']} votes, mean halting "
                f"probability {voted['halt_probability']:.3f}",
            ]
            lines += [voted["drawing"], voted["verdict"]]
    return "\n".join(lines)
