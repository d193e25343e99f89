"""A solved puzzle as JSON values and as text: what ``trm solve`` prints."""

from pathlib import Path
from typing import Any

import numpy as np

from trm_model.errors import require
from trm_model.model.evaluation import Evaluation
from trm_model.puzzles.arc.drawing import to_drawing
from trm_model.solving.moving import write_gif
from trm_model.solving.trained import Solution, TrainedModel
from trm_model.solving.votes import Attempt, solve_by_votes
from trm_model.texts import counted

SHOWN_CELLS = 12
"""Of the cells that a step changed, so many are listed."""


def describe(
    model: TrainedModel,
    text: str,
    *,
    where: str,
    task_name: str = "",
    puzzle_id: int | None = None,
    evaluation: Evaluation | None = None,
    votes: int = 0,
    gif: Path | None = None,
) -> dict[str, Any]:
    """Solve the puzzles in a text and tell everything there is about the answers.

    :param where: where the text is from, for messages.
    :param task_name: ARC: the task's name; empty: unknown.
    :param puzzle_id: row of the puzzle table; None: the row of the task, 0 where it is unknown.
    :param evaluation: how the model answers; None: as the variant is evaluated.
    :param votes: ARC: how many versions of the task vote; 0: no vote is taken.
    :param gif: a file for the moving picture of the answers; None: none is made.
    :returns: JSON values; drawings are under ``drawing``.
    :raises ConfigurationError: a text, a row, an evaluation or votes that the model cannot have.
    """
    family, notes, evaluation = model.family, [], evaluation or model.evaluation()
    questions = model.questions(text, where)
    row = model.row_of(task_name) if puzzle_id is None else puzzle_id
    if family.votes and not row:
        notes.append(
            f"task {task_name or 'task'!r} is unknown to this checkpoint, as far as the puzzle "
            "names of its data are at hand: answered with row 0 of the puzzle table, which "
            "belongs to no task, so expect no right answer; name a task it was trained on by "
            "--task, or a row by --puzzle-id"
        )
    solutions = model.solve_questions(questions, row, evaluation)
    if gif is not None:
        notes.append(f"made {gif}, {write_gif(gif, solutions)} frames")
    answers = [_answer(found) for found in solutions]
    if votes:
        require(
            family.votes,
            f"--votes {votes}: this model answers {family.name}; expected ARC, leave it out",
        )
        versions = model.versions(task_name) if task_name else []
        require(
            votes > 0 and bool(versions),
            f"--votes {votes}: no versions of the task are known; leave it out",
        )
        for attempt in solve_by_votes(model, text, versions[:votes], evaluation):
            voted = answers[attempt.vote.test_input].setdefault("votes", [])
            voted.append(_attempt(attempt))
    return {
        "model": model.description,
        "kind": family.name,
        "grid": list(family.grid),
        "puzzle_id": row,
        "notes": notes,
        "answers": answers,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    vote = attempt.vote
    return {
        "answer": vote.grid.tolist(),
        "drawing": to_drawing(vote.grid) or "(no grid)",
        "votes": vote.votes,
        "of": attempt.voters,
        "halt_probability": vote.mean_halt,
        "right": attempt.verdict.right,
        "verdict": str(attempt.verdict),
    }


def _answer(solution: Solution) -> dict[str, Any]:
    family, verdict = solution.family, solution.verdict
    steps = zip(solution.answers, solution.changed, solution.halt_probabilities, strict=True)
    return {
        "question": family.plain(solution.question.cells),
        "answer": solution.plain,
        "drawing": family.draw(solution.final),
        "right": verdict.right,
        "verdict": str(verdict),
        "steps": [
            {
                "answer": family.plain(answer),
                "drawing": family.draw(answer),
                "changed": np.flatnonzero(changed).tolist(),
                "halt_probability": float(probability),
            }
            for answer, changed, probability in steps
        ],
    }


def to_text(result: dict[str, Any], *, show_steps: bool) -> str:
    """What :func:`describe` returns as lines for people.

    :param show_steps: also the answer after each supervision step.
    """
    _, columns = result["grid"]
    lines = [f"model: {result['model']}", *(f"note: {note}" for note in result["notes"])]
    for number, answer in enumerate(result["answers"], 1):
        steps: list[dict[str, Any]] = answer["steps"]
        if len(result["answers"]) > 1:
            lines += ["", f"test input {number}"]
        for step, described in enumerate(steps, 1) if show_steps else ():
            cells = [f"{cell // columns + 1},{cell % columns + 1}" for cell in described["changed"]]
            shown = " ".join(cells[:SHOWN_CELLS]) + (" …" if len(cells) > SHOWN_CELLS else "")
            heading = f"step {step}: halting probability {described['halt_probability']:.3f}, "
            if cells:
                lines += [
                    "",
                    f"{heading}{counted(len(cells), 'cell')} changed (row,column: {shown})",
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
