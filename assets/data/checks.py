"""What data must satisfy. Each check is a plain function of what is stored; assets/checks.py
declares it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from assets.outcomes import CheckOutcome, all_pass
from storage.examples import DATA_AGAIN, SPLITS, ExampleSet
from storage.manifest import CorruptDataError, verify_manifest
from storage.shards import read_samples
from trm_model.puzzles.family import Family
from trm_model.puzzles.plans import map_examples


def example_checks(folder: Path, family: Family) -> dict[str, CheckOutcome]:
    """Checks of a data set, over every example, a part at a time."""
    try:
        stored = CheckOutcome(True, {"content_hash": verify_manifest(folder, DATA_AGAIN)})
    except CorruptDataError as error:
        return {"hash_matches_content": CheckOutcome(False, {"error": str(error)})}
    outcomes = {"hash_matches_content": stored}
    for split in SPLITS:
        results = map_examples(
            folder / f"{split}.zarr",
            lambda start, inputs, labels: (start, family.check(inputs, labels)),
        )
        parts = sorted(results, key=lambda part: part[0])
        for name in parts[0][1]:
            outcome = all_pass(
                np.concatenate([found[name] for _, found in parts]), f"{split} example"
            )
            if name not in outcomes or outcomes[name].passed:
                outcomes[name] = outcome
    return outcomes


def same_examples(folder: Path, stored: Mapping[str, ExampleSet]) -> CheckOutcome:
    """Whether the shards in ``folder`` hold, split by split, the examples of a data set in their
    order, with the puzzles and groups they belong to; a sample at a time.

    :param stored: the data set's splits, by name.
    """
    counts: dict[str, int | float | str] = {}
    for split, examples in stored.items():
        offsets = examples.example_offsets
        groups = np.arange(len(examples.group_offsets) - 1)
        of_puzzle = np.stack(
            (
                np.repeat(groups, np.diff(examples.group_offsets)),
                examples.puzzle_ids,
                np.diff(offsets),
            ),
            axis=1,
        )
        puzzle = 0
        try:
            for sample in read_samples(str(folder / split)):
                puzzles = sample["puzzles.npy"]
                first, puzzle = puzzle, puzzle + len(puzzles)
                rows = np.arange(offsets[first], offsets[min(puzzle, len(of_puzzle))])
                inputs, labels = examples.rows(rows)
                if not (
                    np.array_equal(puzzles, of_puzzle[first:puzzle])
                    and np.array_equal(sample["inputs.npy"], inputs)
                    and np.array_equal(sample["labels.npy"], labels)
                ):
                    return CheckOutcome(
                        False,
                        {"first_failed": f"{split} example {offsets[first]}, {sample['__key__']}"},
                    )
        except CorruptDataError as error:
            return CheckOutcome(False, {"error": str(error)})
        if puzzle != len(of_puzzle):
            return CheckOutcome(False, {"first_failed": f"{split} example {offsets[puzzle]}"})
        counts[split] = int(offsets[-1])
    return CheckOutcome(True, counts)
