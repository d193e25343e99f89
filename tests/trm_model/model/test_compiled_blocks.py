"""Networks that torch compiles, block by block."""

import copy
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from tests.gpu.check import BATCH, RECIPE, SIDE, VOCABULARY
from trm_model.model.reasoner import Reasoner
from trm_model.noise import Noise
from trm_model.variants import VARIANTS


def model(name: str) -> Reasoner:
    return Reasoner(
        VARIANTS[name],
        RECIPE.size,
        vocabulary=VOCABULARY,
        length=SIDE * SIDE,
        num_puzzles=1,
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
