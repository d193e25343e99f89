"""Between two rows of figures a training asks nothing of its device: on a GPU the host would wait
for it at every step."""

from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from tests.gpu.check import RECIPE, random_examples
from trm_model.training.execution import Execution
from trm_model.training.trainer import Trainer
from trm_model.variants import VARIANTS

WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal")
"""Operations whose result the host needs, or whose shape depends on values."""
NAMES = (
    "trm_mlp",
    "trm",
    "hrm",
    "drm",
    "muon",
    "winner_takes_all",
    "mixture_of_experts",
    "fixed_point",
    "autoregressive",
)


class Waits(TorchDispatchMode):
    """Notes what the host would have to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        del types
        if func.name().split(".")[0] in WAITS:
            self.seen.append(func.name())
        return func(*args, **(kwargs or {}))


def seen(name: str, log_steps: int) -> list[str]:
    trainer = Trainer(VARIANTS[name], RECIPE, random_examples(), 0, Execution(log_steps=log_steps))
    with Waits() as waits:
        trainer.run(lambda current, totals: current.progress.step < 4 and told(totals))
    return waits.seen


def told(totals: Any) -> bool:
    return totals is None or totals.sum().item() >= 0.0


@pytest.mark.parametrize("name", NAMES)
def test_nothing_waits_for_the_device_between_rows(name: str) -> None:
    assert seen(name, log_steps=100) == []


def test_waiting_would_be_noticed() -> None:
    assert seen("trm_mlp", log_steps=1)
