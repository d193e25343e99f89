"""Whether a device computes what the CPU computes: ``python -m tests.gpu.check [DEVICE]``.

One line per comparison, ``name error (bound) ok``; exit code 1 if one is out of its bound. It needs
torch, numpy, numba, safetensors and zarr alone. Deep recursions with random weights amplify
rounding, so that a bound grows with what a relative change of the weights by 2e-7 does on the CPU.

Random draws and puzzle rows must be the same to the bit, but normal numbers, which are made by the
device's own function; stablemax of extreme logits is compared with float64, and products padded for
tensor cores with those that are not; sublayers that GPUs have programs of their own for with
float64. Every variant makes a supervision step with its gradients and a short training; then
compiled networks are compared with eager ones, also where calls are computed again for their
gradients, bfloat16 with float32, and a resumed training with one that was not interrupted. Two
processes, on two GPUs where there are two, are compared with one. On a GPU, steps are counted in
which the host waits for it, and memory is compared with what was planned.
"""

import copy
import multiprocessing
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storage.examples import Examples, Header
from tests.trm_model.training.stablemax import SIGNS, logits, reference, relative_error
from trm_model.devices import open_device
from trm_model.evaluation.evaluate import rollout
from trm_model.model.batch import Batch
from trm_model.model.kernels import gpu_swiglu
from trm_model.model.layers import SwiGlu, aligned_linear
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.variant import Variant
from trm_model.names import STORE_VARIABLE
from trm_model.noise import Noise
from trm_model.training.execution import Execution
from trm_model.training.group import Group, join
from trm_model.training.losses import log_stablemax
from trm_model.training.plan import plan
from trm_model.training.puzzle_rows import sign_sgd_
from trm_model.training.recipe import Recipe
from trm_model.training.supervision import Carry, supervise
from trm_model.training.trainer import TOTALS, Trainer
from trm_model.variants import VARIANTS

SIDE, VOCABULARY, BATCH = 4, 6, 8
ROUNDING, AMPLIFIED = 2e-7, 10.0
NORMAL_UNITS = 4.0
"""CUDA's manual allows its inverse error function two; the CPU's has an error of its own, and the
product that follows rounds both."""
RECIPE = Recipe(
    size=Size(width=32, heads=2, prefix=2, puzzle_width=32),
    steps=6,
    batch_size=BATCH,
    max_steps=4,
    exploration=0.5,
    learning_rate=1e-3,
    warmup_steps=2,
    ema_decay=0.9,
)
COMMON = ("trm_mlp", "trm", "hrm", "drm", "muon", "winner_takes_all")


class Line(NamedTuple):
    """One comparison: its name, the largest error relative to the largest value, and its bound."""

    name: str
    error: float
    bound: float


def random_examples() -> Examples:
    """Forty examples of random tokens, each a puzzle of its own."""
    generator = np.random.Generator(np.random.Philox(0))
    cells = generator.integers(1, VOCABULARY, (2, 40, SIDE * SIDE), dtype=np.uint8)
    offsets = np.arange(41)
    names = tuple(f"token {number}" for number in range(VOCABULARY))
    header = Header(vocabulary=names, grid=(SIDE, SIDE), num_puzzle_ids=3)
    ids = (offsets[:-1] % 3).astype(np.int32)
    return Examples(header, cells[0], cells[1], ids, offsets, offsets)


def disturb(model: Reasoner) -> Reasoner:
    """Change each weight by about three units in its last place, and return the model."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.0 + ROUNDING * torch.randn(weight.shape, generator=generator))
    return model


def distance(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the largest value of ``one``."""
    scale = max(float(one.abs().max()), 1e-6) if one.numel() else 1.0
    difference = (one.double().cpu() - other.double().cpu()).abs()
    return float(difference.max()) / scale if one.numel() else 0.0


def one_step(model: Reasoner, device: str) -> dict[str, Tensor]:
    """Logits, halting logits and gradients of the first training step."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, VOCABULARY, (2, BATCH, SIDE * SIDE), generator=generator).to(device)
    batch = Batch(tokens[0], tokens[1], torch.zeros(BATCH, dtype=torch.int64, device=device))
    noise = Noise(0, torch.arange(BATCH, device=device))
    step = supervise(model, Carry.fresh(model, batch, noise), max_steps=4, noise=noise)
    (step.losses.total / BATCH).backward()
    found = {"logits": step.output.logits.detach(), "halting": step.output.halt_logits.detach()}
    gradients = {
        name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None
    }
    return found | gradients


def train(
    variant: Variant,
    recipe: Recipe,
    execution: Execution,
    *,
    until: int | None = None,
    disturbed: bool = False,
    group: Group | None = None,
) -> tuple[Trainer, Tensor]:
    """A short training, stopped after ``until`` steps, and its answer loss at each step."""
    execution = replace(execution, log_steps=1)
    trainer = Trainer(variant, recipe, random_examples(), 0, execution, group)
    if disturbed:
        disturb(trainer.reasoner)
    return trainer, go_on(trainer, until)


def go_on(trainer: Trainer, until: int | None = None) -> Tensor:
    """Train further; the answer loss at each step."""
    losses: list[Tensor] = []

    def on_step(current: Trainer, totals: Tensor | None) -> bool:
        if totals is not None:
            losses.append(totals[TOTALS.index("answer_loss")])
        return current.progress.step != until

    trainer.run(on_step)
    return torch.stack(losses)


def steps(device: str) -> Iterator[Line]:
    """A supervision step of every variant on the CPU and on the device."""
    for name, variant in VARIANTS.items():
        model = Reasoner(
            variant,
            RECIPE.size,
            vocabulary=VOCABULARY,
            length=SIDE * SIDE,
            num_puzzles=1,
            generator=torch.Generator().manual_seed(0),
            grid=(SIDE, SIDE),
        )
        mine = one_step(copy.deepcopy(model), "cpu")
        rounded = one_step(disturb(copy.deepcopy(model)), "cpu")
        theirs = one_step(model.to(device), device)
        for what, names, least in (
            ("logits", ["logits"], 1e-3),
            ("halting", ["halting"], 1e-3),
            ("gradients", [name for name in mine if "." in name or name == "tokens"], 1e-2),
        ):
            error = max(distance(mine[part], theirs[part]) for part in names)
            allowed = max(distance(mine[part], rounded[part]) for part in names)
            yield Line(f"{name}: {what}", error, least + AMPLIFIED * allowed)


def trainings(device: str) -> Iterator[Line]:
    """Losses of short trainings: on the device, compiled, in bfloat16, resumed."""
    cpu, there, bounds = Execution(), Execution(device=device), dict[str, float]()
    for name in COMMON:
        _, mine = train(VARIANTS[name], RECIPE, cpu)
        _, rounded = train(VARIANTS[name], RECIPE, cpu, disturbed=True)
        _, theirs = train(VARIANTS[name], RECIPE, there)
        bounds[name] = 1e-3 + AMPLIFIED * distance(mine, rounded)
        yield Line(f"{name}: {RECIPE.steps} losses", distance(mine, theirs), bounds[name])
    for name in ("trm_mlp", "trm", "hrm"):
        # Blocks of all variants are one function, which torch compiles anew a few times alone.
        torch.compiler.reset()
        variant = VARIANTS[name]
        _, eager = train(variant, RECIPE, there)
        _, compiled = train(variant, RECIPE, replace(there, compile=True))
        yield Line(f"{name}: compiled against eager", distance(eager, compiled), 0.1)
        _, again = train(variant, RECIPE, replace(there, compile=True, recompute=True))
        what = f"{name}: compiled, and computed again for the gradient"
        yield Line(what, distance(compiled, again), bounds[name])
        _, half = train(variant, replace(RECIPE, precision="bfloat16"), there)
        yield Line(f"{name}: bfloat16 against float32", distance(eager, half), 0.1)
        yield from _wide(name, there)
        first, _ = train(variant, RECIPE, there, until=3)
        resumed = Trainer(variant, RECIPE, random_examples(), 0, replace(there, log_steps=1))
        resumed.resume(first.checkpoint(0.0, 0.0))
        rest = go_on(resumed)
        yield Line(f"{name}: resumed against not interrupted", distance(eager[3:], rest), 1e-5)
        yield from _evaluations(name, device)


def _evaluations(name: str, device: str) -> Iterator[Line]:
    """Logits of a test step, on the CPU, on the device and compiled there for batches of any size,
    as examples that are done leave them."""
    variant = VARIANTS[name]

    def logits(execution: Execution, *, disturbed: bool = False) -> Tensor:
        trainer = Trainer(variant, RECIPE, random_examples(), 0, execution)
        model, found = trainer.evaluated(), list[Tensor]()
        if disturbed:
            disturb(model)
        for count in (40, 7, 1):
            noise = Noise(0, torch.arange(count, device=execution.device))
            batch = trainer.data.gather(np.arange(count))
            with torch.no_grad():
                found.append(next(rollout(model, batch, 1, variant.evaluation, noise)).logits)
        return torch.cat(found)

    there = Execution(device=device)
    mine, rounded = logits(Execution()), logits(Execution(), disturbed=True)
    theirs, compiled = logits(there), logits(replace(there, compile=True))
    bound = 1e-3 + AMPLIFIED * distance(mine, rounded)
    yield Line(f"{name}: a test step", distance(mine, theirs), bound)
    yield Line(f"{name}: a test step, compiled", distance(theirs, compiled), bound)


def _wide(name: str, execution: Execution) -> Iterator[Line]:
    """The same at a width of which GPUs have programs of their own; on GPUs alone."""
    if not execution.device.startswith("cuda"):
        return
    recipe = replace(RECIPE, size=Size(width=64, heads=2, prefix=2, puzzle_width=64))
    half, compiled = replace(recipe, precision="bfloat16"), replace(execution, compile=True)
    (_, one), (_, other), (_, third) = (
        train(VARIANTS[name], which, how)
        for which, how in ((recipe, execution), (half, execution), (half, compiled))
    )
    yield Line(f"{name}: width 64, bfloat16 against float32", distance(one, other), 0.1)
    yield Line(f"{name}: width 64, bfloat16, compiled against eager", distance(other, third), 0.1)


def _with_gradients(module: SwiGlu, x: Tensor, above: Tensor) -> list[Tensor]:
    """A sublayer's result, and the gradients of what is in it from that of the result."""
    x = x.detach().requires_grad_()
    result = module.post_norm(x)
    leaves = [x, *module.parameters()]
    return [result.detach(), *torch.autograd.grad(result, leaves, above.to(result.dtype))]


def sublayers(device: str) -> Iterator[Line]:
    """The programs of Hopper GPUs against their formula in float64, and whether they give
    the same bits again."""
    if not gpu_swiglu.is_there(torch.device(device)):
        print("programs of Hopper GPUs: left out, since there is none, or no Triton", flush=True)
        return
    generator = torch.Generator().manual_seed(0)
    for shape, turned in (((7, 128, 97), True), ((5, 64, 20), True), ((3, 300, 512), False)):
        what = f"SwiGLU over {shape[-1]} {'positions' if turned else 'channels'}"
        module = SwiGlu(shape[-1], 4.0, generator).to(device)
        drawn = torch.randn(shape, generator=generator).to(device, torch.bfloat16)
        if turned:
            drawn = drawn.mT.contiguous().mT
        above = torch.randn(shape, generator=generator).to(device)

        served = gpu_swiglu.serves(drawn, module.gate_up, module.down)
        yield Line(f"{what}: not served", float(not served), 0.0)
        mine, *gradients = _with_gradients(module, drawn, above)
        again = _with_gradients(module, drawn, above)[1:]
        wide = copy.deepcopy(module).double()
        theirs, *expected = _with_gradients(wide, drawn.double(), above)
        with torch.no_grad():
            alone = module.post_norm(drawn)
        yield Line(f"{what}: result", distance(theirs, mine), 1e-2)
        yield Line(f"{what}: result without gradient", distance(theirs, alone), 1e-2)
        for name, one, other in zip(("x", "gate and up", "down"), expected, gradients, strict=True):
            yield Line(f"{what}: gradient of {name}", distance(one, other), 1e-2)
        differ = sum(not torch.equal(*pair) for pair in zip(gradients, again, strict=True))
        yield Line(f"{what}: gradients that differ when repeated", float(differ), 0.0)


def _rank(rank: int, size: int, folder: str, device: str) -> None:
    """One of the processes of :func:`together`; the first one keeps the losses."""
    group = join(
        {
            "RANK": str(rank),
            "WORLD_SIZE": str(size),
            "LOCAL_RANK": str(rank),
            "LOCAL_WORLD_SIZE": str(size),
            STORE_VARIABLE: f"file://{folder}/store",
        }
    )
    for name in TOGETHER:
        _, losses = train(VARIANTS[name], RECIPE, Execution(device=device), group=group)
        if group.leads:
            np.save(Path(folder, f"{name}.npy"), losses.cpu().numpy())
    group.leave()


TOGETHER = ("trm_mlp", "hrm")


def together(device: str) -> Iterator[Line]:
    """Losses of two processes against those of one; nothing where there is one GPU."""
    if device.startswith("cuda") and torch.cuda.device_count() < 2:
        print("two processes: left out, since there is one GPU", flush=True)
        return
    first = device if device == "cpu" else "cuda:0"
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        ranks = [
            processes.Process(target=_rank, args=(rank, 2, folder, first)) for rank in range(2)
        ]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join()
        if any(rank.exitcode for rank in ranks):
            raise RuntimeError(f"two processes ended with {[rank.exitcode for rank in ranks]}")
        for name in TOGETHER:
            _, alone = train(VARIANTS[name], RECIPE, Execution(device=first))
            _, rounded = train(VARIANTS[name], RECIPE, Execution(device=first), disturbed=True)
            losses = torch.from_numpy(np.load(Path(folder, f"{name}.npy")))
            bound = 1e-3 + AMPLIFIED * distance(alone, rounded)
            yield Line(f"{name}: two processes against one", distance(alone, losses), bound)


def memory(device: str) -> Iterator[Line]:
    """How far a training's memory is from what was planned; on GPUs alone, which count it."""
    if not device.startswith("cuda"):
        return
    size = Size(width=256, heads=4, prefix=2, puzzle_width=256)
    recipe = replace(RECIPE, size=size, batch_size=1024, steps=3)
    for name in ("trm_mlp", "trm", "hrm"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        execution = Execution(device=device)
        trainer, _ = train(VARIANTS[name], recipe, execution)
        used = torch.cuda.max_memory_allocated(device) - before
        planned = plan(VARIANTS[name], recipe, trainer.header, execution).memory_bytes
        yield Line(f"{name}: memory against the plan", abs(used / planned - 1), 0.2)


WAITING = (*COMMON, "drm_annealed", "fixed_point")


def waiting(device: str) -> Iterator[Line]:
    """How often the host waits for the device in three steps between two rows; on GPUs alone."""
    if not device.startswith("cuda"):
        return
    for name in WAITING:

        def on_step(current: Trainer, _: Tensor | None) -> bool:
            # The first step makes what the later ones find.
            torch.cuda.set_sync_debug_mode("warn" if current.progress.step < 4 else "default")
            return current.progress.step < 4

        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            execution = Execution(device=device, log_steps=100)
            try:
                Trainer(VARIANTS[name], RECIPE, random_examples(), 0, execution).run(on_step)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        waits = [each for each in seen if "called a synchronizing" in str(each.message)]
        for each in waits:
            print(f"{each.filename}:{each.lineno}: {each.message}")
        yield Line(f"{name}: times that the host waits", len(waits), 0.0)


def exploring(device: str) -> list[list[int]]:
    """How many steps each carried example has taken after each optimizer step, where all want to
    halt and half of them may not at once."""
    trainer = Trainer(VARIANTS["trm_mlp"], RECIPE, random_examples(), 0, Execution(device=device))
    with torch.no_grad():
        trainer.reasoner.halt_bias.fill_(9.0)
    taken: list[list[int]] = []

    def on_step(current: Trainer, _totals: Tensor | None) -> bool:
        assert current.carry is not None
        taken.append(current.carry.steps.tolist())
        return True

    trainer.run(on_step)
    return taken


def same_everywhere(device: str) -> Iterator[Line]:
    """What is the same to the bit on every device: draws, and which way puzzle rows move."""
    differing = float(exploring("cpu") != exploring(device))
    yield Line("exploration", differing, 0.0)
    generator = torch.Generator().manual_seed(0)
    for rows in (1, 40, 5_000):
        ids = torch.randint(0, rows, (768,), generator=generator)
        gradient = torch.randn(768, 512, generator=generator).round(decimals=1)
        tables = [torch.zeros(rows, 512, device=place) for place in ("cpu", device)]
        for table in tables:
            sign_sgd_(
                table,
                ids.to(table.device),
                gradient.to(table.device),
                learning_rate=1.0,
                weight_decay=0.0,
            )
        yield Line(f"puzzle rows, {rows} in all", distance(*tables), 0.0)


def noise(device: str) -> Iterator[Line]:
    """Random numbers of examples; normal ones by units in the last place."""
    here, there = (Noise(7, torch.arange(BATCH, device=place)) for place in ("cpu", device))
    one, other = (draws.uniform("check", 97, 64).cpu() for draws in (here, there))
    yield Line("uniform noise, numbers that differ", float((one != other).sum()), 0.0)
    one, other = (draws.normal("check", 97, 64).cpu().view(torch.int32) for draws in (here, there))
    units = (one.long() - other.long()).abs().max()
    yield Line("normal noise, units in the last place", float(units), NORMAL_UNITS)


def stablemax(device: str) -> Iterator[Line]:
    """Its logarithm and gradient in float32 against float64, of logits from 1e-8 to 1e37."""
    for sign in SIGNS:
        for tokens in (2, 11, 60):
            drawn = logits(sign, tokens)
            labels = torch.arange(len(drawn)).unsqueeze(1) % tokens
            x = drawn.to(device, copy=True).requires_grad_()
            found = log_stablemax(x)
            (gradient,) = torch.autograd.grad(found.gather(-1, labels.to(device)).sum(), x)
            expected, slope = reference(drawn, labels)
            name = f"stablemax of {tokens} {sign} logits"
            yield Line(name, relative_error(found.detach().cpu(), expected), 1e-6)
            yield Line(f"{name}: gradient", relative_error(gradient.cpu(), slope), 1e-6)


def padded(device: str) -> Iterator[Line]:
    """Products padded for tensor cores against those that are not, with their gradients."""
    generator = torch.Generator().manual_seed(0)
    for outs, ins in ((1024, 97), (97, 512), (11, 512)):
        drawn = [torch.randn(shape, generator=generator) for shape in ((64, ins), (outs, ins))]
        for dtype, bound in ((torch.float32, 1e-5), (torch.bfloat16, 1e-2)):
            x, weight = (each.to(device, dtype, copy=True).requires_grad_() for each in drawn)
            for what, one, other in zip(
                ("product", "gradient of x", "gradient of the weight"),
                *(
                    (product, *torch.autograd.grad(product.square().sum(), (x, weight)))
                    for product in (F.linear(x, weight), aligned_linear(x, weight))
                ),
                strict=True,
            ):
                name = f"{ins} to {outs} in {str(dtype).removeprefix('torch.')}, padded: {what}"
                yield Line(name, distance(one.detach(), other.detach()), bound)


CHECKS: tuple[Callable[[str], Iterator[Line]], ...] = (
    same_everywhere,
    noise,
    stablemax,
    padded,
    sublayers,
    steps,
    trainings,
    together,
    waiting,
    memory,
)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    device = str(open_device(arguments[0] if arguments else "auto"))
    torch.backends.cuda.matmul.allow_tf32 = False
    print(f"torch {torch.__version__} on {device}")
    print("what is compared, its largest error, (the bound of that)", flush=True)
    failed = 0
    for check in CHECKS:
        try:
            for name, error, bound in check(device):
                good = error <= bound
                failed += not good
                print(f"{name} {error:.2g} ({bound:.2g}) {'ok' if good else 'WRONG'}", flush=True)
        except Exception:  # noqa: BLE001 - whatever it is, the other checks are still to be made.
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print(f"{check.__name__}: ended by the error above WRONG", flush=True)
    print(f"{failed} comparisons out of their bounds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
