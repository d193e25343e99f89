"""Named figures, one per line, ``name value unit``: ``python -m tests.benchmarks [load|step|sudoku|maze|arc|disk]``. Run nothing beside it."""

import csv
import gc
import gzip
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from assets.benchmarks import BENCHMARKS as BENCHMARKS_OF_THE_GRAPH
from assets.kinds import Kind, kind_of
from assets.sudoku import SudokuKind
from storage.examples import Codec, Source, map_shards, write_examples
from tests.benchmarks.plain_trm import PlainTrm, plain_step
from trm_model.ema import Ema
from trm_model.embedding import sign_sgd_
from trm_model.noise import Noise
from trm_model.optim import make_optimizers
from trm_model.puzzles import arc, arc_examples, maze, sudoku
from trm_model.puzzles.sudoku_examples import SudokuExamples, check_examples
from trm_model.reasoner import Reasoner
from trm_model.recipe import Recipe, Size
from trm_model.supervision import Batch, Carry, supervise
from trm_model.variant import VARIANTS

BATCH, LENGTH, WIDTH, PREFIX, VOCABULARY = 64, 16, 64, 4, 6


def show(name: str, value: float, unit: str) -> None:
    print(f"{name} {value:.4g} {unit}", flush=True)


def random_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    inputs, labels = (torch.randint(1, VOCABULARY, (BATCH, LENGTH), generator=generator) for _ in range(2))
    return Batch(inputs, labels, torch.zeros(BATCH, dtype=torch.int64))


def ours(name: str) -> tuple[Reasoner, Callable[[], torch.Tensor]]:
    """Our model and a function that makes one training step and returns its loss."""
    recipe = Recipe(size=Size(width=WIDTH, heads=4, prefix=PREFIX, puzzle_width=WIDTH))
    model = Reasoner(
        VARIANTS[name], recipe.size, vocabulary=VOCABULARY, length=LENGTH, num_puzzles=1, generator=torch.Generator().manual_seed(0)
    )
    (optimizer,), ema, batch = make_optimizers(model, recipe), Ema(model, recipe.ema_decay), random_batch()
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate
    noise = Noise(0, torch.arange(BATCH))
    carry = Carry.fresh(model, batch, noise)

    def step() -> torch.Tensor:
        nonlocal carry
        result = supervise(model, carry, max_steps=recipe.max_steps, noise=noise)
        loss = result.losses.total / BATCH
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update(model)
        assert result.rows.grad is not None
        sign_sgd_(model.puzzle_rows, batch.puzzle_ids, result.rows.grad, learning_rate=1e-4, weight_decay=1.0)
        carry = Carry(batch, result.carry.state, result.carry.steps, result.carry.halted)
        return loss.detach()

    return model, step


def plain(source: Reasoner) -> Callable[[], torch.Tensor]:
    """The plain transcription with the same weights as ``source``, and the same step."""
    model = PlainTrm(vocabulary=VOCABULARY, length=LENGTH, width=WIDTH, prefix=PREFIX, updates=6, cycles=3)
    state = source.state_dict()
    renamed = {
        "tokens.weight": "tokens",
        "head.weight": "head",
        "halt.weight": "halt_weight",
        "halt.bias": "halt_bias",
        "y0": "answer_start",
    }
    renamed |= {
        f"blocks.{layer}.{theirs}.{part}.weight": f"networks.0.{layer}.{mine}.{part}"
        for layer in range(2)
        for theirs, mine in (("tokens", "mixer"), ("channels", "channels"))
        for part in ("gate_up", "down")
    }
    model.load_state_dict({"z0": state["latent_starts"][0], **{theirs: state[mine] for theirs, mine in renamed.items()}})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=1.0)
    average = {name: p.detach().clone() for name, p in model.named_parameters()}
    table, batch = torch.zeros(1, WIDTH), random_batch()
    shape = (BATCH, PREFIX + LENGTH, WIDTH)
    carry = (state["answer_start"].expand(shape), state["latent_starts"][0].expand(shape))

    def step() -> torch.Tensor:
        nonlocal carry
        loss, carry = plain_step(model, optimizer, average, table, carry, batch.inputs, batch.labels, batch.puzzle_ids)
        return loss

    return step


def milliseconds(steps: dict[str, Callable[[], object]], rounds: int = 9, repeats: int = 8) -> dict[str, list[float]]:
    """Times per call, taken in turns so that a busy moment of the machine meets all alike."""
    for step in steps.values():
        for _ in range(4):
            step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            gc.collect()
            started = time.perf_counter()
            for _ in range(repeats):
                step()
            times[name].append((time.perf_counter() - started) / repeats * 1e3)
    return times


def bench_step() -> None:
    """One training step on the CPU: B 64, L 16, D 64, T 3, n 6, float32."""
    model, mlp = ours("trm_mlp")
    times = milliseconds({"plain": plain(model), "trm_mlp": mlp, "trm": ours("trm")[1]})
    for name, values in times.items():
        show(f"step_{name}_L16_D64", statistics.median(values), "ms")
    ratios = [mine / theirs for mine, theirs in zip(times["trm_mlp"], times["plain"], strict=True)]
    show("step_ratio_trm_mlp_L16_D64", statistics.median(ratios), "ours/plain")


def bench_load() -> None:
    """Seconds to import bare Dagster, and to import it and build our definitions, in fresh processes."""
    for name, program in (("import_dagster", "import dagster"), ("load_definitions", "import pipelines.definitions")):
        seconds: list[float] = []
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).resolve().parents[2])
            seconds.append(time.perf_counter() - started)
        show(name, min(seconds), "s")


def per_second(count: int, work: Callable[[], object], rounds: int = 3) -> float:
    """Best of some rounds, in CPU time: other processes do not count."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return count / best


def real_sudoku() -> dict[str, sudoku.Grids]:
    """Real puzzles by kind; nothing where the folder is missing."""
    path = Path(__file__).resolve().parents[3] / "shared" / "data" / "sudoku" / "hard_train.csv.gz"
    if not path.exists():
        return {}
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    kinds = {"hard": "puzzles5_forum_hardest_1905_11+", "17_clue": "puzzles2_17_clue"}
    return {
        kind: np.stack([sudoku.from_text(row["question"], sudoku.SHAPES[9]) for row in rows if row["source"] == source])
        for kind, source in kinds.items()
    }


def bench_sudoku() -> None:
    """Generating, solving with proof of uniqueness, canonical forms, shuffled examples and their check; one core."""
    shape = sudoku.SHAPES[9]
    for kind, puzzles in real_sudoku().items():
        sudoku.solve(puzzles[:1], shape)
        show(f"sudoku_solve_{kind}_per_s", per_second(len(puzzles), lambda puzzles=puzzles: sudoku.solve(puzzles, shape)), "1/s")
    sudoku.generate(1, shape, seed=1)
    show("sudoku_generate_9x9_per_s", per_second(2_000, lambda: sudoku.generate(2_000, shape, seed=0)), "1/s")
    made = sudoku.generate(2_000, shape, seed=0)
    show("sudoku_solve_minimal_per_s", per_second(2_000, lambda: sudoku.solve(made.puzzles, shape)), "1/s")
    show("sudoku_difficulty_per_s", per_second(2_000, lambda: sudoku.difficulty(made.puzzles, shape)), "1/s")
    show("sudoku_canonical_per_s", per_second(2_000, lambda: sudoku.canonical(made.puzzles, made.answers, shape)), "1/s")
    examples = SudokuExamples(made.puzzles, made.answers, shape, copies=1_000, seed=0)
    index = np.arange(200_000)
    inputs, labels = examples.rows(index)
    show("sudoku_rows_per_s", per_second(len(index), lambda: examples.rows(index)), "1/s")
    check_examples(inputs[:1], labels[:1], shape)
    show("sudoku_check_examples_per_s", per_second(len(index), lambda: check_examples(inputs, labels, shape)), "1/s")


def bench_arc() -> None:
    """ARC-AGI-1 with 1,000 augmentations: planning all of it, making examples in random order, checking them; one core."""
    train, test = arc.packaged_tasks("arc_agi_1/training"), arc.packaged_tasks("arc_agi_1/evaluation")
    arc_examples.make_examples(train[:1], test[:1], augmentations=1, seed=0)
    started = time.process_time()
    source, _ = arc_examples.make_examples(train, test, augmentations=1_000, seed=0)
    show("arc_plan_s", time.process_time() - started, "s")
    index = np.random.Generator(np.random.Philox(0)).integers(0, len(source), 1 << 15)
    inputs, labels = source.rows(index)
    arc.check_examples(inputs[:1], labels[:1])
    work: dict[str, Callable[[], object]] = {
        "arc_rows_per_s": lambda: source.rows(index),
        "arc_check_per_s": lambda: arc.check_examples(inputs, labels),
    }
    for name, function in work.items():
        seconds: list[float] = []
        for _ in range(9):
            started = time.process_time()
            function()
            seconds.append(time.process_time() - started)
        show(name, len(index) / statistics.median(seconds), "1/s")


def bench_maze() -> None:
    """Generating 30 x 30 mazes as maze_hard has them, checking them, and making examples from them; CPU time of one core."""
    maze.generate(1, 30, seed=1, longer_than=110)
    started = time.process_time()
    made = maze.generate(2_000, 30, seed=0, longer_than=110)
    show("maze_hard_generate_per_s", 2_000 / (time.process_time() - started), "1/s")
    index = np.arange(len(made.inputs) * 8)
    examples = maze.MazeExamples(made.inputs, made.labels, 30, copies=7, seed=0)
    inputs, labels = examples.rows(index)
    work: dict[str, Callable[[], object]] = {
        "check": lambda: maze.check_examples(inputs, labels, 30),
        "rows": lambda: examples.rows(index),
    }
    for name, function in work.items():
        function()
        started = time.process_time()
        for _ in range(10):
            function()
        show(f"maze_{name}_per_s", 10 * len(index) / (time.process_time() - started), "1/s")


def bench_disk() -> None:
    """Examples to disk, compressed, with checksums, and validated as they are read back: one worker, wall time; peak memory of all."""
    shape = sudoku.SHAPES[9]
    made = sudoku.generate(1_000, shape, seed=0)
    train, test = arc.packaged_tasks("arc_agi_1/training"), arc.packaged_tasks("arc_agi_1/evaluation")
    tasks, _ = arc_examples.make_examples(train, test, augmentations=1_000, seed=0)
    cases: dict[str, tuple[Source, Codec, Kind]] = {
        "sudoku": (SudokuExamples(made.puzzles, made.answers, shape, copies=4_000, seed=0), "bitshuffle", SudokuKind(9)),
        "arc": (tasks, "plain", kind_of(BENCHMARKS_OF_THE_GRAPH["arc_agi_1"].source)),
    }
    for name, (source, codec, kind) in cases.items():
        kind.example_checks(*source.rows(np.arange(1)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "split.zarr"
            started = time.perf_counter()
            count = write_examples(path, source, codec=codec, workers=1)
            written = time.perf_counter()
            checks = map_shards(path, lambda _, inputs, labels, kind=kind: kind.example_checks(inputs, labels), 1)
            passed = all(good.all() for results in checks for good in results.values())
            checked = time.perf_counter()
            assert passed
            stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        show(f"{name}_write_per_s", count / (written - started), "1/s")
        show(f"{name}_validate_per_s", count / (checked - written), "1/s")
        show(f"{name}_stored_bytes_per_example", stored / count, "B")
    show("disk_peak_memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "GiB")


BENCHMARKS = {"load": bench_load, "step": bench_step, "sudoku": bench_sudoku, "maze": bench_maze, "arc": bench_arc, "disk": bench_disk}


def main(arguments: list[str]) -> int:
    """Run the named parts, or all."""
    unknown = [name for name in arguments if name not in BENCHMARKS]
    if unknown:
        print(f"error: no benchmark {unknown[0]!r}: expected {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in arguments or BENCHMARKS:
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
