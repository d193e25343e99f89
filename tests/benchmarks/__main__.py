"""Named figures, one per line, ``name value unit``: ``python -m tests.benchmarks [PART]``, parts as
in PARTS. Run nothing beside it.

Figures ``…_plain`` are of :mod:`tests.benchmarks.plain_builders`, the same work done plainly: the
ratio holds on any machine.
"""

import csv
import gc
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.reports.ablation import materialize_ablation
from assets.tables import Runs, Scores, Training
from storage.examples import Ints, map_shards, read_examples
from storage.store import LocalStore
from storage.tables import scan
from tests.benchmarks import many_runs, plain_builders
from tests.benchmarks.plain_models import (
    HRM,
    TRM_ATTENTION,
    TRM_MLP,
    Plan,
    Shape,
    plain_training,
)
from tests.benchmarks.writing import SHARED, WRITERS, Written, arc_tasks, sudoku_examples
from trm_model.model.batch import Batch, DeviceExamples
from trm_model.model.generations.autoregressive import Cache
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.noise import Noise
from trm_model.puzzles import arc, maze, sudoku
from trm_model.puzzles.family import Family
from trm_model.puzzles.maze.sampling import good_shares
from trm_model.puzzles.sudoku.checks import check_examples
from trm_model.seeding import numpy_generator
from trm_model.training.ema import Ema
from trm_model.training.optimizers import make_optimizers
from trm_model.training.puzzle_rows import sign_sgd_
from trm_model.training.recipe import Recipe
from trm_model.training.sampler import Position, Sampler
from trm_model.training.supervision import Carry, supervise
from trm_model.training.this_cpu import product_rate
from trm_model.variants import VARIANTS

ROOT = Path(__file__).resolve().parents[2]
SMALL = Shape(batch=64, length=16, width=64, prefix=4, heads=4, vocabulary=6)
MIDDLE = Shape(batch=64, length=81, width=128, prefix=16, heads=4, vocabulary=11)
LARGE = Shape(batch=16, length=81, width=512, prefix=16, heads=8, vocabulary=11)
PLANS = {"trm_mlp": TRM_MLP, "trm": TRM_ATTENTION, "hrm": HRM}
STEPS = (
    ("L16_D64", SMALL, ("trm_mlp", "trm"), (9, 4)),
    ("L81_D128", MIDDLE, ("trm_mlp", "trm", "hrm"), (5, 1)),
    ("L81_D512", LARGE, ("trm_mlp", "trm"), (3, 1)),
)
"""Shapes, the models whose step is timed at them, and in how many rounds of how many steps."""


def show(name: str, value: float, unit: str) -> None:
    print(f"{name} {value:.4g} {unit}", flush=True)


def random_batch(shape: Shape) -> Batch:
    generator = torch.Generator().manual_seed(0)
    inputs, labels = (
        torch.randint(1, shape.vocabulary, (shape.batch, shape.length), generator=generator)
        for _ in range(2)
    )
    return Batch(inputs, labels, torch.zeros(shape.batch, dtype=torch.int64))


def ours(name: str, shape: Shape) -> tuple[Reasoner, Callable[[], torch.Tensor]]:
    """Our model and a function that makes one training step and returns its loss."""
    size = Size(width=shape.width, heads=shape.heads, prefix=shape.prefix, puzzle_width=shape.width)
    recipe = Recipe(size=size)
    model = Reasoner(
        VARIANTS[name],
        recipe.size,
        vocabulary=shape.vocabulary,
        length=shape.length,
        num_puzzles=1,
        generator=torch.Generator().manual_seed(0),
    )
    (optimizer,), ema, batch = (
        make_optimizers(model, recipe),
        Ema(model, recipe.ema_decay),
        random_batch(shape),
    )
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate
    noise = Noise(0, torch.arange(shape.batch))
    carry = Carry.fresh(model, batch, noise)

    def step() -> torch.Tensor:
        nonlocal carry
        result = supervise(model, carry, max_steps=recipe.max_steps, noise=noise)
        loss = result.losses.total / shape.batch
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update(model, 1)
        assert result.rows.grad is not None
        sign_sgd_(
            model.puzzle_rows,
            batch.puzzle_ids,
            result.rows.grad,
            learning_rate=1e-4,
            weight_decay=1.0,
        )
        halted = torch.zeros_like(result.carry.halted)
        # As at the first step: Q-learning's last step has another target.
        carry = Carry(batch, result.carry.state, torch.zeros_like(result.carry.steps), halted)
        return loss.detach()

    return model, step


def plain(source: Reasoner, plan: Plan, shape: Shape) -> Callable[[], torch.Tensor]:
    """The plain transcription with the same weights as ``source``, and the same step."""
    batch = random_batch(shape)
    return plain_training(plan, shape, source.state_dict(), batch.inputs, batch.labels)


def milliseconds(
    steps: dict[str, Callable[[], object]], rounds: int = 9, repeats: int = 8
) -> dict[str, list[float]]:
    """Times per call, taken in turns so that a busy moment of the machine meets all alike."""
    for step in steps.values():
        for _ in range(2):
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


def floating_point_operations(step: Callable[[], object]) -> int:
    """Floating-point operations of a call by torch's counter."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def bench_step() -> None:
    """Training steps on the CPU in float32 beside the plain transcription of the same, which takes
    turns with ours; and how long their operations would take at the rate of a matrix product."""
    rate = product_rate(2_048)
    show("product_rate", rate / 1e9, "GFLOP/s")
    for place, shape, models, rounds in STEPS:
        for name in models:
            model, mine = ours(name, shape)
            theirs = plain(model, PLANS[name], shape)
            times = milliseconds({"plain": theirs, "ours": mine}, *rounds)
            show(f"step_{name}_{place}_plain", statistics.median(times["plain"]), "ms")
            show(f"step_{name}_{place}", statistics.median(times["ours"]), "ms")
            operations = floating_point_operations(theirs)
            show(f"step_{name}_{place}_at_product_rate", operations / rate * 1e3, "ms")
            ratios = [a / b for a, b in zip(times["ours"], times["plain"], strict=True)]
            show(f"step_ratio_{name}_{place}", statistics.median(ratios), "ours/plain")


def bench_load() -> None:
    """Seconds to import bare Dagster, and to import it and build our definitions, in fresh
    processes."""
    for name, program in (
        ("import_dagster", "import dagster"),
        ("load_definitions", "import pipelines.definitions"),
    ):
        seconds: list[float] = []
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
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
    path = SHARED / "sudoku" / "hard_train.csv.gz"
    if not path.exists():
        return {}
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    kinds = {"hard": "puzzles5_forum_hardest_1905_11+", "17_clue": "puzzles2_17_clue"}
    return {
        kind: np.stack(
            [
                sudoku.from_text(row["question"], sudoku.SHAPES[9])
                for row in rows
                if row["source"] == source
            ]
        )
        for kind, source in kinds.items()
    }


def bench_writing(name: str, figure: str, family: Family, cells: int, augmentations: int) -> float:
    """A full-size data set made, compressed and stored with checksums by a process of its own, CPU
    time of one core; then every stored example checked as the graph checks it. Returns the time of
    checking over that of writing."""

    def check(folder: Path) -> float:
        started = time.process_time()
        for path in folder.glob("*.zarr"):
            for results in map_shards(
                path, lambda _, inputs, labels: family.check(inputs, labels), workers=1
            ):
                assert all(good.all() for good in results.values())
        return time.process_time() - started

    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as folder:
        # All is compiled before the process whose memory is measured.
        WRITERS[name](1)(Path(small))
        check(Path(small))
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.writing",
            name,
            folder,
            str(augmentations),
        ]
        written = Written(
            **json.loads(
                subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE).stdout
            )
        )
        seconds = check(Path(folder))
        stored = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    show(f"{name}_{figure}_examples_per_s", written.examples / written.seconds, "1/s")
    show(f"{name}_{figure}_peak_mib", written.peak_mib, "MiB")
    show(f"{name}_bytes_ratio", 2 * cells * written.examples / stored, "raw/stored")
    return seconds / written.seconds


def bench_plain_writing(name: str, write: Callable[[Path], int]) -> None:
    """A sample of the same as a plain builder writes it, CPU time."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        count = write(Path(folder))
        show(name, count / (time.process_time() - started), "1/s")


def bench_sudoku() -> None:
    """Generating, solving with proof of uniqueness, canonical forms, shuffled examples, made and on
    disk, and their check; one core."""
    shape = sudoku.SHAPES[9]
    for kind, puzzles in real_sudoku().items():
        sudoku.solve(puzzles[:1], shape)
        show(
            f"sudoku_solve_{kind}_per_s",
            per_second(len(puzzles), partial(sudoku.solve, puzzles, shape)),
            "1/s",
        )
    sudoku.generate(1, shape, seed=1)
    show(
        "sudoku_generate_9x9_per_s",
        per_second(2_000, lambda: sudoku.generate(2_000, shape, seed=0)),
        "1/s",
    )
    made = sudoku.generate(2_000, shape, seed=0)
    show(
        "sudoku_solve_minimal_per_s",
        per_second(2_000, lambda: sudoku.solve(made.puzzles, shape)),
        "1/s",
    )
    show(
        "sudoku_difficulty_per_s",
        per_second(2_000, lambda: sudoku.difficulty(made.puzzles, shape)),
        "1/s",
    )
    show(
        "sudoku_canonical_per_s",
        per_second(2_000, lambda: sudoku.canonical(made.puzzles, made.answers, shape)),
        "1/s",
    )
    examples, index = sudoku_examples(1_000), np.arange(200_000)
    inputs, labels = examples.rows(index)
    show("sudoku_rows_per_s", per_second(len(index), lambda: examples.rows(index)), "1/s")
    check_examples(inputs[:1], labels[:1], shape)
    show(
        "sudoku_check_examples_per_s",
        per_second(len(index), lambda: check_examples(inputs, labels, shape)),
        "1/s",
    )
    show(
        "validation_over_writing",
        bench_writing("sudoku", "shuffle", sudoku.Sudoku(9), 81, augmentations=4_000),
        "checking/writing",
    )
    generator = numpy_generator(0, "plain")
    bench_plain_writing(
        "sudoku_shuffle_examples_per_s_plain",
        lambda folder: plain_builders.write_sudoku(
            folder, made.puzzles[:20], made.answers[:20], 1_000, generator
        ),
    )


def bench_maze() -> None:
    """30 x 30 mazes as maze_hard has them, generated, checked, and examples made from them; CPU
    time of one core.

    The plain builder draws for seconds until it keeps one: its figure is its draws per second times
    the share of draws that is kept, which is the mean share of good pairs of start and goal over
    random layouts (here with a standard error of 2.4 %).
    """
    side, longer_than, draws = 30, 110, 2_000
    maze.generate(1, side, seed=1, longer_than=longer_than)
    show(
        "maze_hard_per_s",
        per_second(
            2_000, partial(maze.generate, 2_000, side, seed=0, longer_than=longer_than), rounds=1
        ),
        "1/s",
    )
    generator = numpy_generator(0, "plain")

    def draw_plainly() -> None:
        for _ in range(draws):
            plain_builders.draw_maze(side, longer_than, generator)

    drawn = per_second(draws, draw_plainly, rounds=1)
    kept = float(good_shares(side, longer_than, 270, 450, 2_000_000, 0).mean())
    show("maze_draws_per_s_plain", drawn, "1/s")
    show("maze_share_of_draws_kept_plain", kept, "1")
    show("maze_hard_per_s_plain", drawn * kept, "1/s")
    made = maze.generate(500, side, seed=0, longer_than=longer_than)
    examples, index = (
        maze.MazeExamples(made.inputs, made.labels, side, copies=7, seed=0),
        np.arange(4_000),
    )
    inputs, labels = examples.rows(index)
    maze.check_examples(inputs[:1], labels[:1], side)
    show(
        "maze_check_per_s",
        per_second(len(index), lambda: maze.check_examples(inputs, labels, side), rounds=9),
        "1/s",
    )
    show("maze_rows_per_s", per_second(len(index), lambda: examples.rows(index), rounds=9), "1/s")


def bench_arc() -> None:
    """ARC-AGI-1, and ConceptARC where it is there, with 1,000 augmentations: examples planned, made
    in random order, checked, and all of them on disk; one core.

    The plain builder gets all tasks, but ten augmentations of each: of a thousand it would draw
    thousands in vain for tasks of few colours, so that this flatters it.
    """
    train, test = arc_tasks()
    show("arc_tasks", len(train) + len(test), "tasks")
    arc.make_examples(train[:1], test[:1], augmentations=1, seed=0)
    started = time.process_time()
    source, _ = arc.make_examples(train, test, augmentations=1_000, seed=0)
    show("arc_plan_s", time.process_time() - started, "s")
    index = numpy_generator(0, "benchmark").integers(0, len(source), 1 << 15)
    inputs, labels = source.rows(index)
    show("arc_rows_per_s", per_second(len(index), lambda: source.rows(index), rounds=9), "1/s")
    arc.check_examples(inputs[:1], labels[:1])
    show(
        "arc_check_per_s",
        per_second(len(index), lambda: arc.check_examples(inputs, labels), rounds=9),
        "1/s",
    )
    family = BENCHMARKS["arc_agi_1"].origin.family
    show(
        "validation_over_writing_arc",
        bench_writing("arc", "augment", family, arc.SIDE**2, augmentations=1_000),
        "checking/writing",
    )
    generator = numpy_generator(0, "plain")
    bench_plain_writing(
        "arc_augment_examples_per_s_plain",
        lambda folder: plain_builders.write_arc(folder, train, test, 10, generator),
    )


@contextmanager
def one_thread() -> Generator[None]:
    """PyTorch computes on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@one_thread()
def bench_loader() -> None:
    """Batches of 768 on the CPU as training gets them, in its order, from the full-size Sudoku data
    set: stored (decoded to memory), and computed online; CPU time of one thread."""
    source = sudoku_examples(1_000)
    with tempfile.TemporaryDirectory() as folder:
        WRITERS["sudoku"](1_000)(Path(folder))
        stored = read_examples(Path(folder) / "train.zarr")
    for suffix, examples in (("", stored), ("_online", source)):
        batches = Sampler(examples, 768, seed=0).batches(Position())
        loader = DeviceExamples(examples, torch.device("cpu"))

        def load(
            batches: Iterator[tuple[Ints, Position]] = batches, loader: DeviceExamples = loader
        ) -> None:
            for _ in range(200):
                loader.gather(next(batches)[0])

        show(f"loader_examples_per_s{suffix}", per_second(200 * 768, load), "1/s")


@torch.no_grad()
def refine(model: Reasoner, steps: int, cache: Cache | None, first: int, stop: int) -> None:
    """The supervision steps of the positions ``first`` to ``stop`` of one sequence; those before
    them are in ``cache``."""
    noise, inputs = (
        Noise(0, torch.zeros(1, dtype=torch.int64)),
        torch.ones(1, model.length, dtype=torch.int64),
    )
    question, state = (
        model.embed(inputs, torch.zeros(1, 0), inputs)[:, first:stop],
        model.start(noise).part(first, stop),
    )
    if cache is not None:
        cache.move(first, stop)
    for _ in range(steps):
        if cache is not None:
            cache.step(torch.zeros(1, dtype=torch.bool))
        state = model.recurse(question, state, model.recursion, noise, cache)


@one_thread()
def bench_autoregressive() -> None:
    """One token after a prefix of N cells, four supervision steps of 21 calls: D 64, one sequence,
    CPU time of one thread."""
    size, steps = Size(width=SMALL.width, heads=4, prefix=0, puzzle_width=0), 4
    for prefix in (16, 64, 256, 1_024):
        generator = torch.Generator().manual_seed(0)
        model = Reasoner(
            VARIANTS["autoregressive"],
            size,
            vocabulary=SMALL.vocabulary,
            length=prefix + 1,
            num_puzzles=1,
            generator=generator,
        )
        cache = Cache(model, 1, steps)
        refine(model, steps, cache, 0, prefix)
        for name, work in (
            ("cached", partial(refine, model, steps, cache, prefix, prefix + 1)),
            ("anew", partial(refine, model, steps, None, 0, prefix + 1)),
        ):
            work()
            show(f"ar_token_ms_prefix_{prefix}_{name}", 1e3 / per_second(1, work, rounds=5), "ms")


def bench_store() -> None:
    """A store of 1,000 runs: ``trm runs`` in a fresh process, reading its tables, and writing the
    report on their benchmark; seconds on the clock."""

    def seconds(work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore.create(Path(folder))
        many_runs.write_runs(store, 1_000)
        name = many_runs.BENCHMARK
        command = [sys.executable, "-m", "pipelines", "runs", name]
        environment = {**os.environ, "TRM_DATA": folder}
        show(
            "trm_runs_1000",
            seconds(
                lambda: subprocess.run(
                    command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
                )
            ),
            "s",
        )
        for table in (Runs, Training, Scores):
            found = min(seconds(lambda t=table: scan(store, t).collect()) for _ in range(3))
            show(f"scan_{table.__name__.lower()}_1000", found, "s")
        report = partial(materialize_ablation, store, name, BENCHMARKS[name], VARIANTS)
        show("ablation_1000", seconds(report), "s")
        page = store.open(keys.runs_page(name))
        show("runs_page_1000", page.stat().st_size / 2**20, "MiB")


PARTS = {
    "load": bench_load,
    "step": bench_step,
    "sudoku": bench_sudoku,
    "maze": bench_maze,
    "arc": bench_arc,
    "loader": bench_loader,
    "autoregressive": bench_autoregressive,
    "store": bench_store,
}


def main(arguments: list[str]) -> int:
    """Run the named parts, or all."""
    unknown = [name for name in arguments if name not in PARTS]
    if unknown:
        print(f"error: no benchmark {unknown[0]!r}: expected {', '.join(PARTS)}", file=sys.stderr)
        return 2
    for name in arguments or PARTS:
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
