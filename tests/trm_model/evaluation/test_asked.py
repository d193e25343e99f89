"""Answers that end, of models that answer cell by cell and of others: what is asked for comes from
the question, and what stands after the end is no part of an answer."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.trm_model.training.recipes import TINY
from trm_model.errors import ConfigurationError
from trm_model.evaluation import evaluate as module
from trm_model.evaluation.asked import own_cells, questions
from trm_model.evaluation.evaluate import Evaluated, evaluate
from trm_model.model.batch import IGNORE, Batch, DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.model.generations.autoregressive import Autoregressive, generate
from trm_model.model.reasoner import Reasoner, build
from trm_model.model.state import Output
from trm_model.noise import Noise
from trm_model.puzzles.sequence import END, Addition, AdditionExamples, generate_lengths
from trm_model.puzzles.sequence.tokens import ZERO
from trm_model.puzzles.sudoku.family import Sudoku
from trm_model.solving.trained import TrainedModel
from trm_model.variants import VARIANTS

SHALLOW = replace(VARIANTS["autoregressive"], cycles=2, latent_updates=2)
STEPS = 3
FAMILY = Addition(2, ended=True)
PAIRS = generate_lengths(10, 6, 1, 2, 0)[1]


class OtherLabels(AdditionExamples):
    """The same questions with labels of other sums, which end elsewhere."""

    def rows(self, index: Any) -> Any:
        inputs, labels = super().rows(index)
        return inputs, np.roll(labels, 1, axis=0)


def sums(kind: type[AdditionExamples] = AdditionExamples) -> AdditionExamples:
    return kind(PAIRS, 2, 0, 0, ended=True)


def model(name: str = "autoregressive") -> Reasoner:
    """Random weights, the end likely enough to come before, at and after its place."""
    variant = SHALLOW if name == "autoregressive" else VARIANTS[name]
    made = build(variant, TINY.size, sums().header, 0).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        made.halt_weight.normal_(generator=generator)
    return made


def outcome(reasoner: Reasoner, examples: AdditionExamples, **changes: Any) -> Evaluated:
    return evaluate(
        reasoner,
        DeviceExamples(examples, torch.device("cpu")),
        Evaluation(**changes),
        max_steps=STEPS,
        batch_size=64,
        family=FAMILY,
    )


def test_cells_after_the_end_are_no_part_of_an_answer() -> None:
    asked = torch.tensor([[0, 1, 1, 1, 1]] * 4).bool()
    answers = torch.tensor([[9, 1, 9, 2, 9], [9, 9, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 9]])
    assert own_cells(answers, asked, 9).int().tolist() == [
        [0, 1, 1, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 1, 1, 1, 1],
        [0, 1, 1, 1, 1],
    ]
    assert own_cells(answers, asked, None) is asked


def test_the_question_says_what_is_asked_for() -> None:
    inputs, labels = (torch.from_numpy(x).long() for x in FAMILY.sums(np.array([[1, 2], [99, 9]])))
    batch = Batch(inputs, labels.where(labels > 0, IGNORE), torch.zeros(2, dtype=torch.int64))
    expected = [[IGNORE] * 6 + [0] * 4] * 2
    assert questions(batch, FAMILY).labels.tolist() == expected
    # Where nobody knows the family, the labels say it: 3 and the end; 108 and the end.
    assert (questions(batch, None).labels == 0).sum(1).tolist() == [2, 4]
    board = Batch(torch.ones(1, 16).long(), torch.full((1, 16), IGNORE), torch.zeros(1).long())
    assert (questions(board, Sudoku(4)).labels == 0).all()


@pytest.mark.parametrize("name", ["autoregressive", "trm"])
@pytest.mark.parametrize("settings", [{}, {"stop_at_halting": True}])
def test_labels_decide_what_is_right_and_nothing_else(name: str, settings: Any) -> None:
    reasoner = model(name)
    one, two = (
        outcome(reasoner, sums(kind), **settings) for kind in (AdditionExamples, OtherLabels)
    )
    assert (one.labelled_cells != two.labelled_cells).any()
    for field in ("predictions", "halt_logits", "halts", "computed_steps"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))


def test_an_answer_is_right_when_it_ends_where_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the sums 3, 12 and 108: right, whatever follows; ended too early; ended too late."""
    pairs = np.array([[1, 2], [5, 7], [99, 9]])
    examples = AdditionExamples(pairs, 2, 0, 0, ended=True)
    _, labels = examples.rows(np.arange(3))
    given = labels.copy()
    given[0, 8:] = 7
    given[1, 7] = END
    given[2, 8:] = ZERO + 2, ZERO + 3
    logits = torch.nn.functional.one_hot(torch.from_numpy(given).long(), 15).float()
    state = model().start(Noise(0, torch.arange(3)))
    output = Output(logits, logits[..., 0], logits[..., 0], state)

    def written(*_: object) -> Any:
        yield output

    monkeypatch.setattr(module, "rollout", written)
    found = outcome(model(), examples, depth=1)
    assert found.solved[:, 0].tolist() == [True, False, False]
    answers = [FAMILY.plain(row[FAMILY.asked :]) for row in found.predictions[:, 0]]
    assert answers == ["3.", "2.", "8023"]
    assert found.right_cells[:, 0].tolist() == [2, 1, 2]


def test_generation_goes_on_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first cells are what they are without an end; later ones are not computed."""
    reasoner, noise = model(), Noise(0, torch.arange(len(PAIRS)))
    batch = questions(DeviceExamples(sums(), torch.device("cpu")).gather(np.arange(6)), FAMILY)
    plain = generate(reasoner, batch, STEPS, noise)[-1].logits
    answers = plain.argmax(-1)[:, FAMILY.asked :]
    end = int(answers[0, 1])
    place = [row.index(end) if end in row else None for row in answers.tolist()]
    outputs = generate(reasoner, batch, STEPS, noise, end=end)
    blank = reasoner.read(reasoner.start(noise)).logits
    for row, found in enumerate(place):
        stop = FAMILY.cells if found is None else FAMILY.asked + found + 1
        assert torch.equal(outputs[-1].logits[row, :stop], plain[row, :stop])
        for output in outputs:
            torch.testing.assert_close(output.logits[row, stop:], blank[row, stop:])
    calls: list[int] = []
    recurse = Reasoner.recurse
    monkeypatch.setattr(
        Reasoner, "recurse", lambda self, *rest: (calls.append(1), recurse(self, *rest))[1]
    )
    alone = batch.part(torch.tensor([0]))
    generate(reasoner, alone, STEPS, Noise(0, torch.arange(1)), end=end)
    # The question together, then each cell up to the end.
    assert place[0] is not None
    assert len(calls) == STEPS * (1 + place[0] + 1)


def test_steps_saved_by_cells_that_halt_are_counted() -> None:
    reasoner = model()
    plain = outcome(reasoner, sums())
    assert (plain.computed_steps == STEPS).all()
    for bias, expected in ((30.0, 1.0), (-30.0, STEPS)):
        with torch.no_grad():
            reasoner.halt_bias.fill_(bias)
        assert (outcome(reasoner, sums(), halting_per_cell=True).computed_steps == expected).all()
    halts = torch.tensor([[1.0, -1.0, 0.0, 2.0]])
    cells = torch.tensor([[False, True, True, True]])
    on = Autoregressive().going_on(halts, cells, Evaluation(halting_per_cell=True))
    np.testing.assert_allclose(on, [2 / 3], rtol=1e-6)
    assert Autoregressive().going_on(halts, cells, Evaluation()).tolist() == [1.0]


def test_the_settings_reach_generation() -> None:
    """What :func:`generate` answers with them, after each step."""
    reasoner = model()
    with torch.no_grad():
        reasoner.halt_bias.zero_()
    examples, noise = sums(), Noise(0, torch.arange(len(PAIRS)))
    batch = questions(DeviceExamples(examples, torch.device("cpu")).gather(np.arange(6)), FAMILY)
    seen: list[torch.Tensor] = []
    for halting in (False, True):
        for keys in ("every_call", "last_cycle"):
            outputs = generate(
                reasoner,
                batch,
                STEPS,
                noise,
                halting=halting,
                final=keys == "last_cycle",
                end=END,
            )
            found = outcome(reasoner, examples, halting_per_cell=halting, keys_and_values=keys)
            for step, output in enumerate(outputs):
                answers = output.logits.argmax(-1)
                own = own_cells(answers, batch.labels != IGNORE, END)
                given = torch.from_numpy(found.predictions[:, step]).long()
                assert torch.equal(given[own], answers[own])
            seen.append(outputs[-1].logits)
    assert all(not torch.equal(seen[0], other) for other in seen[1:])


def test_fewer_kept_keys_and_values_leave_room_for_more_examples() -> None:
    reasoner = model()
    few, many = (
        Autoregressive().most_examples(reasoner, 8, 10**9, Evaluation(keys_and_values=keys))
        for keys in ("every_call", "last_cycle")
    )
    # The last of two cycles of one step in place of eight steps.
    assert many // few == 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"halting_per_cell": True}, "halting_per_cell=True with cells answered together"),
        ({"keys_and_values": "last_cycle"}, "keys_and_values=last_cycle with cells answered"),
    ],
)
def test_cells_answered_together_have_no_such_settings(changes: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        replace(VARIANTS["trm"], evaluation=Evaluation(**changes))
    assert replace(SHALLOW, evaluation=Evaluation(**changes)).evaluation.of_cells


@pytest.mark.parametrize("ended", [False, True])
def test_solving_answers_as_evaluation_does(ended: bool) -> None:
    examples = AdditionExamples(PAIRS, 2, 0, 0, ended=ended)
    family = Addition(2, ended=ended)
    reasoner = build(SHALLOW, TINY.size, examples.header, 0).eval()
    inputs, _ = examples.rows(np.arange(6))
    solver = TrainedModel(reasoner, family, STEPS, lambda _: [], "sums")
    data = DeviceExamples(examples, torch.device("cpu"))
    found = evaluate(reasoner, data, max_steps=STEPS, batch_size=64, family=family)
    np.testing.assert_array_equal(solver.predict(inputs), found.predictions[:, -1])
