"""The bytes of generated data sets never change unnoticed: puzzles and examples of small benchmarks
have the content hashes of the day they were introduced.

The hashes cover what zarr, its codecs and polars write: an upgrade of those may change them without
any change of the rows, which is then to be shown before the hashes here are changed.
"""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.graph import build_benchmark
from assets.partitions import variant_seed_partitions
from assets.store import StoreResource
from storage.store import LocalStore
from trm_model.launching import LocalProcess
from trm_model.variants import VARIANTS

GOLDEN = {
    "sudoku_4x4": (None, "fb28190f522fac0a"),
    "maze_small": (None, "717163c0a9c40c64"),
    "maze_small alone": (0, "57c13f79c07495c4"),
    "addition": (None, "cad4b1eb19d263c9"),
    "addition_lengths": (None, "b2331bc6e12449da"),
    "arc_demo": (None, "43f988ab6d6d9f14"),
}
"""The augmentations where they are not those of the benchmark's entry, and the hash."""


@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")
@pytest.mark.parametrize("case", list(GOLDEN))
def test_data_have_the_known_content_hash(case: str, tmp_path: Path) -> None:
    name, (augmentations, content_hash) = case.split()[0], GOLDEN[case]
    graph = build_benchmark(name, BENCHMARKS[name], VARIANTS, variant_seed_partitions(VARIANTS))
    resources: dict[str, Any] = {
        "store": StoreResource(root=str(tmp_path)),
        "launcher": LocalProcess(),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            graph,
            selection=[dg.AssetKey([name, stage]) for stage in ("puzzles", "examples")],
            resources=resources,
            instance=instance,
            run_config={"ops": {f"{name}__examples": {"config": {"augmentations": augmentations}}}},
        )
    pointed = LocalStore(tmp_path).follow(keys.current_examples(name))
    assert pointed == f"{keys.examples(name)}/{content_hash}"
