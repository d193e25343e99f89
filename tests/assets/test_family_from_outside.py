"""A family from outside the package: one class for the library, one for the graph, and everything
else works."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import click
import dagster as dg
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from assets import keys
from assets.benchmarks import Benchmark
from assets.checks import checks_of
from assets.evaluation.metrics import family_rows, trivial_rows
from assets.families.origin import (
    NO_LEAKAGE,
    Augmented,
    Imported,
    Origin,
    declared_checks,
    number_splits,
    silent,
)
from assets.graph import build_benchmark
from assets.outcomes import Check, CheckOutcome, all_pass, leaks
from assets.partitions import variant_seed_partitions
from assets.store import StoreResource
from storage.examples import Codec, Header
from storage.store import LocalStore
from tests.trm_model.training.recipes import TINY
from trm_model.errors import ConfigurationError
from trm_model.launching import LocalProcess
from trm_model.puzzles import registry
from trm_model.puzzles.command import main
from trm_model.puzzles.family import (
    Bools,
    Family,
    Grid,
    PlannedExamples,
    Question,
    Tokens,
    Verdict,
)
from trm_model.puzzles.picture import Picture, letters
from trm_model.puzzles.plans import open_examples
from trm_model.puzzles.trivial import trivial_answers
from trm_model.seeding import numpy_generator
from trm_model.variants import VARIANTS

LETTERS = "?abc"


def to_tokens(texts: list[str]) -> Tokens:
    return np.array([[LETTERS.index(letter) for letter in text] for text in texts], np.uint8)


# The library's part


class ReversalExamples:
    """Words and their reversals."""

    def __init__(self, words: Tokens, seed: int, sources: dict[str, str]) -> None:
        self.words = words
        self.header = Header(
            vocabulary=("pad", *LETTERS[1:]),
            grid=(1, words.shape[1]),
            seed=seed,
            sources=sources,
        )
        self.puzzle_ids = np.zeros(len(words), np.int32)
        self.example_offsets = self.group_offsets = np.arange(len(words) + 1)

    def rows(self, index: npt.NDArray[np.int64]) -> tuple[Tokens, Tokens]:
        return self.words[index], np.ascontiguousarray(self.words[index, ::-1])

    def plan(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        return {}, {"words": self.words}

    @classmethod
    def from_plan(
        cls, header: Header, parameters: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]
    ) -> Self:
        del parameters
        return cls(arrays["words"], header.seed, header.sources)


@click.group()
def command() -> None:
    """Words: reverse."""


@command.command()
@click.argument("word")
def reverse(word: str) -> None:
    """Reverse a word."""
    if set(word) - set(LETTERS):
        raise ConfigurationError(f"{word}: expected letters of {LETTERS[1:]}")
    click.echo(word[::-1])


@dataclass(frozen=True, slots=True)
class Reversal(Family):
    """Words of ``length`` letters, to be written backwards."""

    name: ClassVar[str] = "reversal"
    codec: ClassVar[Codec] = "plain"
    examples: ClassVar[type[PlannedExamples]] = ReversalExamples
    checks: ClassVar[Mapping[str, str]] = {"reversed": "Every answer is its word backwards."}
    command: ClassVar[str | None] = f"{__name__}:command"

    length: int

    @classmethod
    def at(cls, grid: Grid) -> Self | None:
        return cls(grid[1]) if grid[0] == 1 else None

    @property
    def grid(self) -> Grid:
        return 1, self.length

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return ("pad", *LETTERS[1:])

    def read(self, text: str) -> list[Question]:
        if len(text) != self.length:
            raise self.wrong_size(len(text))
        return [Question(to_tokens([text])[0])]

    def draw(self, tokens: Tokens) -> str:
        return "".join(LETTERS[token] for token in self.known(tokens))

    def plain(self, tokens: Tokens) -> str:
        return self.draw(tokens)

    def judge(self, question: Question, answer: Tokens) -> Verdict:
        right = bool((question.cells[::-1] == answer).all())
        return Verdict(right, "the word backwards" if right else "another word")

    def check(self, inputs: Tokens, labels: Tokens) -> dict[str, Bools]:
        return {"reversed": (inputs[:, ::-1] == labels).all(axis=1)}

    def metrics(self, inputs: Tokens, labels: Tokens, answers: Tokens) -> dict[str, Bools]:
        return {"same_letters": (np.sort(answers) == np.sort(inputs)).all(axis=1)}

    def groups(self, inputs: Tokens, labels: Tokens) -> dict[str, npt.NDArray[np.int64]]:
        return {"changes": (np.diff(inputs, axis=1) != 0).sum(axis=1)}

    def picture(self, question: Tokens, shown: Tokens, label: Tokens | None = None) -> Picture:
        return letters(self.draw(shown))


# The graph's part


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedWords(Origin):
    """Words drawn uniformly, each once."""

    checks: ClassVar[Mapping[str, Check]] = {**declared_checks(Reversal), **NO_LEAKAGE}

    train: int
    test: int
    length: int = 5
    seed: int = 0

    @property
    def family(self) -> Reversal:
        return Reversal(self.length)

    def puzzles(self, config: Any = None, log: Callable[[str], None] = silent) -> Imported:
        chosen = numpy_generator(self.seed, "words").choice(
            3**self.length, self.train + self.test, replace=False
        )
        words = [
            "".join(LETTERS[1 + number // 3**place % 3] for place in range(self.length))
            for number in chosen.tolist()
        ]
        described = pl.DataFrame(
            {
                "question": words,
                "answer": [word[::-1] for word in words],
                "difficulty": [len(set(word)) for word in words],
                "form": words,
                "source": [f"generated, seed {self.seed}"] * len(words),
            }
        )
        return Imported(number_splits(described, self.train, "word"))

    def check_puzzles(self, frame: pl.DataFrame) -> dict[str, CheckOutcome]:
        questions, answers = (to_tokens(frame[name].to_list()) for name in ("question", "answer"))
        good = self.family.check(questions, answers)["reversed"]
        return {
            "reversed": all_pass(good, "word"),
            "no_leakage": leaks(frame["split"], frame["question"].to_list()),
        }

    def augmented(
        self,
        frame: pl.DataFrame,
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        part = frame.filter(pl.col("split") == split)
        words = to_tokens(part["question"].to_list())
        return Augmented(ReversalExamples(words, seed, sources), part)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The family is known during a test, and to no other test."""
    with monkeypatch.context() as patch:
        patch.setattr(registry, "_registered", {**registry._registered})  # pyright: ignore[reportPrivateUsage]
        assert registry.register(Reversal) is Reversal
        yield


@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")
@pytest.mark.parametrize("online", [False, True])
def test_generated_checked_written_and_read_back(tmp_path: Path, online: bool) -> None:
    origin = GeneratedWords(train=40, test=10)
    entry = Benchmark(title="words", origin=origin, recipe=TINY, online=online)
    assert list(checks_of("examples", entry)) == ["hash_matches_content", "reversed"]
    assert not entry.votes
    resources: dict[str, Any] = {
        "store": StoreResource(root=str(tmp_path)),
        "launcher": LocalProcess(),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            build_benchmark("words", entry, VARIANTS, variant_seed_partitions(VARIANTS)),
            selection=[dg.AssetKey(["words", stage]) for stage in ("puzzles", "examples")],
            resources=resources,
            instance=instance,
        )
    assert {
        evaluation.check_name: evaluation.passed
        for evaluation in result.get_asset_check_evaluations()
    } == {"reversed": True, "no_leakage": True, "hash_matches_content": True}
    store = LocalStore(tmp_path)
    folder = store.open(str(store.follow(keys.current_examples("words"))))
    for split, count in (("train", 40), ("test", 10)):
        examples = open_examples(folder / f"{split}.zarr")
        assert isinstance(examples, ReversalExamples) == (online and split == "train")
        assert examples.example_offsets[-1] == count
        inputs, labels = examples.rows(np.arange(count))
        np.testing.assert_array_equal(inputs[:, ::-1], labels)
        assert registry.family_of(examples.header) == Reversal(5)


def test_planted_faults_are_found() -> None:
    origin = GeneratedWords(train=4, test=2)
    frame = origin.puzzles().frame
    first = pl.col("puzzle") == 0
    wrong = frame.with_columns(answer=pl.when(first).then(pl.lit("aabbc")).otherwise("answer"))
    assert not origin.check_puzzles(wrong)["reversed"].passed
    assert origin.overlap(frame, frame).shared == 2


def test_a_question_is_read_and_its_answer_judged() -> None:
    header = ReversalExamples(to_tokens(["abc"]), 0, {}).header
    family = registry.family_of(header)
    [question] = family.read("abc")
    assert family.judge(question, family.read("cba")[0].cells).right
    assert str(family.judge(question, question.cells)) == "wrong: another word"
    with pytest.raises(ValueError, match="4 cells: expected 3, the model's 1 x 3"):
        family.read("abca")


def test_its_metrics_groups_and_trivial_answers_are_measured() -> None:
    family = Reversal(3)
    inputs = to_tokens(["aab", "abc", "aba"])
    labels = np.ascontiguousarray(inputs[:, ::-1])
    answers = to_tokens(["aba", "cba", "aaa"])
    predictions = pl.DataFrame(
        {
            "puzzle": ["0", "1", "2"],
            "solved": [False, True, False],
            "difficulty": [2, 3, 2],
            "prediction": [answer.tobytes() for answer in answers],
        }
    )
    rows = [
        *family_rows(predictions, family, inputs, labels),
        *trivial_rows(trivial_answers(family, inputs, labels, 0), labels, 0, predictions["puzzle"]),
    ]
    assert {(row.metric, row.group): round(row.value, 3) for row in rows} == {
        ("same_letters", None): 0.667,
        ("exact_accuracy_of_group", "changes=1"): 0.0,
        ("exact_accuracy_of_group", "changes=2"): 0.5,
        ("exact_accuracy_of_group", "difficulty=2"): 0.0,
        ("exact_accuracy_of_group", "difficulty=3"): 1.0,
        ("trivial_exact_accuracy", "copy the question"): 0.333,
        ("trivial_cell_accuracy", "copy the question"): 0.556,
        ("trivial_exact_accuracy", "a everywhere"): 0.0,
        ("trivial_cell_accuracy", "a everywhere"): 0.556,
        ("trivial_exact_accuracy", "each cell's most frequent token"): 0.333,
        ("trivial_cell_accuracy", "each cell's most frequent token"): 0.667,
    }


def test_its_actions_are_in_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "Words: reverse." in capsys.readouterr().out
    assert main(["reversal", "reverse", "abc"]) == 0
    assert capsys.readouterr().out == "cba\n"
    assert main(["reversal", "reverse", "xyz"]) == 2
    assert capsys.readouterr().err == "error: xyz: expected letters of abc\n"


def test_a_name_is_one_familys() -> None:
    class Other(Reversal):
        name: ClassVar[str] = "sudoku"

    with pytest.raises(ConfigurationError, match=r"'sudoku': trm_model\.puzzles.* choose another"):
        registry.register(Other)
