"""What an evaluation has finished is kept."""

from pathlib import Path

import numpy as np

from trm_model.evaluation.finished import Columns, Finished


def columns(*values: int) -> Columns:
    return {"a": np.array(values), "b": np.zeros((len(values), 2), np.bool_)}


def found(folder: Path) -> list[int]:
    return [value for part in Finished(folder).parts() for value in part["a"].tolist()]


def test_it_is_kept_when_the_time_comes_and_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "evaluation"
    finished = Finished(folder, seconds=0.0)
    assert finished.parts() == []
    finished.add(columns(1, 2))
    assert found(folder) == [1, 2]
    slow = Finished(folder, seconds=1e9)
    assert len(slow.parts()) == 1
    with slow:
        slow.add(columns(3))
        slow.add(columns(4, 5))
        assert found(folder) == [1, 2]
    assert found(folder) == [1, 2, 3, 4, 5]
    slow.remove()
    assert not folder.exists()


def test_it_is_kept_when_the_evaluation_is_interrupted(tmp_path: Path) -> None:
    try:
        with Finished(tmp_path / "one") as finished:
            finished.add(columns(1))
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert found(tmp_path / "one") == [1]


def test_from_a_damaged_file_on_nothing_counts(tmp_path: Path) -> None:
    finished = Finished(tmp_path, seconds=0.0)
    for number in range(3):
        finished.add(columns(number))
    assert found(tmp_path) == [0, 1, 2]
    path = tmp_path / "1.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    assert found(tmp_path) == [0]


def test_nowhere_nothing_is_kept() -> None:
    with Finished() as finished:
        finished.add(columns(1))
    assert finished.parts() == []
    finished.remove()
