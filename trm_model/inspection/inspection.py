"""A trained model looked into while it answers chosen puzzles: figures, tables and pictures."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from storage.atomic import new_file, write_text
from storage.examples import ExampleSet
from trm_model.errors import require
from trm_model.inspection.recording import Recording, record
from trm_model.model.batch import IGNORE, Batch, DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.puzzles.family import Family, Question, Tokens
from trm_model.puzzles.picture import WRONG, Picture, new_figure, paint, to_svg
from trm_model.solving.trained import TrainedModel, find_text

SHOWN_STEPS = (1, 2, 4, 8)
"""Supervision steps whose readings the picture shows, beside the last."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was seen of N puzzles.

    :param names: of the puzzles, for tables and titles.
    :param questions: with what is known of their answers.
    :param labels: int64 [N, L] (IGNORE: not counted), which decide what is right where they are
        known; None: the family judges.
    """

    family: Family
    names: Sequence[str]
    questions: Sequence[Question]
    recording: Recording
    labels: npt.NDArray[np.int64] | None = None

    def right(self, number: int, tokens: Tokens) -> bool | None:
        """Whether tokens [L] answer puzzle ``number``; None: nobody knows."""
        if self.labels is None:
            return self.family.judge(self.questions[number], tokens).right
        label = self.labels[number]
        return bool(((tokens == label) | (label == IGNORE)).all())

    def residuals(self) -> Iterator[Row]:
        """A row for each puzzle, step and call: which feature the call updates, and how far it
        moves it. Steps and calls count from 1.
        """
        for name, steps in zip(self.names, self.recording.residuals.tolist(), strict=True):
            for step, moves in enumerate(steps, 1):
                for call, (feature, residual) in enumerate(
                    zip(self.recording.calls, moves, strict=True), 1
                ):
                    yield {
                        "puzzle": name,
                        "step": step,
                        "call": call,
                        "feature": feature,
                        "residual": residual,
                    }

    def readings(self) -> Iterator[Row]:
        """A row for each puzzle, step and feature: what the output head reads from the feature,
        whether that is right, the share of cells in which it is the answer after the last step, and
        the halting logit.
        """
        seen = self.recording
        for number, name in enumerate(self.names):
            final = seen.answers[number, -1]
            for step, read in enumerate(seen.tokens[number], 1):
                for feature, tokens in zip(seen.features, read, strict=True):
                    yield {
                        "puzzle": name,
                        "step": step,
                        "feature": feature,
                        "read": self.family.plain(tokens),
                        "right": self.right(number, tokens),
                        "as_answered": float((tokens == final).mean()),
                        "halt_logit": float(seen.halt_logits[number, step - 1]),
                    }

    def summary(self) -> Iterator[str]:
        """A line for each puzzle and feature: the first and the last residual, and what the output
        head reads from the feature at the end.
        """
        seen = self.recording
        rows = [row for row in self.readings() if row["step"] == len(seen.tokens[0])]
        for number, name in enumerate(self.names):
            for feature in seen.features:
                moves = seen.residuals[number][:, np.array(seen.calls) == feature]
                [read] = [
                    row for row in rows if row["puzzle"] == name and row["feature"] == feature
                ]
                right = {None: "unknown", True: "right", False: "wrong"}[read["right"]]
                yield (
                    f"{name}, {feature}: residual {moves.flat[0]:.3g} at its first call, "
                    f"{moves.flat[-1]:.3g} at its last of step {len(moves)}; read as an answer at "
                    f"the end: {right}, {read['as_answered']:.0%} of the cells as answered"
                )

    def pictures(self, number: int) -> Iterator[tuple[str, list[tuple[str, Picture]]]]:
        """Of puzzle ``number``, for each feature what is read from it after some of the steps, each
        with its title; cells other than those of the answer after the last step are marked.
        """
        seen, question = self.recording, self.questions[number].cells
        last, final = seen.tokens.shape[1], seen.answers[number, -1]
        steps = [*(step for step in SHOWN_STEPS if step < last), last]
        for which, feature in enumerate(seen.features):
            shown: list[tuple[str, Picture]] = []
            for step in steps:
                tokens: Tokens = seen.tokens[number, step - 1, which]
                picture = self.family.picture(question, tokens).marked(tokens != final, WRONG)
                shown.append((f"{feature} after step {step}", picture))
            yield feature, shown

    def _repr_html_(self) -> str:
        """What is read from each feature, as pictures that notebooks show."""
        return "".join(
            f"<div>{to_svg(shown, name)}</div>"
            for number, name in enumerate(self.names)
            for _, shown in self.pictures(number)
        )


def inspect_questions(
    model: TrainedModel,
    puzzles: Sequence[str],
    *,
    evaluation: Evaluation | None = None,
    layers: Sequence[int] | None = None,
) -> Inspection:
    """Look into a model while it answers puzzles, given as text or as files.

    :param puzzles: at least one; see :func:`trm_model.solving.trained.find_text`.
    :param evaluation: None: the variant's own; one rollout is made whatever it says.
    :param layers: see :func:`trm_model.inspection.recording.record`.
    :raises ConfigurationError: puzzles, layers or a variant that cannot be inspected.
    """
    names: list[str] = []
    questions: list[Question] = []
    rows: list[int] = []
    for number, puzzle in enumerate(puzzles, 1):
        where, text = find_text(puzzle)
        name = Path(puzzle).stem if where == puzzle else f"puzzle {number}"
        found = model.questions(text, where)
        names += [
            f"{name}.{which}" if len(found) > 1 else name for which in range(1, len(found) + 1)
        ]
        questions += found
        rows += [model.row_of(name)] * len(found)
    batch = model.batch(np.stack([question.cells for question in questions]), np.array(rows))
    recording = _record(model, batch, np.arange(len(questions)), evaluation, layers)
    return Inspection(model.family, names, questions, recording)


def inspect_examples(
    model: TrainedModel,
    examples: ExampleSet,
    index: Sequence[int],
    *,
    evaluation: Evaluation | None = None,
    layers: Sequence[int] | None = None,
) -> Inspection:
    """Look into a model while it answers examples of a data set, which it answers as its evaluation
    does.

    :param index: of the examples; see :func:`inspect_questions` for the rest.
    :raises ConfigurationError: examples that are not there or are no puzzles of the model's.
    """
    model.require_data(examples.header, evaluation)
    data = DeviceExamples(examples, model.reasoner.puzzle_rows.device)
    require(
        bool(index) and all(0 <= number < len(data) for number in index),
        f"examples {list(index)}: expected numbers of 0..{len(data) - 1}, at least one",
    )
    chosen = np.array(index, np.int64)
    batch = data.gather(chosen)
    return Inspection(
        model.family,
        [f"example {number}" for number in index],
        [Question(cells) for cells in batch.inputs.to(torch.uint8).cpu().numpy()],
        _record(model, batch, chosen, evaluation, layers),
        batch.labels.cpu().numpy(),
    )


def _record(
    model: TrainedModel,
    batch: Batch,
    items: npt.NDArray[np.int64],
    evaluation: Evaluation | None,
    layers: Sequence[int] | None,
) -> Recording:
    return record(
        model.reasoner,
        batch,
        evaluation or model.evaluation(),
        max_steps=model.max_steps,
        items=torch.from_numpy(items).to(batch.inputs.device),
        layers=layers,
    )


def to_csv(rows: Iterator[Row]) -> str:
    """Rows as CSV, the first row's names as its head."""
    first = next(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(first), lineterminator="\n")
    writer.writeheader()
    writer.writerow(first)
    writer.writerows(rows)
    return buffer.getvalue()


def publish(inspection: Inspection, folder: Path) -> list[Path]:
    """Write ``residuals.csv``, ``readings.csv`` and a picture of each puzzle into a folder, which
    is made if it is not there.

    :returns: the files.
    :raises ConfigurationError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"residuals.csv": inspection.residuals(), "readings.csv": inspection.readings()}
    for name, rows in tables.items():
        write_text(folder / name, to_csv(rows))
    files = [folder / name for name in tables]
    for number, name in enumerate(inspection.names):
        files.append(folder / f"{name.replace(' ', '-')}.png")
        with new_file(files[-1]) as temporary:
            figure(inspection, number).savefig(temporary, format="png", dpi=100)
    return files


def figure(inspection: Inspection, number: int) -> Any:
    """Puzzle ``number`` as a matplotlib figure: residuals call by call, halting probability step by
    step, what is read from each feature, and who looks at whom.

    :raises ConfigurationError: matplotlib is not installed.
    """
    seen = inspection.recording
    rows = list(inspection.pictures(number))
    columns = max(len(shown) for _, shown in rows) + 1
    heights = [2.4, 1.2, *(2.0 for _ in rows), *(2.4 for _ in seen.maps and [0])]
    canvas = new_figure((max(2.0 * columns, 7.0), sum(heights)))
    panels = canvas.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    canvas.suptitle(inspection.names[number], fontsize=10)
    _residuals(panels[0].subplots(), seen, number)
    _halting(panels[1].subplots(), seen, number)
    question = inspection.questions[number].cells
    asked = ("question", inspection.family.picture(question, question))
    for panel, (_, shown) in zip(panels[2:], rows, strict=False):
        axes = panel.subplots(1, columns, squeeze=False)[0]
        for axis, (title, picture) in zip(axes, [asked, *shown], strict=False):
            paint(axis, picture)
            axis.set_title(title, fontsize=8)
        for axis in axes[len(shown) + 1 :]:
            axis.axis("off")
    if seen.maps:
        axes = panels[-1].subplots(1, len(seen.maps), squeeze=False)[0]
        for axis, ((feature, layer), maps) in zip(axes, sorted(seen.maps.items()), strict=True):
            axis.imshow(maps[number].mean(0), cmap="viridis", interpolation="nearest")
            axis.set_title(f"{feature}, block {layer}: who reads (row) whom (column)", fontsize=7)
            axis.tick_params(labelsize=6)
    return canvas


def _residuals(axes: Any, seen: Recording, number: int) -> None:
    moves = seen.residuals[number]
    steps, calls = moves.shape
    for feature in seen.features:
        which = np.flatnonzero(np.array(seen.calls) == feature)
        times = (np.arange(steps)[:, None] + (which + 1) / calls).ravel()
        # A logarithmic axis has no place for 0.
        heights = np.where(moves[:, which] > 0, moves[:, which], np.nan).ravel()
        axes.plot(times, heights, marker=".", markersize=3, linewidth=0.8, label=feature)
    axes.set_yscale("log")
    axes.set_ylabel("|new - old| / |new|", fontsize=8)
    axes.set_xlabel("supervision step", fontsize=8)
    axes.legend(fontsize=7)


def _halting(axes: Any, seen: Recording, number: int) -> None:
    logits = seen.halt_logits[number]
    axes.plot(np.arange(1, len(logits) + 1), logits, marker=".", color="#2e8b57")
    axes.axhline(0.0, color="#888888", linewidth=0.5)
    axes.set_ylabel("halting logit", fontsize=8)
