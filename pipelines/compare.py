"""``trm compare``: two runs or variants of a benchmark on the same test puzzles. Reads only."""

from pathlib import Path

from assets.benchmarks import BENCHMARKS
from assets.reports.paired import compare_stored
from assets.titles import require_benchmark
from pipelines.definitions import VARIANTS
from pipelines.place import data_folder
from storage.store import LocalStore
from trm_model.texts import counted


def compare(benchmark: str, first: str, second: str, *, newest: bool = False) -> int:
    """Print how two of a benchmark differ; returns the exit code.

    :param first, second, newest: see :func:`assets.reports.paired.chosen`.
    :raises ConfigurationError: there are no such scores, or not of the same puzzles.
    """
    require_benchmark(benchmark)
    entry = BENCHMARKS[benchmark]
    store = LocalStore.containing(Path(data_folder()))
    found, sides = compare_stored(
        store, benchmark, entry, VARIANTS.known, (first, second), newest=newest
    )
    metric, k = entry.metric
    print(f"{benchmark}, {metric}{'' if k is None else f' of k = {k}'}")
    for text, value, seeds, runs in zip(
        (first, second), found[:2], found.seeds, sides, strict=True
    ):
        print(
            f"  {text}: {value:.4f} of {counted(found.puzzles, 'puzzle')} answered by both "
            f"({counted(seeds, 'seed')})"
        )
        for run in runs:
            print(f"    {run}")
    print(f"{first} - {second}: {found}")
    return 0
