"""The card of a published model: what it is, how well it answers, and how it is made again."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from assets import keys
from assets.benchmarks import BENCHMARKS, Benchmark
from assets.declared import data_entry
from assets.evaluation.metrics import Metric
from assets.pages import markdown
from storage.manifest import read_content_hash
from storage.reading import json_object, reading
from trm_model.choices import to_plain
from trm_model.errors import ConfigurationError
from trm_model.model.variant import Variant
from trm_model.solving.loading import load
from trm_model.training import checkpoint as checkpoints
from trm_model.training.folders import saved
from trm_model.training.recipe import Recipe
from trm_model.training.run import RUN_FILE, RunSpec
from trm_model.variants import VARIANTS

_MOST_VERSIONS = 2_000
SCORES = "scores.json"
"""The file of a published model that has its scores: the columns of
:class:`assets.tables.OfEvaluation` once, and a list of :class:`assets.evaluation.metrics.Metric`
under ``scores``."""


def read_scores(folder: Path) -> dict[str, Any]:
    """The scores of a published model.

    :raises ConfigurationError: there are none.
    """
    path = folder / SCORES
    with reading(ConfigurationError, path, "the scores of a published model; publish it again"):
        return json_object(json.loads(path.read_bytes()), SCORES, ("evaluation", "step", "scores"))


def card(folder: Path, name: str) -> str:
    """A card as Markdown, made of a published model's files alone.

    :param folder: with the description, one checkpoint and the scores.
    :param name: of the model.
    """
    spec, tested = RunSpec.read(folder), read_scores(folder)
    benchmark = BENCHMARKS[spec.benchmark]
    (weights,) = saved(folder)
    progress = checkpoints.load(weights).progress
    model = load(folder, device="cpu")
    facts = {
        "variant": f"`{spec.variant_name}`, {model.reasoner.num_parameters:,} parameters",
        "weights": f"averaged, content hash `{read_content_hash(weights)}`",
        "data": f"benchmark `{spec.benchmark}`, content hash `{spec.data_version}`",
        "training": f"{progress.step:,} of {spec.recipe.steps:,} steps, seed {spec.seed}, "
        f"{progress.wall_seconds:,.0f} s on `{spec.execution.device}`",
        "run": f"`{tested['run']}`, configuration `{tested['config_hash']}`",
        "code": f"version `{spec.code_version}`; evaluated by `{tested['evaluation_code']}`",
        "evaluation": f"`{tested['evaluation']}` on the split `{tested['split']}`",
    }
    scores = [Metric(**row) for row in tested["scores"]]
    shown = [
        {
            "metric": f"`{score.metric}`" + ("" if score.k is None else f", k = {score.k}"),
            "value": f"{score.value:.4f}",
            "95 % interval": f"{score.low:.4f} to {score.high:.4f}",
            "n": f"{score.n:,}",
        }
        for score in scores
        if score.metric != "exact_accuracy_after_step" and score.group is None
    ]
    # As it was written: a field that is new since then is not part of it.
    recipe = json.dumps(json.loads((folder / RUN_FILE).read_bytes())["recipe"], indent=1)
    return f"""# {name}

A model trained on the benchmark `{spec.benchmark}` ({benchmark.title}).

```sh
trm solve {name} PUZZLE
```

## How well it answers

Puzzles of the test split, none of which it was trained on:

{markdown.table(shown)}

## What it is

{markdown.table([{"": what, " ": said} for what, said in facts.items()])}

The recipe:

```json
{recipe}
```

## How to make it again

{_differing_data(spec, benchmark)}```sh
{shlex.join(_training(spec, benchmark))}
trm publish data/{keys.current_run(spec.benchmark, spec.variant_name, spec.seed)} \
trm_model/pretrained/{name}
```

The same code and libraries on the same kind of processor make the same bits. Others round
differently and make a model of about the same accuracy.
"""


def _training(spec: RunSpec, benchmark: Benchmark) -> list[str]:
    """The words of the command that trains ``spec``."""
    versions = _augmentations(spec, benchmark)
    own = versions is not None and versions != benchmark.augmentations
    changes = [
        *([f"examples.augmentations={versions}"] if own else []),
        *_changes("checkpoint.recipe", benchmark.recipe, spec.recipe),
        *_changes("checkpoint.variant", VARIANTS[spec.variant_name], spec.variant),
    ]
    words = ["trm", "train", spec.benchmark, "--partition", f"{spec.variant_name}|{spec.seed}"]
    return words + [word for change in changes for word in ("--set", change)]


def _changes(path: str, declared: Recipe | Variant, own: Recipe | Variant) -> list[str]:
    """The settings that ``--set`` needs for a recipe or a variant that is not as declared."""
    before, after = to_plain(declared), to_plain(own)
    return [
        f"{path}.{name}={json.dumps(value)}"
        for name, value in after.items()
        if value != before[name]
    ]


def _augmentations(spec: RunSpec, benchmark: Benchmark) -> int | None:
    """How many versions of each puzzle explain the entry that the data were made of, which is known
    by its hash alone; None: the entry differs in something else."""
    versions = (benchmark.augmentations, *range(_MOST_VERSIONS + 1))
    entry = data_entry(spec)
    return next(
        (one for one in versions if replace(benchmark, augmentations=one).data_hash == entry), None
    )


def _differing_data(spec: RunSpec, benchmark: Benchmark) -> str:
    if _augmentations(spec, benchmark) is not None:
        return ""
    return f"The data of `{spec.benchmark}` were made by another entry than today's.\n\n"
