"""One puzzle in, its answer and steps out: the same as the evaluation's, from every form of
checkpoint."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from assets.data.datasets import write_dataset
from assets.families.sequence import GeneratedAddition
from storage.examples import Examples, Header, open_header, read_examples
from storage.store import LocalStore
from tests.trm_model.puzzles.test_arc import naive_tokens, random_task
from tests.trm_model.training.recipes import TINY, tiny_spec
from trm_model import command
from trm_model.authors import checkpoints as authors
from trm_model.errors import ConfigurationError
from trm_model.evaluation.evaluate import evaluate
from trm_model.model.batch import DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import build
from trm_model.model.selections.first_to_halt import FirstToHalt
from trm_model.puzzles import maze, sudoku
from trm_model.puzzles.arc.augmentation import Augmentation, crop
from trm_model.puzzles.arc.examples import make_examples
from trm_model.puzzles.arc.family import Arc
from trm_model.puzzles.arc.parsing import from_task
from trm_model.puzzles.arc.tasks import Task
from trm_model.puzzles.arc.tokens import to_tokens
from trm_model.puzzles.family import NO_SOLUTION, Question, Tokens
from trm_model.puzzles.maze.family import Maze
from trm_model.puzzles.plans import open_examples
from trm_model.puzzles.registry import family_of
from trm_model.puzzles.sequence.family import Addition
from trm_model.puzzles.sudoku.family import Sudoku
from trm_model.seeding import numpy_generator
from trm_model.solving.loading import AuthorsFile, load
from trm_model.solving.trained import BATCH, Solution, TrainedModel
from trm_model.solving.votes import count_votes
from trm_model.training import checkpoint as checkpoints
from trm_model.training.loop import train
from trm_model.training.run import RunSpec
from trm_model.variants import VARIANTS

Tiny = tuple[LocalStore, Path, str]


def main(arguments: list[str]) -> int:
    """``python -m trm_model solve``; returns the exit code."""
    return command.main(["solve", *arguments])


def solve(
    model: TrainedModel, cells: Tokens, puzzle_id: int = 0, steps: int | None = None
) -> Solution:
    evaluation = model.evaluation(depth=steps)
    return model.solve_questions([Question(cells)], puzzle_id, evaluation)[0]


def solve_all(model: TrainedModel, questions: Tokens) -> list[Solution]:
    rows = [Question(cells) for cells in questions]
    return model.solve_questions(rows, 0, model.evaluation())


def trained(run: Path, tiny: Tiny, variant: str, header: Header | None, steps: int = 3) -> Path:
    _, folder, content_hash = tiny
    spec = replace(tiny_spec(run, folder, content_hash, variant, steps=steps), header=header)
    run.mkdir(parents=True)
    spec.write(run)
    train(
        run,
        spec.variant,
        spec.recipe,
        open_examples(folder / "train.zarr"),
        spec.seed,
        spec.execution,
        report=lambda _: None,
    )
    return run


@pytest.fixture(scope="module")
def run(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run whose data set is gone: reached by its link, as the graph leaves it."""
    store, folder, content_hash = tiny
    parent = tmp_path_factory.mktemp("runs")
    made = trained(
        parent / "key",
        (store, folder, content_hash),
        "trm_mlp",
        open_header(folder / "train.zarr"),
    )
    replace(RunSpec.read(made), data="gone").write(made)
    (parent / "current").symlink_to("key")
    return parent / "current"


@pytest.fixture(scope="module")
def examples(tiny: Tiny) -> Examples:
    return read_examples(tiny[1] / "test.zarr")


def assert_as_evaluated(
    loaded: TrainedModel, examples: Examples, solutions: list[Solution]
) -> None:
    result = evaluate(
        loaded.reasoner,
        DeviceExamples(examples, torch.device("cpu")),
        max_steps=loaded.max_steps,
        batch_size=5,
        index=np.arange(len(solutions)),
    )
    np.testing.assert_array_equal([solution.answers for solution in solutions], result.predictions)
    torch.testing.assert_close(
        torch.tensor(np.array([solution.halt_logits for solution in solutions])),
        torch.tensor(result.halt_logits),
        rtol=1e-5,
        atol=1e-5,
    )


def random_model(variant: str, header: Header, seed: int = 0) -> TrainedModel:
    """An untrained model with random numbers in place of zeros; ``steps`` as in the tiny recipe."""
    reasoner = build(VARIANTS[variant], TINY.size, header, seed).eval()
    generator = torch.Generator().manual_seed(seed)
    reasoner.puzzle_rows.copy_(torch.randn(reasoner.puzzle_rows.shape, generator=generator))
    reasoner.halt_weight.data.normal_(generator=generator)
    puzzle = {len(sudoku.SHAPES[4].vocabulary): Sudoku(4), 12: Arc(header.grid[0])}[
        len(header.vocabulary)
    ]
    return TrainedModel(reasoner, puzzle, TINY.max_steps, lambda _: [], variant)


def test_from_a_run_and_from_its_checkpoint_as_evaluated_without_the_data(
    run: Path, examples: Examples
) -> None:
    loaded = load(run, device="cpu")
    state = checkpoints.load(checkpoints.saved(run)[-1])
    assert torch.equal(loaded.reasoner.tokens, state.average["tokens"])
    assert not torch.equal(state.average["tokens"], state.weights["tokens"])
    assert loaded.family == Sudoku(4)
    solutions = solve_all(loaded, examples.inputs[:8])
    assert_as_evaluated(loaded, examples, solutions)
    again = load(checkpoints.saved(run)[-1], device="cpu")
    one = solve(again, examples.inputs[3])
    np.testing.assert_array_equal(one.answers, solutions[3].answers)
    before = examples.inputs[3]
    for step, answer in enumerate(one.answers):
        np.testing.assert_array_equal(one.changed[step], answer != before)
        before = answer
    np.testing.assert_allclose(
        np.log(one.halt_probabilities / (1 - one.halt_probabilities)), one.halt_logits, rtol=1e-4
    )
    assert len(solve(again, examples.inputs[3], steps=7).answers) == 7


@pytest.mark.parametrize(
    "variant", ["hrm", "direct", "drm", "winner_takes_all", "single_feature", "autoregressive"]
)
def test_every_recursion_answers_as_evaluated(variant: str, examples: Examples) -> None:
    loaded = random_model(variant, examples.header)
    solutions = solve_all(loaded, examples.inputs[:4])
    assert len(solutions[0].answers) == loaded.reasoner.variant.test_steps(TINY.max_steps)
    assert_as_evaluated(loaded, examples, solutions)


@pytest.mark.parametrize("variant", ["trm_mlp", "hrm", "drm", "direct"])
def test_from_a_file_of_the_authors(variant: str, examples: Examples, tmp_path: Path) -> None:
    ours = random_model(variant, examples.header)
    authors.save(ours.reasoner, tmp_path / "step_9")
    theirs = AuthorsFile(heads=TINY.size.heads, length=16, prefix=TINY.size.prefix)
    loaded = load(tmp_path / "step_9", device="cpu", kind="sudoku", theirs=theirs)
    found, expected = (
        solve(loaded, examples.inputs[0]),
        solve(ours, examples.inputs[0], steps=loaded.max_steps),
    )
    if variant == "direct":  # theirs runs one step: nothing is carried
        assert len(found.answers) == 1
    np.testing.assert_array_equal(found.answers, expected.answers[: len(found.answers)])
    # n and T are no shapes: other ones are another model.
    if variant == "hrm":
        other = load(
            tmp_path / "step_9",
            device="cpu",
            kind="sudoku",
            theirs=replace(theirs, latent_updates=5, cycles=1),
        )
        assert (other.reasoner.variant.latent_updates, other.reasoner.variant.cycles) == (5, 1)
        assert (solve(other, examples.inputs[0]).halt_logits != found.halt_logits).any()


def test_an_older_run_reads_the_header_from_its_data(tiny: Tiny, tmp_path: Path) -> None:
    made = trained(tmp_path / "run", tiny, "trm_mlp", None, steps=1)
    description = json.loads((made / "run.json").read_text())
    del description["header"]
    (made / "run.json").write_text(json.dumps(description))
    assert load(made, device="cpu").family == Sudoku(4)
    (made / "run.json").write_text(json.dumps({**description, "data": "gone"}))
    with pytest.raises(
        ConfigurationError,
        match=r"run.json: no header, and the data set .*gone that has it cannot be read",
    ):
        load(made)


# Kinds


def test_sudoku_is_read_drawn_and_judged() -> None:
    puzzle, shape = Sudoku(9), sudoku.SHAPES[9]
    made = sudoku.generate(1, shape, seed=0)
    text, answer = sudoku.to_text(made.puzzles[0]), sudoku.to_tokens(made.answers[0])
    (question,) = puzzle.read(text)
    assert puzzle.plain(question.cells) == text
    for other in (
        text.replace(".", "0") + "\n",
        puzzle.draw(question.cells),
        "\n".join(text[row : row + 9] for row in range(0, 81, 9)),
    ):
        np.testing.assert_array_equal(puzzle.read(other)[0].cells, question.cells)
    assert puzzle.judge(question, answer).right
    clue, blank = (
        np.flatnonzero((question.cells != sudoku.BLANK) == given)[0] for given in (True, False)
    )
    for cell, message in ((clue, "clues changed: 1"), (blank, "not every row")):
        wrong = answer.copy()
        wrong[cell] = 2 + (wrong[cell] - 1) % 9
        assert puzzle.judge(question, wrong).right is False
        assert message in puzzle.judge(question, wrong).reason
    # DRM's mask is one token more than there are; it stands for nothing.
    assert puzzle.plain(np.full(81, len(puzzle.vocabulary), np.uint8)) == "." * 81
    for text, message in (
        ("1" * 80, "80 cells: expected 81"),
        ("x" * 81, "character 'x' at cell 1"),
    ):
        with pytest.raises(ValueError, match=message):
            puzzle.read(text)


GOOD_MAZE, GOOD_ANSWER = "S # #    #  #  G", "So# #oo  #o # oG"


def test_mazes_are_read_drawn_and_judged() -> None:
    puzzle = Maze(4)
    (question,) = puzzle.read(GOOD_MAZE)
    assert puzzle.plain(question.cells) == GOOD_MAZE
    picture = "\n".join(GOOD_MAZE[row : row + 4].rstrip() for row in range(0, 16, 4)) + "\n"
    np.testing.assert_array_equal(puzzle.read(picture)[0].cells, question.cells)
    assert puzzle.plain(puzzle.read("S\n\n  G\n\n")[0].cells) == "S" + " " * 9 + "G" + " " * 5
    answer = maze.from_text(GOOD_ANSWER, 4)
    assert puzzle.judge(question, answer) == (True, "a shortest path from S to G, 6 moves")
    assert (
        "4 marks are no shortest path"
        in puzzle.judge(
            question, np.where(np.arange(16) == 1, maze.SPACE, answer).astype(np.uint8)
        ).reason
    )
    assert (
        "cells of the maze changed: 1"
        in puzzle.judge(
            question, np.where(np.arange(16) == 2, maze.PATH, answer).astype(np.uint8)
        ).reason
    )
    blocked = puzzle.read("S#  # #     #  G")[0]
    verdict = puzzle.judge(blocked, blocked.cells)
    assert verdict == (False, f"{NO_SOLUTION}: there is no way from S to G")
    assert "?" in puzzle.draw(np.full(16, 6, np.uint8))
    for text, message in (
        ("S G", "3 cells: expected 16"),
        ("S   G\n\n\n\n", "row 1 has 5 cells"),
        (GOOD_MAZE.replace("G", "S"), "2 S in the maze"),
        (GOOD_ANSWER, "the maze has o"),
        ("x" * 16, "character 'x' at cell 1"),
    ):
        with pytest.raises(ValueError, match=message):
            puzzle.read(text)


def test_arc_tasks_are_read_drawn_and_judged() -> None:
    task, puzzle = random_task("task", 0, tests=2), Arc(8)
    value = from_task(task)
    del value["test"][1]["output"]
    questions = puzzle.read(json.dumps(value))
    for question, pair in zip(questions, task.test, strict=True):
        np.testing.assert_array_equal(question.cells, naive_tokens(pair.input))
        np.testing.assert_array_equal(to_tokens(pair.input, 8), naive_tokens(pair.input))
        assert puzzle.plain(question.cells) == pair.input.tolist()
    right, other = naive_tokens(task.test[0].output), np.full((8, 8), 3, np.uint8)
    assert puzzle.judge(questions[0], right).right is True
    assert puzzle.judge(questions[1], right).right is None
    assert "a grid of 8 x 8, expected" in puzzle.judge(questions[0], to_tokens(other, 8)).reason
    changed = task.test[0].output.copy()
    changed[0, 0] = 9 - changed[0, 0]
    assert puzzle.judge(questions[0], naive_tokens(changed)).reason.startswith("1 of ")
    assert puzzle.draw(np.zeros(64, np.uint8)) == "(no grid)"
    # To the border of the frame, where no room for end marks is.
    np.testing.assert_array_equal(to_tokens(other, 8), naive_tokens(other))
    for text, message in (
        ("{", "no JSON"),
        ("[]", "expected an object with 'train' and 'test'"),
        (json.dumps({**value, "test": []}), "'test' is an empty list"),
        (json.dumps({**value, "test": [{}]}), "test pair 1 has no 'input'"),
        (json.dumps({**value, "test": [3]}), "test pair 1 is 3"),
        (
            json.dumps({**value, "test": [{"input": [[0] * 9]}]}),
            "test input 1 is 1 x 9: expected at most the model's 8 x 8",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            puzzle.read(text)


# ARC's rows and votes


def arc_model() -> tuple[TrainedModel, Task, list[tuple[int, Augmentation]]]:
    task = random_task("known", 1, tests=2)
    source, _ = make_examples([random_task("other", 0)], [task], augmentations=6, seed=0, side=8)
    versions = [
        (int(row), source.augmentation(puzzle)) for puzzle, row in enumerate(source.puzzle_ids)
    ]
    return (
        random_model("trm", source.header),
        task,
        [version for version in versions if version[1].task == "known"],
    )


def test_votes_are_those_of_each_version_by_itself() -> None:
    loaded, task, versions = arc_model()
    votes = count_votes(loaded, task, versions, loaded.evaluation(depth=2))
    for number, pair in enumerate(task.test):
        ballots: dict[tuple[Any, ...], int] = {}
        for row, version in versions:
            answer = solve(loaded, naive_tokens(version.apply(pair.input)), row, steps=2).final
            grid = version.undo(crop(answer))
            key = (grid.shape, grid.tobytes())
            ballots[key] = ballots.get(key, 0) + 1
        found = {
            (vote.grid.shape, vote.grid.tobytes()): vote.votes
            for vote in votes
            if vote.test_input == number
        }
        assert sum(found.values()) == len(versions) == 7
        assert sorted(found.values()) == sorted(ballots.values())


def test_a_run_finds_a_task_by_its_name_in_the_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded, task, versions = arc_model()
    header = Header(
        vocabulary=loaded.family.vocabulary,
        grid=(8, 8),
        num_puzzle_ids=len(loaded.reasoner.puzzle_rows),
    )
    run, data = tmp_path / "run", tmp_path / "data"
    run.mkdir()
    replace(tiny_spec(run, data, "", "trm"), header=header).write(run)
    weights = loaded.reasoner.state_dict()
    checkpoints.save(run, checkpoints.Checkpoint(weights, {}, {}, {}, checkpoints.Progress(step=1)))
    (data / "puzzles").mkdir(parents=True)
    rows = [(row, version.name, "known") for row, version in reversed(versions)] + [
        (1, "other", "other")
    ]
    table = pl.DataFrame(rows, schema=["puzzle_id", "name", "base"], orient="row")
    table.write_parquet(data / "puzzles" / "train-00000.parquet")
    (tmp_path / "known.json").write_text(json.dumps(from_task(task)))
    for gone in (False, True):
        if gone:
            shutil.rmtree(data)
        assert (
            main(
                [
                    str(run),
                    str(tmp_path / "known.json"),
                    "--json",
                    "--depth",
                    "2",
                    "--device",
                    "cpu",
                ]
            )
            == 0
        )
        told = json.loads(capsys.readouterr().out)
        assert (told["puzzle_id"], len(told["notes"])) == ((0, 1) if gone else (versions[0][0], 0))
        expected = solve(loaded, naive_tokens(task.test[1].input), told["puzzle_id"], steps=2)
        assert told["answers"][1]["answer"] == loaded.family.plain(expected.final)


def test_known_and_unknown_tasks_of_a_file_of_the_authors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded, task, versions = arc_model()
    authors.save(loaded.reasoner, tmp_path / "step_9")
    rows = len(loaded.reasoner.puzzle_rows)
    names = [f"filler{row}" for row in range(rows)]
    for row, version in versions:
        names[row] = version.name
    (tmp_path / "identifiers.json").write_text(json.dumps(names))
    (tmp_path / "known.json").write_text(json.dumps(from_task(task)))
    (tmp_path / "new.json").write_text(json.dumps(from_task(task)))
    sizes = [
        "--heads",
        "2",
        "--length",
        "64",
        "--prefix",
        "2",
        "--device",
        "cpu",
        "--json",
        "--depth",
        "2",
    ]
    with_names = [*sizes, "--identifiers", str(tmp_path / "identifiers.json")]

    def told(file: str, *arguments: str) -> dict[str, Any]:
        assert main([str(tmp_path / "step_9"), str(tmp_path / file), *arguments]) == 0
        return json.loads(capsys.readouterr().out)

    known = told("known.json", *with_names, "--votes", "5")
    assert (known["puzzle_id"], known["notes"], len(known["answers"])) == (versions[0][0], [], 2)
    expected = solve(loaded, naive_tokens(task.test[1].input), versions[0][0], steps=2)
    assert known["answers"][1]["answer"] == loaded.family.plain(expected.final)
    assert known["answers"][0]["votes"][0]["of"] == 5
    unknown = told("new.json", *with_names)
    assert unknown["puzzle_id"] == 0
    assert "task 'new' is unknown to this checkpoint" in unknown["notes"][0]
    assert (
        told("new.json", *with_names, "--task", "known")["answers"][1]["answer"]
        == known["answers"][1]["answer"]
    )
    assert (
        told("new.json", *sizes, "--puzzle-id", str(versions[0][0]))["answers"][1]["answer"]
        == known["answers"][1]["answer"]
    )
    for file, arguments, message in (
        ("new.json", [*with_names, "--votes", "3"], "no versions of the task are known"),
        ("known.json", [*with_names, "--puzzle-id", "999"], f"expected 0..{rows - 1}"),
        (
            "known.json",
            [*sizes, "--identifiers", str(tmp_path / "known.json")],
            f"expected a list of {rows} puzzle names",
        ),
    ):
        assert main([str(tmp_path / "step_9"), str(tmp_path / file), *arguments]) == 2
        assert message in capsys.readouterr().err


# The command line


def test_the_command_reads_a_file_a_string_and_standard_input(
    run: Path,
    examples: Examples,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = Sudoku(4).plain(examples.inputs[0])
    (tmp_path / "puzzle.txt").write_text(text + "\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    told = []
    for given in (text, str(tmp_path / "puzzle.txt"), "-"):
        assert main([str(run), given, "--json", "--device", "cpu"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == told[1] == told[2]
    (answer,) = told[0]["answers"]
    assert answer["question"] == text
    expected = solve(load(run, device="cpu"), examples.inputs[0])
    assert [step["answer"] for step in answer["steps"]] == [
        Sudoku(4).plain(cells) for cells in expected.answers
    ]
    assert answer["right"] == bool((expected.final == examples.labels[0]).all())
    assert main([str(run), text, "--show-steps", "--depth", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("model: trm_mlp trained on tiny, seed 0, step 3 of 3\n")
    assert (
        f"step 1: halting probability {expected.halt_probabilities[0]:.3f}, "
        f"{expected.changed[0].sum()} cells changed" in shown
    )
    assert Sudoku(4).draw(expected.answers[1]) in shown


def test_how_to_answer_is_said_alike_in_python_and_on_the_command_line(
    run: Path, examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load(run, device="cpu")
    with torch.no_grad():  # A trained head that never halts would select nothing.
        model.reasoner.halt_bias.zero_()
    asked = Evaluation(depth=5, rollouts=4, noise=0.9, selection=FirstToHalt(), seed=2)
    expected = evaluate(
        model.reasoner,
        DeviceExamples(examples, torch.device("cpu")),
        asked,
        max_steps=model.max_steps,
        batch_size=BATCH,
        index=np.arange(5),
    ).predictions[:, -1]
    named: dict[str, Any] = {"depth": 5, "rollouts": 4, "noise": 0.9}
    chosen: dict[str, Any] = {**named, "selection": "first_to_halt", "seed": 2}
    np.testing.assert_array_equal(model.predict(examples.inputs[:5], **chosen), expected)
    # Each of them counts; of the depth see test_text_paths_and_tokens_as_a_user_would_pass_them.
    answers = model.predict(examples.inputs, **chosen)
    for left_out in ("rollouts", "noise", "selection", "seed"):
        others = {name: value for name, value in chosen.items() if name != left_out}
        assert (model.predict(examples.inputs, **others) != answers).any(), left_out
    text = str(Sudoku(4).plain(examples.inputs[0]))
    solution = load(run, device="cpu").solve(text, **chosen)
    given = ["--depth", "5", "--rollouts", "4", "--seed", "2"]
    given += ["--set", "noise=0.9", "--set", "selection=first_to_halt"]
    assert main([str(run), text, "--json", "--device", "cpu", *given]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    assert [step["answer"] for step in answer["steps"]] == [
        Sudoku(4).plain(cells) for cells in solution.answers
    ]
    for wrong, message in (
        (["--set", "nois=1"], "nois"),
        (["--set", "noise"], "--set noise: expected FIELD=VALUE"),
        (["--set", "depth=3"], "give --depth 3"),
        (["--set", "noise=1", "--set", "noise=2"], "once for each field"),
    ):
        assert main([str(run), text, *wrong]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


class Malicious:
    """Pickled, it would write a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


def test_mistakes_are_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    torch.save(Malicious(tmp_path / "touched"), tmp_path / "pickled")
    damaged = Path(shutil.copytree(run.resolve(), tmp_path / "damaged"))
    weights = checkpoints.saved(damaged)[-1] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    untrained = Path(shutil.copytree(run.resolve(), tmp_path / "untrained"))
    shutil.rmtree(untrained / "checkpoints")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, content in (
        ("cut", "poin"),
        ("empty_file", ""),
        ("zeros", "\0" * 17),
        ("changed", "qoints to damaged"),
        ("twice", "points to changed"),
        ("gone", "points to elsewhere"),
    ):
        (tmp_path / name).write_text(content)
    puzzle, sizes = "1.......4......2", ["--heads", "2", "--length", "16"]
    for arguments, message in (
        (
            [str(run), "1" * 81],
            "the puzzle given (there is no file of that name): 81 cells: expected 16, the model's "
            "4 x 4",
        ),
        ([str(run), "9" * 16], "character '9' at cell 1"),
        ([str(run), "nowhere.txt"], "there is no file of that name"),
        ([str(run), str(tmp_path / "binary")], "not a text file"),
        ([str(run), puzzle, "--kind", "maze"], "which is sudoku: expected maze"),
        (
            [str(run), puzzle, "--depth", "0"],
            "depth=0: expected a whole number of at least 1",
        ),
        ([str(run), puzzle, "--votes", "4"], "this model answers sudoku"),
        ([str(run), puzzle, "--device", "nonsense"], "device='nonsense'"),
        ([str(run), puzzle, "--device", "cuda:99"], "device='cuda:99'"),
        ([str(run), puzzle, *sizes], "a folder, hence a checkpoint of ours"),
        ([str(tmp_path / "nowhere"), puzzle], "nowhere: no such checkpoint"),
        ([str(tmp_path / "empty"), puzzle], "neither a run"),
        ([str(tmp_path / "cut"), puzzle], "cut: neither a pointer, which is a file that says"),
        ([str(tmp_path / "cut"), puzzle, *sizes], "or remove it and train again (trm train)"),
        ([str(tmp_path / "empty_file"), puzzle], "empty_file: neither a pointer"),
        ([str(tmp_path / "zeros"), puzzle], "zeros: neither a pointer"),
        ([str(tmp_path / "changed"), puzzle], "changed: neither a pointer"),
        ([str(tmp_path / "twice"), puzzle], "changed: neither a pointer"),
        (
            [str(tmp_path / "changed" / "checkpoints" / "step-1"), puzzle],
            "changed: a file, expected a folder or a pointer",
        ),
        ([str(tmp_path / "gone"), puzzle], f"no such checkpoint, to which {tmp_path / 'gone'}"),
        ([str(untrained), puzzle], "no checkpoint yet"),
        ([str(damaged), puzzle], "weights.safetensors: its bytes changed"),
        ([str(tmp_path / "pickled"), puzzle], "expected --heads and --length"),
        ([str(tmp_path / "pickled"), puzzle, "--heads", "2"], "expected both"),
        ([str(tmp_path / "pickled"), puzzle, *sizes], "not a plain state dict"),
    ):
        assert main(arguments) == 2, arguments
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "touched").exists()


def test_what_sizes_leave_open_is_asked_for(examples: Examples, tmp_path: Path) -> None:
    """Six tokens on 16 cells are a Sudoku or a maze."""
    authors.save(random_model("trm_mlp", examples.header).reasoner, tmp_path / "step_9")
    theirs = AuthorsFile(heads=2, length=16)
    with pytest.raises(
        ConfigurationError, match="6 tokens on 16 cells, which is sudoku or maze: expected one kind"
    ):
        load(tmp_path / "step_9", theirs=theirs)
    assert load(tmp_path / "step_9", theirs=theirs, kind="maze").family == Maze(4)


def test_many_questions_are_answered_in_parts_as_one_by_one(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = random_model("winner_takes_all", examples.header)
    questions = examples.inputs[numpy_generator(0, "which").integers(0, len(examples.inputs), 7)]
    whole = solve_all(loaded, questions)
    monkeypatch.setattr("trm_model.solving.trained.BATCH", 3)
    for one, other in zip(whole, solve_all(loaded, questions), strict=True):
        np.testing.assert_array_equal(one.answers, other.answers)


def test_text_paths_and_tokens_as_a_user_would_pass_them(
    run: Path, examples: Examples, tmp_path: Path
) -> None:
    model = load(str(run), device="cpu")
    texts = [str(Sudoku(4).plain(cells)) for cells in examples.inputs[:3]]
    (tmp_path / "puzzle.txt").write_text(texts[0])
    expected = solve_all(model, examples.inputs[:3])
    for given in (texts[0], str(tmp_path / "puzzle.txt"), tmp_path / "puzzle.txt"):
        solution = model.solve(given)
        np.testing.assert_array_equal(solution.answers, expected[0].answers)
        assert solution.plain == Sudoku(4).plain(expected[0].final)
        assert solution.verdict.right == bool((expected[0].final == examples.labels[0]).all())
        assert str(solution) == f"{Sudoku(4).draw(solution.final)}\n{solution.verdict}"
    finals = np.stack([solution.final for solution in expected])
    for inputs in (examples.inputs[:3], examples.inputs[:3].tolist(), texts):
        np.testing.assert_array_equal(model.predict(inputs), finals)
    for inputs in (examples.inputs[1], texts[1]):
        np.testing.assert_array_equal(model.predict(inputs), finals[1:2])
    deeper = model.predict(texts, depth=7)
    np.testing.assert_array_equal(
        deeper, [solve(model, cells, steps=7).final for cells in examples.inputs[:3]]
    )
    assert model.predict(np.zeros((0, 16), np.uint8)).shape == (0, 16)
    for wrong, message in (
        ("1" * 15, "15 cells: expected 16"),
        (tmp_path / "nowhere", "nowhere"),
    ):
        with pytest.raises((ConfigurationError, OSError), match=message):
            model.solve(wrong)
    with pytest.raises(ConfigurationError, match="of tokens below 6"):
        model.predict(np.full((1, 16), 6))
    with pytest.raises(ConfigurationError, match="rollouts=0"):
        model.predict(texts, rollouts=0)


def test_a_model_of_sums_answers_a_sum() -> None:
    family = Addition(2)
    header = Header(vocabulary=family.vocabulary, grid=family.grid)
    assert family_of(header) == family
    reasoner = build(VARIANTS["autoregressive"], TINY.size, header, 0).eval()
    model = TrainedModel(reasoner, family, TINY.max_steps, lambda _: [], "sums")
    solution = model.solve("12+34=")
    assert solution.verdict.right is False
    assert len(solution.plain) > 0


def test_a_model_of_sums_is_asked_in_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    origin = GeneratedAddition(digits=2, train=30, test=10)
    store = LocalStore.create(tmp_path / "store")
    key, content_hash = write_dataset(
        store, "sums", origin.puzzles().frame, origin, augmentations=1, seed=0
    )
    folder = store.open(key)
    header = open_header(folder / "train.zarr")
    made = trained(tmp_path / "run", (store, folder, content_hash), "trm_mlp", header)
    assert main([str(made), "12+34=", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["kind"], result["grid"]) == ("sequence", [1, 9])
    [answer] = result["answers"]
    assert answer["question"] == "12+34=___"
    assert len(answer["answer"]) == 9
    assert answer["right"] == (answer["answer"][6:] == "640")
    assert main([str(made), "12+345="]) == 2
    assert "expected numbers of at most 2 digits" in capsys.readouterr().err
    assert main([str(made), "12+34=", "--show-steps"]) == 0
