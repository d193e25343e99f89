"""Studies: which trainings a file asks for, and what a file may not say."""

from pathlib import Path

import pytest
import torch

from assets.benchmarks import BENCHMARKS
from assets.studies.points import asked, resolved
from assets.studies.study import SHIPPED, Point, Studies, changed, load_studies
from storage.examples import Header
from trm_model.choices import to_plain
from trm_model.errors import ConfigurationError
from trm_model.variants import VARIANTS

RECIPES = {name: benchmark.recipe for name, benchmark in BENCHMARKS.items()}
HEADER = Header(vocabulary=("pad", ".", "1", "2", "3", "4"), grid=(4, 4))
START = "title: t\nbenchmark: sudoku_4x4\nvariants: [trm_mlp]\n"


def load(folder: Path, text: str) -> Studies:
    (folder / "mine.yaml").write_text(text)
    return load_studies([folder], BENCHMARKS, VARIANTS)


def points(folder: Path, text: str) -> list[Point]:
    return load(folder, START + text).named("mine").trainings()


def test_a_grid_has_every_combination_for_each_seed(tmp_path: Path) -> None:
    found = points(
        tmp_path,
        "seeds: [0, 1]\nsettings: {recipe.steps: 300}\n"
        "grid: {recipe.learning_rate: [3e-4, 1e-3], variant.cycles: [2, 3]}\n",
    )
    assert len(found) == len({point.key for point in found}) == 8
    assert found[0].key == "trm_mlp recipe.learning_rate=0.0003 variant.cycles=2 seed=0"
    assert found[1] == Point(
        "trm_mlp",
        1,
        {"recipe.steps": 300, "recipe.learning_rate": 3e-4, "variant.cycles": 2},
        {"recipe.learning_rate": 3e-4, "variant.cycles": 2},
    )
    recipe, variant = changed(found[-1], RECIPES["sudoku_4x4"], VARIANTS["trm_mlp"])
    assert (recipe.steps, recipe.learning_rate, variant.cycles) == (300, 1e-3, 3)
    assert recipe.size == RECIPES["sudoku_4x4"].size


def test_a_study_may_name_a_class_of_ones_own(tmp_path: Path, own_schedule: str) -> None:
    """Another file whose class fails stops none of the others."""
    start = f"{START}settings: {{recipe.schedule: {{{own_schedule}: "
    (tmp_path / "broken.yaml").write_text(f"{start}{{final: much}}}}}}\n")
    studies = load(tmp_path, f"{start}{{final: 0.25}}}}}}\n")
    (point,) = studies.named("mine").trainings()
    recipe, _ = changed(point, RECIPES["sudoku_4x4"], VARIANTS["trm_mlp"])
    assert to_plain(recipe.schedule) == {own_schedule: {"final": 0.25}}
    assert list(studies.broken) == ["broken"]


def test_a_variant_may_have_settings_of_its_own(tmp_path: Path) -> None:
    study = load(
        tmp_path,
        "title: t\nbenchmark: sudoku_4x4\nvariants: [trm_mlp, hrm]\n"
        "settings: {recipe.steps: 300, recipe.batch_size: 16}\n"
        "of_variant: {hrm: {recipe.steps: 100, recipe.size.prefix: 1}}\n"
        "grid: {recipe.batch_size: [8, 24]}\n"
        "execution: {micro_batch: 8, recompute: true, trackers: [tensorboard]}\n",
    ).named("mine")
    found = [
        (point.variant, changed(point, RECIPES["sudoku_4x4"], VARIANTS[point.variant])[0])
        for point in study.trainings()
    ]
    assert [(name, each.steps, each.batch_size, each.size.prefix) for name, each in found] == [
        ("trm_mlp", 300, 8, 4),
        ("trm_mlp", 300, 24, 4),
        ("hrm", 100, 8, 1),
        ("hrm", 100, 24, 1),
    ]
    assert study.axes == ("recipe.batch_size",)
    execution = study.training(study.trainings()[0]).execution(found[0][1])
    assert (execution.micro_batch, execution.recompute) == (8, True)
    training = study.training(study.trainings()[0])
    assert training.trackers == ["tensorboard"]


def test_nested_fields_change_alone(tmp_path: Path) -> None:
    (found,) = points(tmp_path, "points: [{recipe.size.width: 32, recipe.size.heads: 2}]\n")
    recipe, _ = changed(found, RECIPES["sudoku_4x4"], VARIANTS["trm_mlp"])
    assert (recipe.size.width, recipe.size.heads) == (32, 2)
    assert recipe.size.prefix == RECIPES["sudoku_4x4"].size.prefix


def test_draws_are_within_their_ranges_and_depend_on_the_seed_alone(tmp_path: Path) -> None:
    text = (
        "draws:\n  count: 8\n  seed: {seed}\n  ranges:\n"
        "    recipe.learning_rate: {{log: [1e-5, 1e-2]}}\n"
        "    variant.layers: {{linear: [1, 4]}}\n"
        "    recipe.size.width: {{choice: [32, 64]}}\n"
    )
    found = points(tmp_path, text.format(seed=1))
    assert len(found) == 8
    rates = sorted(point.axes["recipe.learning_rate"] for point in found)
    assert all(1e-5 <= rate <= 1e-2 for rate in rates)
    # One in each eighth of the range's logarithm.
    assert rates[3] < 10**-3.5 < rates[4]
    assert {type(point.axes["variant.layers"]) for point in found} == {int}
    assert {point.axes["recipe.size.width"] for point in found} == {32, 64}
    assert points(tmp_path, text.format(seed=1)) == found
    assert points(tmp_path, text.format(seed=2)) != found


def test_equal_operations_decide_the_steps(tmp_path: Path) -> None:
    text = "title: t\nbenchmark: sudoku_4x4\nvariants: [trm_grid, drm_grid]\ntraining_flops: 1e13\n"
    study = load(tmp_path, text).named("mine")
    table = asked("mine", study, BENCHMARKS["sudoku_4x4"], VARIANTS, HEADER)
    assert table["steps"][0] != table["steps"][1]
    assert table["training_flops"].to_list() == pytest.approx([1e13, 1e13], rel=0.01)
    for point, row in zip(study.trainings(), table.iter_rows(named=True), strict=True):
        recipe, _ = resolved(study, point, RECIPES["sudoku_4x4"], VARIANTS, HEADER)
        assert recipe.steps == row["steps"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (START + "grid: {recipe.rate: [1]}", "unknown recipe field 'rate'"),
        (START + "grid: {recipe.learning_rate: [fast]}", "expected a finite number"),
        (START + "grid: {recipe.learning_rate: 1}", "expected a list of values"),
        (START + "grid: {learning_rate: [1]}", "setting 'learning_rate': expected a field of"),
        (START + "grid: {variant.layers: [1, 1]}", "equal settings"),
        (START + "grid: {}\npoints: []", "expected one of grid, points, draws"),
        (START + "seeds: []", "expected at least one"),
        (START + "seeds: [0, 0]", "stands there twice"),
        (START + "draws: {count: 0, ranges: {recipe.steps: {choice: [1]}}}", "at least 1"),
        (START + "draws: {count: 1, ranges: {recipe.steps: {log: [0, 1]}}}", "both positive"),
        (START + "draws: {count: 1, ranges: {recipe.steps: {}}}", "expected one of log"),
        (START + "training_flops: 0", "at least 1"),
        (
            START + "training_flops: 1e9\nsettings: {recipe.steps: 3}",
            "recipe.steps with training",
        ),
        (
            START + "draws: {count: 1, ranges: {recipe.steps: 5}}",
            "recipe.steps: 5: expected",
        ),
        (START + "draws: {count: 1, ranges: {recipe.steps: {log: 5}}}", "log=5: expected a list"),
        (START + "of_variant: {trm: {}}", "of_variant: no variant 'trm'"),
        (START + "of_variant: {trm_mlp: 3}", "of_variant: trm_mlp: 3: expected settings"),
        (START + "of_variant: {trm_mlp: {steps: 3}}", "setting 'steps': expected a field of"),
        (START + "published: {trm: trm}", "published: no variant 'trm'"),
        (START + "published: {trm_mlp: [hrm]}", "published: trm_mlp: ['hrm']: expected the name"),
        (
            START + "published: {trm_mlp: trm_mpl}",
            "no published figure 'trm_mpl': did you mean trm",
        ),
        (
            "title: t\nbenchmark: addition\nvariants: [trm]\npublished: {trm: trm}",
            "no published figure 'trm': of addition expected none; leave it out",
        ),
        (START + "execution: {steps: 3}", "execution: no setting 'steps'"),
        (START + "execution: {micro_batch: 0}", "micro_batch=0: expected"),
        (START + "execution: {device: gpu}", "device='gpu': expected auto, cpu, cuda"),
        (
            START + "settings: {recipe.patience: 500}\nexecution: {validate_steps: 0}",
            "recipe.patience=500 with validate_steps=0: expected validations",
        ),
        (START + "evaluation: {device: gpu}", "device='gpu': expected auto, cpu, cuda"),
        (START + "evaluation: {limt: 5}", "limt: no setting 'limt'"),
        (START + "evaluation: {depth: 0}", "depth=0: expected"),
        (
            "title: t\nbenchmark: addition\nvariants: [autoregressive]\nevaluation: {rollouts: 2}",
            "rollouts=2 with cells answered one",
        ),
        (START + "title: again", "the key 'title' stands twice"),
        ("title: t\nbenchmark: sudoku\nvariants: [trm]", "no benchmark 'sudoku'"),
        ("title: t\nbenchmark: sudoku_4x4\nvariants: [trn]", "no variant 'trn'"),
        ("title: t", "without benchmark, variants"),
        ("[]", "expected the fields of a study"),
    ],
)
def test_what_a_study_may_not_say(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "other.yaml").write_text(START)
    found = load(tmp_path, text)
    assert list(found.known) == ["other"]
    assert message in found.broken["mine"]
    assert found.broken["mine"].startswith(f"{tmp_path / 'mine.yaml'}: ")
    assert "\n" not in found.broken["mine"]
    with pytest.raises(ConfigurationError, match=r"mine\.yaml"):
        found.named("mine")
    with pytest.raises(ConfigurationError, match=r"no study 'othr': did you mean other\?"):
        found.named("othr")


def test_the_studies_that_come_with_the_project_can_be_made() -> None:
    studies = load_studies([SHIPPED], BENCHMARKS, VARIANTS)
    assert studies.broken == {}
    for study in studies.known.values():
        benchmark = BENCHMARKS[study.benchmark]
        study.require_possible(benchmark, VARIANTS)
        for variant in study.published or {}:
            figure = study.figure(variant, benchmark.published_as)
            assert figure is not None
            assert f"% on {benchmark.published_as} (" in figure


@pytest.mark.parametrize("what", ["execution", "evaluation"])
def test_a_study_may_be_meant_for_another_machine(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read here, and refused here only when it is to be made."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    study = load(tmp_path, START + f"{what}: {{device: cuda:7}}").named("mine")
    recipe = RECIPES[study.benchmark]
    if what == "execution":
        assert study.training(study.trainings()[0]).planned(recipe).devices == ["cuda:7"]
    with pytest.raises(
        ConfigurationError, match=r"point 'trm_mlp seed=0': device='cuda:7': torch finds 0 cuda"
    ):
        study.require_here(recipe)
    load(tmp_path, START + f"{what}: {{device: cpu}}").named("mine").require_here(recipe)


def test_a_point_whose_variant_cannot_have_its_size_is_named(tmp_path: Path) -> None:
    """Known without data, before any point is trained."""
    study = load(
        tmp_path,
        "title: t\nbenchmark: sudoku_4x4\nvariants: [trm_grid]\ngrid: {recipe.size.heads: [4, 32]}",
    ).named("mine")
    benchmark = BENCHMARKS[study.benchmark]
    study.require_possible(benchmark, VARIANTS, sizes=False)
    with pytest.raises(
        ConfigurationError, match=r"heads=32 seed=0': recipe and variant: .* multiple of 4"
    ):
        study.require_possible(benchmark, VARIANTS)
