"""How answers are chosen among rollouts and steps, on outputs that are written out."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trm_model.evaluation import evaluate as module
from trm_model.evaluation.evaluate import Evaluated, answers, evaluate, finite_answers
from trm_model.finite import NotFiniteError
from trm_model.model.batch import IGNORE, Batch
from trm_model.model.evaluation import Evaluation
from trm_model.model.generations.autoregressive import Autoregressive
from trm_model.model.generations.generation import Outputs, played
from trm_model.model.generations.parallel import Parallel
from trm_model.model.haltings.bce import BinaryCrossEntropy
from trm_model.model.haltings.compared import Compared
from trm_model.model.selections.halting_logit import HaltingLogit
from trm_model.model.selections.plurality import Plurality
from trm_model.model.selections.selection import Selection
from trm_model.model.state import Output, State
from trm_model.noise import Noise

BATCH = Batch(
    torch.zeros(2, 3, dtype=torch.int64),
    torch.tensor([[1, 2, IGNORE], [3, 3, 3]]),
    torch.zeros(2, dtype=torch.int64),
)
NOISE = Noise(0, torch.arange(2))


def output(tokens: list[list[int]], halt: list[Any], going_on: list[Any] | None = None) -> Output:
    logits = F.one_hot(torch.tensor(tokens), 5).float()
    halting = torch.tensor(halt)
    other = torch.zeros_like(halting) if going_on is None else torch.tensor(going_on)
    return Output(logits, halting, other, State(logits, ()))


def reasoner(generation: Any = Parallel(), halting: Any = BinaryCrossEntropy()) -> Any:
    return SimpleNamespace(variant=SimpleNamespace(generation=generation, halting=halting))


def chosen(
    monkeypatch: pytest.MonkeyPatch,
    outputs: list[Output],
    evaluation: Evaluation,
    model: Any = None,
) -> list[tuple[list[list[int]], list[float], list[bool]]]:
    monkeypatch.setattr(module, "rollout", lambda *_: played(outputs))
    model = model or reasoner()
    return [
        (found.prediction.tolist(), found.halt_logits.tolist(), found.halts.tolist())
        for found in answers(model, BATCH, len(outputs), evaluation, NOISE)
    ]


def test_the_rollout_that_is_surest_answers_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """[K B]: the first rollout of both examples, then the second of both."""
    outputs = [
        output([[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4]], [1.0, -3.0, 0.5, -1.0]),
        output([[1, 2, 1], [2, 3, 2], [3, 2, 3], [4, 3, 4]], [0.0, 3.0, 0.25, 1.0]),
    ]
    assert chosen(monkeypatch, outputs, Evaluation(rollouts=2)) == [
        ([[1, 1, 1], [4, 4, 4]], [1.0, -1.0], [True, False]),
        ([[3, 2, 3], [2, 3, 2]], [0.25, 3.0], [True, True]),
    ]


def test_a_logit_of_zero_does_not_halt(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = [output([[1, 1, 1], [2, 2, 2]], [0.0, 1e-6])]
    ((_, _, halts),) = chosen(monkeypatch, outputs, Evaluation())
    assert halts == [False, True]


def test_stopped_rollouts_keep_their_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Example 0 stops after the first step, example 1 after the second, at whose step its answer is
    still taken."""
    outputs = [
        output([[1, 1, 1], [2, 2, 2]], [1.0, -1.0]),
        output([[0, 1, 0], [0, 2, 0]], [-5.0, 2.0]),
        output([[3, 3, 3], [4, 4, 4]], [9.0, -9.0]),
    ]
    assert chosen(monkeypatch, outputs, Evaluation(stop_at_halting=True)) == [
        ([[1, 1, 1], [2, 2, 2]], [1.0, -1.0], [True, False]),
        ([[1, 1, 1], [0, 2, 0]], [1.0, 2.0], [True, True]),
        ([[1, 1, 1], [0, 2, 0]], [1.0, 2.0], [True, True]),
    ]
    going_on = chosen(monkeypatch, outputs, Evaluation())
    assert going_on[-1] == ([[3, 3, 3], [4, 4, 4]], [9.0, -9.0], [True, False])


def test_rules_with_two_heads_keep_both_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chosen rollout's own logit of going on is what its halting logit is compared with."""
    outputs = [
        output([[1, 1, 1], [2, 2, 2]], [1.0, 1.0], [0.5, 1.5]),
        output([[3, 3, 3], [4, 4, 4]], [2.0, 2.0], [3.0, 1.0]),
    ]
    model = reasoner(halting=Compared())
    assert chosen(monkeypatch, outputs, Evaluation(stop_at_halting=True), model) == [
        ([[1, 1, 1], [2, 2, 2]], [1.0, 1.0], [True, False]),
        ([[1, 1, 1], [4, 4, 4]], [1.0, 2.0], [True, True]),
    ]
    two = [output([[1, 1, 1]] * 4, [1.0, 1.0, 0.0, 0.0], [0.5, 2.0, 3.0, -4.0])]
    ((_, logits, halts),) = chosen(monkeypatch, two, Evaluation(rollouts=2), model)
    assert (logits, halts) == ([1.0, 1.0], [True, False])


def test_pluralities_are_of_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = [
        output([[1, 2, 3], [0, 0, 0], [1, 4, 2], [0, 1, 0], [2, 4, 4], [1, 1, 0]], [1.0] * 6)
    ]
    ((cells, logits, _),) = chosen(
        monkeypatch, outputs, Evaluation(rollouts=3, selection=Plurality())
    )
    # Of three different tokens the smallest.
    assert cells == [[1, 4, 2], [0, 1, 0]]
    assert logits == [1.0, 1.0]


def test_where_cells_are_judged_the_labelled_ones_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = [output([[1, 1, 1], [2, 2, 2]], [[2.0, 1.0, -9.0], [4.0, 3.0, -1.0]])]
    ((_, logits, halts),) = chosen(
        monkeypatch, outputs, Evaluation(), reasoner(generation=Autoregressive())
    )
    assert (logits, halts) == ([1.0, -1.0], [True, False])


class Data:
    """Ten examples of one cell with their number as input."""

    device = torch.device("cpu")

    def __len__(self) -> int:
        return 10

    def gather(self, index: Any) -> Batch:
        number = torch.from_numpy(index)
        return Batch(number[:, None], (number % 5)[:, None], torch.zeros_like(number))


class Parrot:
    """Answers token 2 and, with the second step, the number modulo 5."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.variant = SimpleNamespace(
            generation=self,
            halting=BinaryCrossEntropy(),
            start=None,
            evaluation=Evaluation(seed=3),
            test_steps=lambda max_steps, _evaluation: max_steps,
            require_evaluation=self.require_evaluation,
        )
        self.sizes: list[int] = []
        self.drawn: list[torch.Tensor] = []

    def most_examples(
        self, _model: object, _depth: int, wanted: int, _evaluation: Evaluation
    ) -> int:
        return min(wanted, self.most)

    def going_on(
        self, logits: torch.Tensor, _cells: torch.Tensor, _evaluation: Evaluation
    ) -> torch.Tensor:
        return torch.ones(len(logits))

    def require_evaluation(self, _evaluation: Evaluation) -> None: ...

    def example_logits(self, logits: torch.Tensor, _labelled: torch.Tensor) -> torch.Tensor:
        return logits

    def rollout(
        self,
        _model: object,
        _start: object,
        batch: Batch,
        depth: int,
        evaluation: Evaluation,
        noise: Noise,
        _end: int | None,
    ) -> Outputs:
        self.sizes.append(len(batch.inputs))
        self.drawn.append(noise.uniform("x"))
        found: list[Output] = []
        for step in range(depth):
            tokens = batch.inputs % 5 if step else torch.full_like(batch.inputs, 2)
            halt = batch.inputs[:, 0].float() - 7.0 + step
            found.append(Output(F.one_hot(tokens, 5).float(), halt, halt, State(halt[:, None], ())))
        return played(found)


def run(parrot: Parrot, **options: Any) -> Evaluated:
    return evaluate(cast(Any, parrot), cast(Any, Data()), max_steps=2, **options)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("selection", [HaltingLogit(), Plurality()])
def test_answers_from_numbers_that_are_not_finite_are_refused(
    monkeypatch: pytest.MonkeyPatch, selection: Selection, number: float
) -> None:
    """Of the halting head or of the answer itself, of any rollout."""
    evaluation = Evaluation(rollouts=2, selection=selection)
    fine = output([[1, 1, 1]] * 4, [1.0, 2.0, 3.0, 4.0])
    cells = fine.logits.clone()
    cells[2, 1, 1] = number
    for bad in (
        fine._replace(logits=cells),
        fine._replace(halt_logits=torch.tensor([1.0, 2.0, number, 4.0])),
    ):
        monkeypatch.setattr(module, "rollout", lambda *_, bad=bad: played([fine, bad]))
        with pytest.raises(NotFiniteError, match="logits of answers: 1 of 4 numbers are NaN"):
            finite_answers(reasoner(), BATCH, 2, evaluation, NOISE)


@pytest.mark.parametrize(("rollouts", "sizes"), [(1, [4, 4, 2]), (2, [4] * 5), (5, [4, 1] * 10)])
def test_batches_count_rollouts(rollouts: int, sizes: list[int]) -> None:
    parrot = Parrot(100)
    run(parrot, batch_size=4, evaluation=Evaluation(rollouts=rollouts))
    assert parrot.sizes == sizes


@pytest.mark.parametrize("most", [3, 100])
def test_all_examples_in_order_in_batches(most: int) -> None:
    parrot, told = Parrot(most), list[tuple[int, int]]()
    found = run(parrot, batch_size=4, progress=lambda *seen: told.append(seen))
    assert parrot.sizes == ([3, 3, 3, 1] if most == 3 else [4, 4, 2])
    assert told[:2] == [(0, 10), (parrot.sizes[0], 10)]
    assert told[-1] == (10, 10)
    assert found.predictions.shape == (10, 2, 1)
    assert found.predictions[:, 0, 0].tolist() == [2] * 10
    assert found.predictions[:, 1, 0].tolist() == [0, 1, 2, 3, 4] * 2
    assert found.solved[:, 0].tolist() == [number % 5 == 2 for number in range(10)]
    assert found.solved[:, 1].all()
    assert found.labelled_cells.tolist() == [1] * 10
    assert found.halt_logits[:, 1].tolist() == [float(number - 6) for number in range(10)]
    assert found.halted_at.tolist() == [2] * 8 + [1] * 2
    # By the example's number and the evaluation's seed, whatever the batch.
    expected = Noise(3, torch.arange(10)).uniform("x")
    assert torch.equal(torch.cat(parrot.drawn), expected)


def test_some_examples_and_the_last_step_alone() -> None:
    found = run(Parrot(9), batch_size=9, index=np.array([7, 2]), every_step=False)
    assert found.predictions.tolist() == [[[2]], [[2]]]
    assert found.right_cells.tolist() == [[1, 1], [1, 1]]
    seeded = Parrot(9)
    run(seeded, evaluation=Evaluation(seed=5), batch_size=9, index=np.array([7, 2]))
    assert torch.equal(seeded.drawn[0], Noise(5, torch.tensor([7, 2])).uniform("x"))
