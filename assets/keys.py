"""Where everything lies: keys of the store, relative to its root.

``puzzles/BENCHMARK.parquet`` · ``examples/BENCHMARK/HASH/{train,test}.zarr, base.parquet,
puzzles/, manifest.json`` (the pointer ``current`` names the latest HASH) ·
``validation/BENCHMARK/HASH/validation.zarr`` (the pointer ``of-HASH`` names those of the data set
``HASH``), ``validation/BENCHMARK/puzzles-HASH.parquet`` ·
``shards/BENCHMARK/{train,test}/`` · ``runs/BENCHMARK/VARIANT/SEED/KEY/`` (the pointer ``current``
names the KEY trained last, the pointer ``evaluated`` the predictions made last) · ``tables/``
(:mod:`storage.tables`) · ``reports/`` · ``locks/``.
"""

import os
import posixpath

REPORTS = "reports"
"""The folder of pages and pictures."""
RUNS = "runs"
"""The folder of all runs."""


def puzzles(benchmark: str) -> str:
    """The table of base puzzles."""
    return f"puzzles/{benchmark}.parquet"


def refused_puzzles(benchmark: str) -> str:
    """Puzzles that a check refused, kept for people to look at; nothing reads them."""
    return f"puzzles/{benchmark}.refused.parquet"


def examples(benchmark: str) -> str:
    """The folder of a benchmark's data set versions."""
    return f"examples/{benchmark}"


def validation(benchmark: str) -> str:
    """The folder of the versions of a benchmark's validation puzzles."""
    return f"validation/{benchmark}"


def further_puzzles(benchmark: str, file_hash: str) -> str:
    """The table of further puzzles, to validate with, that were found with the puzzles in the file
    of this hash."""
    return f"{validation(benchmark)}/puzzles-{file_hash[:16]}.parquet"


def validation_of(benchmark: str, data: str) -> str:
    """The pointer to the validation puzzles of the data set at the key ``data``."""
    return f"{validation(benchmark)}/of-{posixpath.basename(data)}"


def current_examples(benchmark: str) -> str:
    """The pointer to the latest data set. Follow it once and keep the result."""
    return f"{examples(benchmark)}/current"


def shards(benchmark: str) -> str:
    """The folder of webdataset shards, with a folder per split."""
    return f"shards/{benchmark}"


def run(benchmark: str, variant: str, seed: int, key: str) -> str:
    """The folder of one training."""
    return f"{RUNS}/{benchmark}/{variant}/{seed}/{key}"


def current_run(benchmark: str, variant: str, seed: int) -> str:
    """The pointer to the run trained last."""
    return run(benchmark, variant, seed, "current")


def current_predictions(benchmark: str, variant: str, seed: int) -> str:
    """The pointer to the predictions made last, which votes and scores are of."""
    return run(benchmark, variant, seed, "evaluated")


def run_and_evaluation(predictions: str) -> tuple[str, str]:
    """The names of the run and of the evaluation that predictions of this key are of."""
    run, _, evaluation = posixpath.splitext(posixpath.basename(predictions))[0].partition("-")
    return run, evaluation


def answers_picture(benchmark: str, variant: str, seed: int, run: str, evaluation: str) -> str:
    """The picture of a run's answers in an evaluation."""
    return f"reports/{benchmark}/answers/{variant}/{seed}/{run}-{evaluation}.png"


def inspection_picture(benchmark: str, variant: str, seed: int, run: str, puzzle: int) -> str:
    """The picture of what happens inside a run's model while it answers a test puzzle."""
    return f"reports/{benchmark}/inspections/{variant}/{seed}/{run}-{puzzle}.png"


def selections_page(benchmark: str, variant: str, seed: int, run: str, evaluation: str) -> str:
    """The report on what each selection among an evaluation's rollouts scores, one HTML file."""
    return f"reports/{benchmark}/selections/{variant}/{seed}/{run}-{evaluation}.html"


def finished_examples(run: str, *told_by: str) -> str:
    """The folder of what an evaluation of the run with the key ``run`` (or of a checkpoint,
    :func:`tests`) has finished, kept until its rows are published.

    :param told_by: what tells it from others: the evaluation, the checkpoint, the code.
    """
    return f"{run}/evaluating/{'-'.join(told_by)}"


def tests(benchmark: str) -> str:
    """The folder of what tests of any checkpoints on a benchmark have under way."""
    return f"tests/{benchmark}"


def ablation_page(benchmark: str) -> str:
    """The report on a benchmark's variants, one HTML file."""
    return f"reports/{benchmark}/ablation.html"


def runs_page(benchmark: str) -> str:
    """Every run of a benchmark as a point that says which it is, one HTML file."""
    return f"reports/{benchmark}/runs.html"


def study_page(study: str) -> str:
    """The report on a study, one HTML file."""
    return f"reports/studies/{study}.html"


def leaderboard_page() -> str:
    """The report over all benchmarks, one HTML file."""
    return "reports/leaderboard.html"


def _device(name: str) -> str:
    """A device in the name of a lock: a GPU by the number that it has where all are visible, since
    ``CUDA_VISIBLE_DEVICES=3`` shows one as ``cuda:0`` that others know as ``cuda:3``."""
    kind, _, number = name.partition(":")
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if kind == "cuda" else []
    found = shown[int(number)].strip() if int(number or 0) < len(shown) else number
    return f"{kind}-{found or number}" if number else kind


def device_lock(device: str) -> str:
    """The lock that a training on a device holds meanwhile."""
    return f"locks/{_device(device)}.lock"


def evaluation_lock(device: str) -> str:
    """The lock that an evaluation on a device holds meanwhile: it takes little of the device and
    must not wait for trainings, which may take days."""
    return f"locks/{_device(device)}-evaluation.lock"
