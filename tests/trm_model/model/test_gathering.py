"""Batches ahead of those who use them."""

import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from storage.examples import Examples, ExampleSet
from tests.gpu.check import RECIPE, random_examples
from trm_model.model.batch import ROWS, DeviceExamples
from trm_model.training import trainer
from trm_model.training.execution import Execution
from trm_model.training.loop import train
from trm_model.training.trainer import Trainer
from trm_model.variants import VARIANTS

CPU = torch.device("cpu")


class Computed:
    """The same examples, computed for each batch."""

    def __init__(self, examples: Examples) -> None:
        self.header, self.puzzle_ids = examples.header, examples.puzzle_ids
        self.example_offsets, self.group_offsets = examples.example_offsets, examples.group_offsets
        self.of, self.asked, self.beside = examples, list[int](), threading.Event()

    def rows(self, index: Any) -> Any:
        self.asked.append(int(index[0]))
        if len(self.asked) == 2:
            self.beside.set()
        if index[0] == 13:
            raise ValueError("row 13")
        return self.of.rows(index)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(ROWS)]


def order(*firsts: int) -> list[tuple[Any, str]]:
    return [(np.array([first, 3]), f"place {first}") for first in firsts]


@pytest.mark.parametrize("kind", [lambda examples: examples, Computed])
def test_batches_come_in_order_with_what_comes_with_them(kind: Any) -> None:
    data = DeviceExamples(kind(random_examples()), CPU)
    found = list(data.gathered(order(7, 0, 21)))
    assert [place for _, place, _ in found] == ["place 7", "place 0", "place 21"]
    for index, _, batch in found:
        alone = data.gather(index)
        assert torch.equal(batch.inputs, alone.inputs)
        assert torch.equal(batch.labels, alone.labels)
        assert torch.equal(batch.puzzle_ids, alone.puzzle_ids)
    assert list(data.gathered([])) == []
    assert threads() == []


def test_the_next_rows_are_computed_beside_and_an_error_waits_for_its_turn() -> None:
    computed = Computed(random_examples())
    batches = DeviceExamples(computed, CPU).gathered(order(7, 13, 21))
    next(batches)
    assert computed.beside.wait(60.0)
    assert len(threads()) == 1
    with pytest.raises(ValueError, match="row 13"):
        next(batches)
    assert threads() == []


def test_closing_ends_the_thread() -> None:
    batches = DeviceExamples(Computed(random_examples()), CPU).gathered(order(7, 0, 21))
    next(batches)
    batches.close()
    assert threads() == []


def test_a_training_on_computed_rows_is_the_same_and_leaves_no_thread() -> None:
    """Also where it is interrupted in the middle."""

    def trained(examples: ExampleSet) -> list[Any]:
        trainer = Trainer(VARIANTS["trm_mlp"], RECIPE, examples, 0, Execution(log_steps=1))
        totals: list[Any] = []
        trainer.run(lambda _, of_step: totals.append(of_step) or True)
        return totals

    examples = random_examples()
    for one, other in zip(trained(examples), trained(Computed(replace(examples))), strict=True):
        assert torch.equal(one, other)
    assert threads() == []

    def interrupted(*_: Any) -> bool:
        assert len(threads()) == 1
        raise KeyboardInterrupt

    trainer = Trainer(VARIANTS["trm_mlp"], RECIPE, Computed(examples), 0, Execution())
    with pytest.raises(KeyboardInterrupt):
        trainer.run(interrupted)
    assert threads() == []


def test_examples_on_another_device_are_not_kept_here_as_well() -> None:
    examples = random_examples()
    cells = weakref.ref(examples.inputs)
    data = DeviceExamples(examples, torch.device("meta"))
    assert cells() is not None
    del examples
    assert cells() is None
    assert len(data) == 40


def test_a_training_keeps_no_examples_beside_those_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(DeviceExamples):
        """On a device whose memory is not that of the arrays."""

        def __init__(self, examples: ExampleSet, device: torch.device) -> None:
            super().__init__(Computed(replace(random_examples())), device)

    monkeypatch.setattr(trainer, "DeviceExamples", Elsewhere)
    cells, gone = list[Any](), list[bool]()

    def examples() -> Examples:
        made = random_examples()
        cells.append(weakref.ref(made.inputs))
        return made

    def stop() -> bool:
        gone.append(cells[0]() is None)
        return False

    recipe, execution = replace(RECIPE, steps=2), Execution(validate_steps=0)
    train(tmp_path, VARIANTS["trm_mlp"], recipe, examples(), 0, execution, stop=stop)
    assert gone == [True, True]
