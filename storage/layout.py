"""Where everything lies below one root folder."""

from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below ``root`` (absolute, so that a process started elsewhere finds them).

    ``puzzles/BENCHMARK.parquet`` · ``examples/BENCHMARK/HASH/{train,test}.zarr, base.parquet,
    puzzles/, manifest.json`` (``current`` links to the latest HASH) ·
    ``shards/BENCHMARK/{train,test}/`` · ``runs/BENCHMARK/VARIANT/SEED/KEY/`` ·
    ``tables/NAME/benchmark=…/`` · ``reports/`` · ``locks/``.
    """

    root: Path

    def puzzles(self, benchmark: str) -> Path:
        return self.root / "puzzles" / f"{benchmark}.parquet"

    def examples(self, benchmark: str) -> Path:
        """The folder of a benchmark's data set versions."""
        return self.root / "examples" / benchmark

    def current_examples(self, benchmark: str) -> Path:
        """The link to the latest version; resolve it once and keep the result."""
        return self.examples(benchmark) / "current"

    def shards(self, benchmark: str) -> Path:
        """A folder per split."""
        return self.root / "shards" / benchmark

    def run(self, benchmark: str, variant: str, seed: int, key: str) -> Path:
        return self.root / "runs" / benchmark / variant / str(seed) / key

    def tables(self) -> Path:
        return self.root / "tables"

    def report(self, name: str) -> Path:
        return self.root / "reports" / name

    def lock(self, device: str) -> Path:
        return self.root / "locks" / f"{device.replace(':', '-')}.lock"
