"""Networks that torch compiles, block by block."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter

from tests.gpu.check import BATCH, RECIPE, SIDE, VOCABULARY, random_examples, train
from trm_model.evaluation.evaluate import evaluate
from trm_model.model.batch import DeviceExamples
from trm_model.model.blocks import Block
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import Reasoner
from trm_model.noise import Noise
from trm_model.training.execution import Execution
from trm_model.variants import VARIANTS


def model(name: str) -> Reasoner:
    return Reasoner(
        VARIANTS[name],
        RECIPE.size,
        vocabulary=VOCABULARY,
        length=SIDE * SIDE,
        num_puzzles=3,
        generator=torch.Generator().manual_seed(0),
        grid=(SIDE, SIDE),
    )


def answers(of: Reasoner) -> torch.Tensor:
    """Logits of one supervision step; its calls but the last are without gradient."""
    tokens = torch.arange(BATCH * SIDE * SIDE).view(BATCH, -1) % VOCABULARY
    noise = Noise(0, torch.arange(BATCH))
    return of(tokens, torch.zeros(BATCH, RECIPE.size.puzzle_width), of.start(noise), noise).logits


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize("name", ["trm_mlp", "hrm"])
def test_blocks_that_are_alike_are_compiled_once(name: str) -> None:
    """Two graphs, with and without gradient, whatever the number of layers and networks; the same
    names of weights, and answers as those of eager networks."""
    torch.compiler.reset()
    eager = model(name)
    compiled, counter = copy.deepcopy(eager), CompileCounter()
    for network in compiled.networks:
        network.compile(backend=counter, dynamic=False, fullgraph=True)
    torch.testing.assert_close(answers(compiled), answers(eager), rtol=1e-3, atol=1e-3)
    assert counter.frame_count == 2
    assert list(compiled.state_dict()) == list(eager.state_dict())
    # Weights that are put into it later, as the averaged ones are, are those it answers with.
    average: dict[str, Any] = {
        key: tensor * 0.75 if tensor.is_floating_point() else tensor
        for key, tensor in eager.state_dict().items()
    }
    with torch.no_grad():
        before = answers(compiled)
        for one in (compiled, eager):
            one.load_state_dict(average)
        now = answers(compiled)
        torch.testing.assert_close(now, answers(eager), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(now, before, rtol=1e-2, atol=1e-2)
    assert counter.frame_count == 2


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize(("name", "graphs"), [("trm", 1), ("autoregressive", 0)])
def test_a_compiled_training_is_validated_by_compiled_networks(
    name: str, graphs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the averaged weights, compiled once for batches of all sizes and all validations; but
    where each cell sees a cache that grows, by eager ones."""
    torch.compiler.reset()
    training, testing = CompileCounter(), CompileCounter()

    def compile_(block: Block, *, dynamic: bool, fullgraph: bool) -> None:
        backend = testing if dynamic else training
        torch.nn.Module.compile(block, backend=backend, dynamic=dynamic, fullgraph=fullgraph)

    monkeypatch.setattr(Block, "compile", compile_)
    trainer, _ = train(VARIANTS[name], RECIPE, Execution(compile=True), until=2)
    assert (training.frame_count, testing.frame_count) == (2, 0)
    assert trainer.ema is not None
    eager = model(name)
    eager.load_state_dict({**trainer.evaluated().state_dict(), **trainer.ema.average})
    data = DeviceExamples(random_examples(), torch.device("cpu"))

    def logits(of: Reasoner) -> Any:
        # Batches of 16, 16 and 8; of these one after the other may leave.
        of.halt_bias.data.fill_(0.0)
        of.halt_weight.data.normal_(generator=torch.Generator().manual_seed(0))
        evaluation = Evaluation(depth=2, stop_at_halting=True)
        return evaluate(of, data, evaluation, max_steps=2, batch_size=16).halt_logits

    expected = logits(eager)
    for _ in range(2):
        np.testing.assert_allclose(logits(trainer.evaluated()), expected, rtol=1e-3, atol=1e-3)
    assert (training.frame_count, testing.frame_count) == (2, graphs)
    assert list(trainer.evaluated().state_dict()) == list(trainer.reasoner.state_dict())
