"""Looking into a model shows what it does, and changes nothing of it."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from storage.examples import Examples, read_examples
from storage.store import LocalStore
from tests.trm_model.solving.test_solve import random_model
from trm_model import command
from trm_model.authors import checkpoints as authors
from trm_model.errors import ConfigurationError
from trm_model.evaluation.evaluate import evaluate
from trm_model.inspection.failures import failure_sheet, failures
from trm_model.inspection.inspection import Inspection, inspect_examples, inspect_questions
from trm_model.inspection.recording import blocks_of
from trm_model.model.batch import DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.model.mixers.attention import SelfAttention
from trm_model.model.mixers.mixer import influence
from trm_model.noise import Noise
from trm_model.puzzles.sudoku.family import Sudoku
from trm_model.variants import VARIANTS

PUZZLE = ".1..42132....3.2"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def examples(tiny: tuple[LocalStore, Path, str]) -> Examples:
    return read_examples(tiny[1] / "test.zarr")


def looked_into(variant: str, examples: Examples, index: list[int]) -> Inspection:
    return inspect_examples(random_model(variant, examples.header), examples, index, layers=[])


@pytest.mark.parametrize(
    "variant",
    ["trm_mlp", "trm", "hrm", "direct", "drm", "single_feature", "multi_scale", "fixed_point",
     "random_latents", "separate_networks", "with_act", "short_convolution"],
)  # fmt: skip
def test_every_variant_answers_as_evaluated_and_each_call_is_seen(
    variant: str, examples: Examples
) -> None:
    model, index = random_model(variant, examples.header), [3, 0, 7]
    seen = inspect_examples(model, examples, index).recording
    expected = evaluate(
        model.reasoner,
        DeviceExamples(examples, CPU),
        max_steps=model.max_steps,
        batch_size=3,
        index=np.array(index),
    )
    np.testing.assert_array_equal(seen.answers, expected.predictions)
    np.testing.assert_allclose(seen.halt_logits, expected.halt_logits, rtol=1e-5, atol=1e-5)
    facts = VARIANTS[variant]
    steps, calls = seen.residuals.shape[1:]
    assert (steps, calls) == (facts.test_steps(model.max_steps), facts.calls)
    cycle = facts.latent_updates + 1
    names = {0: [], 1: ["z"]}.get(facts.latents, [f"z{n}" for n in range(1, facts.latents + 1)])
    of_latents = [names[call % len(names)] if names else "y" for call in range(cycle - 1)]
    assert seen.calls == (*of_latents, "y") * facts.cycles
    assert seen.features == ("y", *names)
    depth = max(facts.layers, facts.answer_layers or 0)
    assert set(seen.maps) == {(name, layer) for name in seen.features for layer in range(depth)}
    for maps in seen.maps.values():
        assert maps.shape[0] == len(index)
        assert maps.shape[2:] == (model.reasoner.size.prefix + 16,) * 2
        assert (maps >= 0).all()
        np.testing.assert_allclose(maps.sum(-1), 1.0, rtol=1e-4)
    hooks = [module for module in model.reasoner.modules() if vars(module)["_forward_pre_hooks"]]
    assert hooks == []


@pytest.mark.parametrize("damping", [None, 0.25])
def test_residuals_and_readings_are_those_of_the_equations(
    examples: Examples, damping: float | None
) -> None:
    model = random_model("trm_mlp", examples.header)
    reasoner, [network] = model.reasoner, model.reasoner.networks
    evaluation = Evaluation(damping=damping)
    seen = inspect_examples(model, examples, [5], evaluation=evaluation, layers=[]).recording
    share = damping or 1.0
    batch = DeviceExamples(examples, CPU).gather(np.array([5]))
    with torch.no_grad():
        x = reasoner.embed(batch.inputs, reasoner.puzzle_rows[batch.puzzle_ids])
        start = reasoner.start(Noise(0, torch.tensor([5])))
        y, [z] = start
        for step in range(model.max_steps):
            residuals: list[float] = []
            for call in range(reasoner.variant.calls):
                old = y if call % 7 == 6 else z
                new = network(y + z) if call % 7 == 6 else z.lerp(network(x + y + z), share)
                residuals.append(float((new - old).norm() / new.norm()))
                y, z = (new, z) if call % 7 == 6 else (y, new)
            np.testing.assert_allclose(seen.residuals[0, step], residuals, rtol=1e-3, atol=1e-5)
            assert reasoner.head is not None
            for which, part in enumerate((y, z)):
                scores = part[0, reasoner.size.prefix :] @ reasoner.head.T
                taken = scores[
                    torch.arange(16), torch.from_numpy(seen.tokens[0, step, which]).long()
                ]
                torch.testing.assert_close(taken, scores.amax(-1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", ["trm", "autoregressive"])
def test_the_weights_of_attention_are_those_that_it_mixes_with(
    variant: str, examples: Examples
) -> None:
    reasoner = random_model(variant, examples.header).reasoner
    module = blocks_of(reasoner, "z")[0].mixer
    assert isinstance(module, SelfAttention)
    x = torch.randn(2, 18, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = reasoner.variant.mixer.maps(module, x)
        mixed = (maps @ module.heads_of(x)[2]).transpose(1, 2).flatten(2) @ module.out.T
        torch.testing.assert_close(mixed, module(x), rtol=1e-4, atol=1e-5)


def test_influence_is_the_size_of_the_derivatives(examples: Examples) -> None:
    reasoner = random_model("trm_mlp", examples.header).reasoner
    module = blocks_of(reasoner, "z")[0].mixer
    x = torch.randn(2, 18, 3, generator=torch.Generator().manual_seed(0))
    maps = reasoner.variant.mixer.maps(module, x)[:, 0]
    for example in range(2):
        squares = torch.zeros(18, 18)
        for channel in range(3):
            jacobian = torch.autograd.functional.jacobian(module, x[example, :, channel])
            squares += jacobian.square()
        sizes = squares.sqrt()
        expected = sizes / sizes.sum(-1, keepdim=True)
        torch.testing.assert_close(maps[example], expected, rtol=1e-3, atol=1e-5)
    # What reads nothing but position 0 looks at nothing else; what reads nothing at nothing.
    first = influence(lambda part: part[:, :1].expand_as(part) * 2, x)
    assert (first[..., 0] == 1).all()
    assert (first[..., 1:] == 0).all()
    assert (influence(lambda part: part * 0, x) == 0).all()


def test_what_cannot_be_looked_into_is_refused_in_one_line(examples: Examples) -> None:
    model = random_model("trm_mlp", examples.header)
    with pytest.raises(ConfigurationError, match="one after the other.*trm solve --show-steps"):
        looked_into("autoregressive", examples, [0])
    with pytest.raises(ConfigurationError, match=r"layers \[2\]: expected numbers of 0..1"):
        inspect_examples(model, examples, [0], layers=[2])
    for index in ([20], [-1], []):
        with pytest.raises(ConfigurationError, match=r"expected numbers of 0..19, at least one"):
            inspect_examples(model, examples, index)
    other = replace(model, family=Sudoku(9))
    with pytest.raises(ConfigurationError, match="expected puzzles of the model's, sudoku of 9 x"):
        inspect_examples(other, examples, [0])


def test_labels_decide_what_is_right_and_else_the_family(examples: Examples) -> None:
    seen = looked_into("trm_mlp", examples, [2])
    assert seen.labels is not None
    label = seen.labels[0].astype(np.uint8)
    wrong = label.copy()
    wrong[0] = 7 - wrong[0]
    for found in (seen, replace(seen, labels=None)):
        assert found.right(0, label) is True
        assert found.right(0, wrong) is False


def test_the_command_writes_tables_and_pictures_also_of_an_authors_file(
    tiny: tuple[LocalStore, Path, str], examples: Examples, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    authors.save(random_model("hrm", examples.header).reasoner, tmp_path / "step_9")
    theirs = [str(tmp_path / "step_9"), "--heads", "2", "--length", "16", "--depth", "2"]
    theirs += ["--kind", "sudoku"]
    out = tmp_path / "out"
    assert command.main(["inspect", *theirs, PUZZLE, "--layers", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "puzzle 1, y: residual" in printed
    assert f"made {out / 'puzzle-1.png'}" in printed
    assert (out / "puzzle-1.png").read_bytes().startswith(b"\x89PNG")
    with (out / "residuals.csv").open() as stream:
        residuals = list(csv.DictReader(stream))
    assert len(residuals) == 2 * VARIANTS["hrm"].calls
    with (out / "readings.csv").open() as stream:
        readings = list(csv.DictReader(stream))
    assert [(row["step"], row["feature"]) for row in readings] == [
        ("1", "y"), ("1", "z"), ("2", "y"), ("2", "z"),
    ]  # fmt: skip
    assert readings[2]["as_answered"] == "1.0"
    of_data = ["--data", str(tiny[1]), "--examples", "4,1", "--layers", "0", "--out", str(out)]
    assert command.main(["inspect", *theirs, *of_data]) == 0
    assert (out / "example-4.png").is_file()
    assert command.main(["inspect", *theirs, *of_data[:2], *of_data[-2:], "--failures", "3"]) == 0
    assert f"made {out / 'failures.png'}, 3 puzzles" in capsys.readouterr().out
    for wrong, said in (
        ([], "0 puzzles and no data set: expected one of them"),
        ([PUZZLE, *of_data], "1 puzzles and a data set"),
        ([*of_data, "--examples", "x"], "expected whole numbers such as 0,1,2"),
    ):
        assert command.main(["inspect", *theirs, *wrong]) == 2
        said_there = capsys.readouterr().err
        assert said in said_there
        assert said_there.count("\n") == 1


def test_a_question_of_text_and_its_name(examples: Examples, tmp_path: Path) -> None:
    model = random_model("trm_mlp", examples.header)
    (tmp_path / "mine.txt").write_text(PUZZLE)
    found = inspect_questions(model, [str(tmp_path / "mine.txt"), PUZZLE], layers=[])
    assert list(found.names) == ["mine", "puzzle 2"]
    np.testing.assert_array_equal(found.recording.tokens[0], found.recording.tokens[1])
    assert len(list(found.summary())) == 4


def test_the_sheet_shows_the_first_that_are_not_solved(
    tiny: tuple[LocalStore, Path, str], examples: Examples
) -> None:
    model = random_model("trm_mlp", examples.header)
    found = list(failures(model, examples))
    expected = evaluate(
        model.reasoner, DeviceExamples(examples, CPU), max_steps=model.max_steps, batch_size=64
    )
    unsolved = np.flatnonzero(~expected.solved[:, -1])
    assert [one.example for one in found] == unsolved.tolist()
    for one in found:
        assert int(one.wrong.sum()) == 16 - expected.right_cells[one.example, -1]
        np.testing.assert_array_equal(one.label, examples.labels[one.example])
    sheet = failure_sheet(model.family, found[:2])
    titles = [axes.get_title() for axes in sheet.axes]
    assert titles[::3] == [f"example {one.example}" for one in found[:2]]
    assert titles[1] == f"answer, {int(found[0].wrong.sum())} cells wrong"
