"""How many rollouts are computed together."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.gpu.check import RECIPE, random_examples
from trm_model.devices import free_bytes
from trm_model.evaluation import fitting as module
from trm_model.evaluation.evaluate import evaluate
from trm_model.evaluation.fitting import MOST_MAPS, SHARE, fitting, rollout_bytes
from trm_model.model.batch import DeviceExamples
from trm_model.model.cost import shape_of
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import Reasoner, build
from trm_model.model.size import Precision
from trm_model.variants import VARIANTS

SHAPE: dict[str, Any] = {"vocabulary": 6, "length": 16, "grid": (4, 4)}


def model(precision: Precision = "float32") -> Reasoner:
    return Reasoner(
        VARIANTS["trm_mlp"],
        RECIPE.size,
        num_puzzles=1,
        generator=torch.Generator().manual_seed(0),
        precision=precision,
        **SHAPE,
    )


def test_a_cpu_keeps_its_number() -> None:
    assert free_bytes(torch.device("cpu")) is None
    assert fitting(model(), Evaluation()) == 256
    assert fitting(model(), Evaluation(), 8) == 8


def test_as_many_as_fit_into_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    each = rollout_bytes(shape_of(VARIANTS["trm_mlp"]), RECIPE.size, 6, (4, 4))

    def fit(free: float, evaluation: Evaluation = Evaluation(), of: Reasoner = model()) -> int:
        monkeypatch.setattr(module, "free_bytes", lambda _: int(free / SHARE) + 1)
        return fitting(of, evaluation)

    assert fit(100 * each.computed) == 100
    assert fit(100 * each.computed, of=model("bfloat16")) == 200
    assert fit(0) == 1
    assert fit(1e15) == MOST_MAPS // RECIPE.size.heads
    # Of an example's thousand, some are computed and all keep their states.
    waiting = 1_000 * each.waiting
    assert fit(100 * each.computed + waiting, Evaluation(rollouts=1_000)) == 100
    assert fit(1_000 * each.computed, Evaluation(rollouts=1_000)) == 1_000


def test_what_torch_keeps_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "mem_get_info": (70, 100),
        "memory_reserved": 25,
        "memory_allocated": 5,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    assert free_bytes(torch.device("cuda:0")) == 90


class Held(TorchDispatchMode):
    """Notes the most bytes that tensors made meanwhile hold at once."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[StorageWeakRef, int] = {}
        self.most = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        del types
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.made[StorageWeakRef(storage)] = storage.nbytes()
        self.made = {storage: size for storage, size in self.made.items() if not storage.expired()}
        self.most = max(self.most, sum(self.made.values()))
        return result


@pytest.mark.parametrize("name", ["trm_mlp", "trm", "hrm", "drm"])
def test_an_evaluation_holds_at_most_what_is_counted(name: str) -> None:
    """In bfloat16, where no kernel of ours hides what it needs."""
    examples, variant = random_examples(), VARIANTS[name]
    reasoner = build(variant, RECIPE.size, examples.header, 0, "bfloat16")
    data = DeviceExamples(examples, torch.device("cpu"))
    evaluation = Evaluation(depth=3, rollouts=8, stop_at_halting=True)
    with Held() as held:
        evaluate(reasoner, data, evaluation, max_steps=3, batch_size=320)
    each = rollout_bytes(shape_of(variant), RECIPE.size, 6, (4, 4)).computed / 2
    assert 0.2 < held.most / (320 * each) < 1.0
