"""Ways to run one training that must agree: ``python -m tests.benchmarks.agreement``.

Prints the loss of each step, a column for each way: one, two and four processes (gloo, on the CPU),
micro-batches, calls computed again for the gradient, and compiled networks. In float64, since
rounding in float32 grows from step to step. The last row is the largest difference from the first
column. The exit code is 1 where one is above its bound.
"""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from storage.examples import Examples
from tests.gpu.check import RECIPE, random_examples
from tests.trm_model.training.test_group import VARIANT, together
from trm_model.training.execution import Execution
from trm_model.training.figures import METRICS, read_rows
from trm_model.training.group import Group
from trm_model.training.loop import train

EVERY = Execution(log_steps=1, threads=1, validate_steps=0)
WAYS = {
    "1 process": EVERY,
    "2 processes": replace(EVERY, processes=2),
    "4 processes": replace(EVERY, processes=4),
    "micro-batches of 3": replace(EVERY, micro_batch=3),
    "2 processes, of 1": replace(EVERY, processes=2, micro_batch=1),
    "computed again": replace(EVERY, recompute=True),
    "compiled": replace(EVERY, compile=True),
}
BOUND = 1e-9
SECONDS = 900.0  # Compiling takes minutes on a busy machine.
STEPS = 12


def _work(group: Group, run: Path, execution: Execution) -> None:
    run.mkdir(exist_ok=True)
    examples: Examples = random_examples()
    recipe = replace(RECIPE, steps=STEPS)
    train(run, VARIANT, recipe, examples, 0, execution, group=group, report=lambda _: None)
    group.leave()


def main() -> int:
    """The table; returns the exit code."""
    losses: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        for number, (way, execution) in enumerate(WAYS.items()):
            run = Path(folder, str(number))
            codes = together(execution.processes, run, _work, run, execution, seconds=SECONDS)
            if any(codes):
                print(f"{way}: a process ended with one of the exit codes {codes}")
                return 1
            losses[way] = [row["loss"] for row in read_rows(run / METRICS)]
    first, width = losses["1 process"], max(map(len, WAYS))
    print("step " + " ".join(f"{way:>{width}}" for way in WAYS))
    for step, row in enumerate(zip(*losses.values(), strict=True), 1):
        print(f"{step:4} " + " ".join(f"{loss:{width}.12f}" for loss in row))
    most = {
        way: max(abs(loss - other) for loss, other in zip(found, first, strict=True))
        for way, found in losses.items()
    }
    print("most " + " ".join(f"{most[way]:{width}.1e}" for way in WAYS))
    return int(any(found > BOUND for found in most.values()))


if __name__ == "__main__":
    sys.exit(main())
