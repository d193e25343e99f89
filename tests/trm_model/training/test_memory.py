"""The memory that a training is said to take is what it takes."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from storage.examples import Header
from tests.gpu.check import RECIPE as SMALL
from tests.gpu.check import random_examples
from trm_model.model.curricula.depth import DepthCurriculum
from trm_model.model.kept import kept_by_calls, kept_bytes
from trm_model.model.kernels.tiles import threads_reached
from trm_model.model.reasoner import build
from trm_model.model.size import Size
from trm_model.training.checkpoint import Checkpoint
from trm_model.training.execution import Execution
from trm_model.training.memory import memory_bytes
from trm_model.training.plan import plan, smaller
from trm_model.training.recipe import Recipe
from trm_model.training.trainer import Trainer
from trm_model.variants import VARIANTS

HEADER = Header(vocabulary=tuple("0123456789."), grid=(9, 9), num_puzzle_ids=5)
RECIPE = Recipe(size=Size(), steps=100, precision="bfloat16")
ON_GPU = Execution(device="cuda")


@pytest.mark.parametrize(("variant", "measured"), [("trm_mlp", 40), ("trm", 25), ("hrm", 16)])
def test_memory_is_about_what_was_measured(variant: str, measured: float) -> None:
    """On an H100, not compiled (docs/measurements.md, 2026-11-26)."""
    found = memory_bytes(VARIANTS[variant], RECIPE, HEADER, ON_GPU, programs=False)
    assert found / 2**30 == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize(
    ("variant", "measured"), [("trm_mlp", 9.99), ("trm", 18.06), ("hrm", 11.31)]
)
def test_memory_with_programs_of_the_gpu_is_about_what_was_measured(
    variant: str, measured: float
) -> None:
    """On an H200, not compiled (docs/measurements.md, 2026-11-27)."""
    found = memory_bytes(VARIANTS[variant], RECIPE, HEADER, ON_GPU, programs=True)
    assert found / 2**30 == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize(("programs", "measured"), [(True, 21.04), (False, 29)])
def test_attention_on_a_gpu_keeps_no_maps(programs: bool, measured: float) -> None:
    """Mazes of 30 x 30, on an H200 and, before there were programs, on an H100."""
    mazes = Header(vocabulary=tuple("012345"), grid=(30, 30))
    recipe, variant = replace(RECIPE, batch_size=128), VARIANTS["trm_attention_n4_t3"]
    found = memory_bytes(variant, recipe, mazes, ON_GPU, programs=programs)
    assert found / 2**30 == pytest.approx(measured, rel=0.1)


def test_memory_grows_with_what_is_graded_and_with_the_batch() -> None:
    def memory(name: str, recipe: Recipe = RECIPE, **execution: Any) -> int:
        how = replace(ON_GPU, **execution)
        return memory_bytes(VARIANTS[name], recipe, HEADER, how, programs=False)

    assert memory("one_step_gradient") < memory("trm_mlp") / 2
    assert memory("no_ema") < memory("trm_mlp")
    wide = memory("trm_mlp", replace(RECIPE, precision="float32"))
    assert 1.2 < wide / memory("trm_mlp") < 2
    halved = memory("trm_mlp", replace(RECIPE, batch_size=384))
    assert 0.5 < halved / memory("trm_mlp") < 0.6
    assert memory("trm_mlp", processes=2) == halved
    assert halved < memory("trm_mlp", micro_batch=384) < 0.6 * memory("trm_mlp")
    assert memory("trm_mlp", micro_batch=768) == memory("trm_mlp", processes=1)
    assert memory("trm_mlp", processes=2, micro_batch=1_000) == halved
    assert memory("trm_mlp", recompute=True) < 0.3 * memory("trm_mlp")


def test_a_large_model_is_counted_without_being_made() -> None:
    """On a CPU, too: the weights of one of this width have 320 GB."""
    wide = replace(RECIPE, size=Size(width=1 << 16, heads=8), precision="float32")
    found = plan(VARIANTS["trm_mlp"], wide, HEADER, Execution(device="cpu"))
    assert found.memory_bytes > 8 * 4 * found.parameters > 10**12


def test_stored_examples_lie_on_the_device() -> None:
    """A byte for each cell of a question and of its answer."""
    planned = partial(memory_bytes, VARIANTS["trm"], RECIPE, HEADER, ON_GPU)
    assert planned(examples=1_000_000) - planned() == 162_000_000
    said = smaller(VARIANTS["trm"], RECIPE, HEADER, ON_GPU, 100_000_000_000)
    assert "about 14.8 TiB: 14.7 TiB with micro_batch=384 " in said


def test_the_deepest_stage_of_a_curriculum_takes_most() -> None:
    def memory(latent_updates: int) -> int:
        stage = DepthCurriculum(until=(0.5,), cycles=(1,), latent_updates=(latent_updates,))
        variant = replace(VARIANTS["trm_mlp"], curriculum=stage)
        return memory_bytes(variant, RECIPE, HEADER, ON_GPU, programs=False)

    assert memory(2) == memory(6)
    assert 1.5 < memory(13) / memory(6) < 2.0


@pytest.mark.skipif(not threads_reached(), reason="torch's threads are not OpenMP's here")
@pytest.mark.parametrize(("width", "own"), [(128, 3 * 512 * 128), (512, 3 * 512 * 104)])
def test_threads_have_sums_of_their_own_where_a_kernel_computes_gradients(
    width: int, own: int
) -> None:
    """Each process has its share of them. At width 128 channels have the larger sums; at width 512
    they are torch's, whose threads share one, and positions have a kernel still: 97, in whole
    registers.
    """
    recipe = Recipe(size=Size(width=width, puzzle_width=width), batch_size=16)

    def memory(threads: int, processes: int = 1) -> int:
        execution = Execution(threads=threads, processes=processes)
        return memory_bytes(VARIANTS["trm_mlp"], recipe, HEADER, execution)

    assert memory(9) - memory(1) == 8 * 4 * own
    assert memory(16, processes=2) == memory(8, processes=2) + memory(5) - memory(1)


def profiled_peak(name: str, recipe: Recipe, execution: Execution) -> int:
    """The most bytes that torch holds on the CPU at once in three steps of a training, while the
    copies for a checkpoint of the step before are being written."""
    copies: list[Checkpoint] = []

    def on_step(trainer: Trainer, _: Tensor | None) -> bool:
        copies.clear()
        copies.append(trainer.checkpoint(0.0, 0.0).copied())
        return True

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        Trainer(VARIANTS[name], recipe, random_examples(), 0, execution).run(on_step)
    kineto: Any = profiler.profiler
    events = [each for each in kineto.kineto_results.events() if each.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda each: each.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


@pytest.mark.parametrize("side", [4, 6, 9])
@pytest.mark.parametrize("variant", ["trm_mlp", "trm"])
def test_what_calls_keep_of_many_examples_is_known_from_a_few(variant: str, side: int) -> None:
    """Also where the examples of a few do not fill the tiles of a kernel."""
    header = Header(vocabulary=HEADER.vocabulary, grid=(side, side))
    size = Size(width=64, heads=4, prefix=4, puzzle_width=64)
    model = build(VARIANTS[variant], size, header, 0)
    x = torch.zeros(64, 4 + side * side, 64, requires_grad=True)
    for network, found in zip(model.networks, kept_by_calls(model), strict=True):
        true = kept_bytes(lambda network=network: network(x), model.parameters()).once
        assert found.once + 64 * found.each == pytest.approx(true, rel=0.06)


@pytest.mark.parametrize("name", ["trm_mlp", "trm", "hrm"])
@pytest.mark.parametrize("changes", [{}, {"micro_batch": 4}, {"micro_batch": 4, "recompute": True}])
def test_a_cpu_holds_what_was_planned(name: str, changes: dict[str, Any]) -> None:
    recipe = replace(SMALL, size=replace(SMALL.size, width=64), steps=3, batch_size=16)
    execution = Execution(threads=1, **changes)
    header = random_examples().header
    planned = memory_bytes(VARIANTS[name], recipe, header, execution)
    assert planned == pytest.approx(profiled_peak(name, recipe, execution), rel=0.2)


@pytest.mark.parametrize("on_nonfinite", ["stop", "skip"])
def test_what_a_skipped_step_is_undone_with_is_planned(
    on_nonfinite: Literal["stop", "skip"],
) -> None:
    """Where few examples keep less than that."""
    size = replace(SMALL.size, width=128)
    recipe = replace(SMALL, size=size, steps=3, batch_size=2, on_nonfinite=on_nonfinite)
    execution = Execution(threads=1)
    planned = memory_bytes(VARIANTS["trm_mlp"], recipe, random_examples().header, execution)
    assert planned == pytest.approx(profiled_peak("trm_mlp", recipe, execution), rel=0.2)


def test_what_takes_less_is_said() -> None:
    said = smaller(VARIANTS["trm_mlp"], RECIPE, HEADER, ON_GPU)
    assert said.startswith("lower what this training takes, about ")
    assert " with micro_batch=384 (it is 768), " in said
    assert " with recompute=true, " in said
    least = replace(ON_GPU, micro_batch=1, recompute=True)
    said = smaller(VARIANTS["trm_mlp"], RECIPE, HEADER, least)
    assert said.endswith(": a smaller width in the recipe's size takes less")


TRUE_SIZE = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from storage.examples import Examples
from tests.trm_model.training.test_memory import HEADER, RECIPE
from trm_model.training.execution import Execution
from trm_model.training.loop import train
from trm_model.training.memory import memory_bytes
from trm_model.variants import VARIANTS

def held(name):
    (line,) = (line for line in open("/proc/self/status") if line.startswith(name))
    return 1024 * int(line.split()[1])

variant = VARIANTS[sys.argv[1]]
recipe = replace(RECIPE, steps=int(sys.argv[2]), batch_size=16, precision="float32")
offsets = np.arange(65)
cells = np.ones((64, 81), np.uint8)
examples = Examples(HEADER, cells, cells, np.zeros(64, np.int32), offsets, offsets)
execution = Execution(threads=1, checkpoint_seconds=0)
planned, before = memory_bytes(variant, recipe, HEADER, execution), held("VmRSS")
train(Path(sys.argv[3]), variant, recipe, examples, 0, execution)
print("planned", planned, "held", held("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(("name", "steps"), [("trm_mlp", 30), ("trm", 5), ("hrm", 5)])
def test_a_process_holds_what_was_planned(name: str, steps: int, tmp_path: Path) -> None:
    """Sudoku-Extreme's shape, batch 16. What is freed goes back to the system at once, which glibc
    would keep in pieces: with attention half as much again. The copies for a checkpoint may have
    been written before the most is held."""
    command = [sys.executable, "-c", TRUE_SIZE, name, str(steps), str(tmp_path)]
    said = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"},
    ).stdout
    planned, held = (int(each) for each in said.splitlines()[-1].split()[1::2])
    variant, recipe = VARIANTS[name], replace(RECIPE, batch_size=16, precision="float32")
    copies = 4 * (3 + variant.ema) * plan(variant, recipe, HEADER, Execution()).parameters
    assert 0.8 * held < planned
    assert planned - copies < 1.2 * held
