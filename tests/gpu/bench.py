"""Training steps at the papers' sizes: ``python -m tests.gpu.bench [DEVICE] [NAME …]``.

Named figures, one per line: milliseconds a step; the best possible ones, in which torch's count of
operations would be done at the device's best rate (a large bfloat16 product, measured first), and
their share of the step's; examples a second, peak memory, and seconds until the first compiled
step; and the step of a plain transcription (:mod:`tests.benchmarks.plain_models`), eager and
compiled alike; and a product of the token MLP over 97 positions, with its gradients, padded for
tensor cores and not. On a CPU sizes and numbers of steps are small, and nothing is compiled, which
would take longer than all the rest.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storage.examples import Examples, Header
from storage.reading import one_line, out_of_memory
from tests.benchmarks.plain_models import (
    HRM,
    TRM_ATTENTION,
    TRM_MAZE,
    TRM_MLP,
    Shape,
    plain_training,
)
from trm_model.devices import open_device
from trm_model.model.cost import cost
from trm_model.model.layers import aligned_linear, inner_width
from trm_model.model.reasoner import build
from trm_model.model.size import Size
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe
from trm_model.training.trainer import Trainer
from trm_model.variants import VARIANTS

CASES = {
    "sudoku_mlp": ("trm_mlp", TRM_MLP, 9, 11, 768),
    "sudoku_attention": ("trm", TRM_ATTENTION, 9, 11, 768),
    "sudoku_hrm": ("hrm", HRM, 9, 11, 768),
    "maze_attention": ("trm_attention_n4_t3", TRM_MAZE, 30, 6, 128),
    "arc_attention": ("trm_attention_n4_t3", TRM_MAZE, 30, 12, 128),
}
"""Name of a figure -> variant, its transcription, side of the grid, tokens, batch."""


def show(name: str, value: float, unit: str) -> None:
    print(f"{name} {value:.4g} {unit}", flush=True)


def synchronize(device: str) -> None:
    """Wait until the device has done what it was asked for."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def rounds(device: str) -> tuple[int, int]:
    """How many steps warm up, and how many are timed."""
    return (4, 12) if device.startswith("cuda") else (2, 3)


def milliseconds(work: Callable[[], object], device: str) -> float:
    """How long some work takes, once it is warm."""
    warm, timed = rounds(device)
    for _ in range(warm):
        work()
    synchronize(device)
    started = time.perf_counter()
    for _ in range(timed):
        work()
    synchronize(device)
    return 1e3 * (time.perf_counter() - started) / timed


def best_rate(device: str) -> float:
    """Operations a second of a large product in bfloat16."""
    side = 8192 if device.startswith("cuda") else 1024
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    best = 0.0
    for _ in range(5):
        synchronize(device)
        started = time.perf_counter()
        for _ in range(5):
            torch.matmul(a, a)
        synchronize(device)
        best = max(best, 5 * 2 * side**3 / (time.perf_counter() - started))
    return best


def bench_product(device: str) -> None:
    """Milliseconds of a token MLP's first product and of its gradients, padded and not."""
    positions = 97
    width, batch = (512, 768) if device.startswith("cuda") else (64, 4)
    x = torch.randn(batch, width, positions, device=device, dtype=torch.bfloat16)
    inner = inner_width(positions, Size().expansion)
    weight = torch.randn(2 * inner, positions, device=device, dtype=torch.bfloat16)
    for tensor in (x, weight):
        tensor.requires_grad_()
    for name, product in (("padded", aligned_linear), ("not_padded", F.linear)):

        def both(product: Callable[[Tensor, Tensor], Tensor] = product) -> None:
            result = product(x, weight)
            torch.autograd.grad(result, (x, weight), result.detach())

        show(f"token_product_{positions}_{name}_B{batch}", milliseconds(both, device), "ms")


def random_examples(side: int, tokens: int, count: int) -> Examples:
    """Examples of random tokens, all of one puzzle id."""
    generator = np.random.Generator(np.random.Philox(0))
    cells = generator.integers(1, tokens, (2, count, side * side), dtype=np.uint8)
    offsets = np.arange(count + 1)
    header = Header(vocabulary=tuple(map(str, range(tokens))), grid=(side, side))
    return Examples(header, cells[0], cells[1], np.zeros(count, np.int32), offsets, offsets)


def sizes(name: str, device: str) -> tuple[Size, int, int]:
    """The model's size, the side of the grid and the batch of a case."""
    *_, side, _, batch = CASES[name]
    if device.startswith("cuda"):
        return Size(), side, batch
    return Size(width=64, heads=4, prefix=4, puzzle_width=64), min(side, 9), 4


def bench_plain(name: str, device: str, *, compiled: bool) -> None:
    """Milliseconds a step of the transcription of a case."""
    variant, plan, _, tokens, _ = CASES[name]
    size, side, batch = sizes(name, device)
    examples = random_examples(side, tokens, batch)
    shape = Shape(
        batch=batch,
        length=side * side,
        width=size.width,
        prefix=size.prefix,
        heads=size.heads,
        vocabulary=tokens,
    )
    state = build(VARIANTS[variant], size, examples.header, 0).state_dict()
    inputs, labels = (
        torch.from_numpy(cells).long().to(device) for cells in examples.rows(np.arange(batch))
    )
    data = (inputs, labels, torch.bfloat16)
    step = plain_training(plan, shape, state, *data, compiled=compiled)
    title = f"{name}_plain_{'compiled' if compiled else 'eager'}_B{batch}"
    show(title, milliseconds(step, device), "ms/step")


def bench(name: str, device: str, rate: float, *, compiled: bool) -> None:
    """The figures of one case."""
    variant_name, _, _, tokens, _ = CASES[name]
    variant, gpu = VARIANTS[variant_name], device.startswith("cuda")
    size, side, batch = sizes(name, device)
    warm, timed = rounds(device)
    recipe = Recipe(size=size, precision="bfloat16", batch_size=batch, steps=warm + timed)
    execution = Execution(device=device, compile=compiled, log_steps=warm + timed)
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    trainer = Trainer(variant, recipe, random_examples(side, tokens, 2 * batch), 0, execution)
    marks = [time.perf_counter()]

    def on_step(_trainer: Trainer, _totals: Tensor | None) -> bool:
        if trainer.progress.step in (1, warm, warm + timed):
            synchronize(device)
            marks.append(time.perf_counter())
        return True

    trainer.run(on_step)
    seconds = (marks[3] - marks[2]) / timed
    title = f"{name}_{'compiled' if compiled else 'eager'}_B{batch}"
    found = cost(
        variant, size, vocabulary=tokens, length=side * side, batch_size=batch, max_steps=16
    )
    best = found.training_flops / rate
    show(f"{title}", 1e3 * seconds, "ms/step")
    show(f"{title}_best", 1e3 * best, "ms/step at the best rate")
    show(f"{title}_share", best / seconds, "of the best rate")
    show(f"{title}_examples", batch / seconds, "examples/s")
    show(f"{title}_first_step", marks[1] - marks[0], "s")
    if gpu:
        show(f"{title}_peak", torch.cuda.max_memory_allocated() / 2**30, "GiB")


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    device = str(open_device(arguments[0] if arguments else "auto"))
    gpu = device.startswith("cuda")
    where = torch.cuda.get_device_name() if gpu else "CPU"
    print(f"torch {torch.__version__} on {where}", flush=True)
    rate = best_rate(device)
    show("best_bfloat16_rate", rate / 1e12, "TFLOP/s")
    bench_product(device)
    for name in arguments[1:] or CASES:
        for compiled in (False, True) if gpu else (False,):
            # Blocks of all cases are one function, which torch compiles anew a few times alone.
            torch.compiler.reset()
            for work in (partial(bench, rate=rate), bench_plain):
                try:
                    work(name, device, compiled=compiled)
                except RuntimeError as error:
                    if not out_of_memory(error):
                        raise
                    print(f"{name}: too little memory: {one_line(error)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
