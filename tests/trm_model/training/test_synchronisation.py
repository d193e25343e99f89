"""Between two rows of figures a training asks nothing of its device: on a GPU the host would wait
for it at every step.

The training runs on torch's device ``meta``, whose tensors have shapes and no numbers: whatever the
host would have to wait for is not there, and asking for it is an error.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.optim.adam as adam
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.gpu.check import RECIPE, random_examples
from trm_model.training import trainer
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe
from trm_model.training.trainer import Trainer
from trm_model.variants import VARIANTS

NAMES = (
    "trm_mlp",
    "trm",
    "hrm",
    "drm",
    "muon",
    "winner_takes_all",
    "mixture_of_experts",
    "fixed_point",
    "drm_annealed",
    "autoregressive",
)
SMALL = "trm_n2_t1"
"""A variant of few calls."""
EXECUTION = Execution(log_steps=100)


class Waits(TorchDispatchMode):
    """Refuses three things that ``meta`` lets pass and a GPU waits for."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor)]
        # A number of the host may stand among the device's tensors; more of them must be copied.
        places = {each.device.type for each in tensors if each.ndim}
        if len(places) > 1 and not kwargs.get("non_blocking"):
            raise RuntimeError(f"{func.name()}: the host waits until its tensor is on meta")
        if func.name() in ("aten::index_put_", "aten::index_put"):
            _, indices, value = args[:3]
            masked = any(each is not None and each.dtype == torch.bool for each in indices)
            # One number is put wherever the mask holds; of more the device counts how many.
            if masked and value.ndim:
                raise RuntimeError(f"{func.name()}: the host waits for the numbers of a meta mask")
        if func.name() == "aten::_linalg_check_errors":
            raise RuntimeError("the host waits for whether a meta tensor has a solution")
        return result


class Copies(TorchFunctionMode):
    """Refuses tensors made on the device of the host's numbers: the host waits for the copy."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        del types
        result = func(*args, **(kwargs or {}))
        makes = func in (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)
        if makes and result.is_meta and not isinstance(args[-1], Tensor):
            raise RuntimeError(f"{func.__name__}: the host waits until its numbers are on meta")
        return result


@pytest.fixture(autouse=True)
def on_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training of this file runs on ``meta``, which no setting may name. torch's fused
    optimizers refuse the device and yet run on it."""
    monkeypatch.setattr(trainer, "open_device", lambda _: torch.device("meta"))
    monkeypatch.setattr(adam, "_device_dtype_check_for_fused", lambda _: None)


def train(
    name: str,
    recipe: Recipe = RECIPE,
    execution: Execution = EXECUTION,
    on_step: Callable[[Tensor], object] = lambda _: None,
) -> None:
    """Two steps without a row: with fresh examples, and with those that the first has left.

    :param on_step: is given the steps of the carried examples, int64 [8].
    """
    training = Trainer(VARIANTS[name], recipe, random_examples(), 0, execution)

    def go_on(current: Trainer, totals: Tensor | None) -> bool:
        assert totals is None
        assert current.carry is not None
        on_step(current.carry.steps)
        return current.progress.step < 2

    with Waits(), Copies():
        training.run(go_on)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_waits_for_the_device_between_rows(name: str) -> None:
    train(name)


def test_nor_does_it_with_what_a_training_may_do_besides() -> None:
    recipe = replace(RECIPE, on_nonfinite="skip", clip_norm=1.0, label_smoothing=0.1)
    train(SMALL, recipe, replace(EXECUTION, micro_batch=4, recompute=True))


def put(x: Tensor) -> None:
    x[x > 0] = x.flip(0)[:7]


WAITS: dict[str, Callable[[Tensor], object]] = {
    "item": lambda x: x.sum().item(),
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu"),
    "to without blocking": lambda x: x.to("cpu", non_blocking=True),
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "bool": lambda x: bool(x.any()),
    "int": lambda x: int(x[0]),
    "float": lambda x: float(x[0]),
    "slice": lambda x: x[: x[0]],
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: torch.where(x > 0),
    "get by mask": lambda x: x[x > 0],
    "put by mask": put,
    "masked_select": lambda x: x.masked_select(x > 0),
    "unique": lambda x: x.unique(),
    "repeat_interleave": lambda x: x.repeat_interleave(x),
    "bincount": lambda x: x.bincount(),
    "equal": lambda x: torch.equal(x, x + 1),
    "allclose": lambda x: torch.allclose(x, x + 1),
    "copy of the host's": lambda x: torch.arange(8).to(x.device),
    "index of the host's": lambda x: x[torch.arange(8)],
    "tensor": lambda x: torch.tensor([1, 2], device=x.device),
    "as_tensor": lambda x: torch.as_tensor([1, 2], device=x.device),
    "new_tensor": lambda x: x.new_tensor([1, 2]),
    "solve": lambda x: torch.linalg.solve(x[1:2, None].float(), x[:1].float()),
    "inv": lambda x: torch.linalg.inv(x[1:2, None].float()),
}


@pytest.mark.parametrize("name", WAITS)
def test_waiting_would_be_noticed(name: str) -> None:
    WAITS[name](torch.arange(8))
    with pytest.raises((RuntimeError, TypeError), match=r"(?i)\bmeta"):
        train(SMALL, on_step=WAITS[name])
