"""Studies from the command line: which there are, what they take, and all their points in turn."""

import sys
from collections.abc import Sequence

import dagster as dg

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.interrupts import Signals
from assets.stages import DATA_STAGES
from assets.studies.asset import results
from assets.studies.points import resolved
from assets.studies.study import Study
from pipelines.definitions import STUDIES, VARIANTS
from pipelines.execute import needed_stages, run_job, until_interrupted
from pipelines.home import prepare_home
from pipelines.jobs import asset_keys
from pipelines.plan import planned_data, tell_plan
from pipelines.pools import know_pools
from pipelines.resources import open_store
from storage.store import Store
from trm_model.texts import counted


def tell_studies() -> int:
    """Print the studies that there are, a line each; returns the exit code."""
    width = max(map(len, STUDIES.known), default=0)
    for name, study in STUDIES.known.items():
        trainings = counted(len(study.trainings()), "training")
        print(f"{name:{width}}  {trainings} on {study.benchmark}: {study.title}")
    return 0


def tell_study(name: str) -> int:
    """Print what the points of a study take, which are done, and what is published for them;
    returns the exit code.

    :raises ConfigurationError: no such study, a point that cannot be trained, or no data set yet of
        a benchmark whose files decide on the size.
    """
    study, store = _possible(name), open_store()
    benchmark = BENCHMARKS[study.benchmark]
    header, examples = planned_data(store, study.benchmark)
    made = store.follow(keys.current_examples(study.benchmark)) is not None
    done = _done(store, name, study) if made else set[str]()
    for point in study.trainings():
        recipe, variant = resolved(study, point, benchmark.recipe, VARIANTS.known, header)
        state = "done" if point.key in done else "to do"
        print(f"{point.key}: {state}: ", end="")
        figure = study.figure(point.variant, benchmark.published_as)
        execution = study.training(point).planned(recipe)
        tell_plan(variant, recipe, header, execution, examples, figure)
    return 0


def _possible(name: str) -> Study:
    """The study of this name.

    :raises ConfigurationError: no such study, or one with a point that cannot be trained.
    """
    study = STUDIES.named(name)
    benchmark = BENCHMARKS[study.benchmark]
    study.require_possible(benchmark, VARIANTS.known)
    return study


def _done(store: Store, name: str, study: Study) -> set[str]:
    """The points that have been scored, of runs by the code that is here.

    :raises TableError: a table that is damaged or of another version of this project.
    """
    found = results(store, name, study, BENCHMARKS[study.benchmark], VARIANTS.known)
    return set(found.filter("current")["point"])


def make_study(name: str, points: Sequence[str]) -> int:
    """Make the data where they are missing, each point, and the report; returns the exit code as
    :func:`pipelines.execute.materialize` does.

    :param points: keys of these points alone, without the report; none: all.
    :raises ConfigurationError: no such study or point, or a point that cannot be trained here.
    """
    study = _possible(name)
    study.require_here(BENCHMARKS[study.benchmark].recipe)
    for key in points:
        study.point(key)
    return until_interrupted(name, lambda signals: _make(name, study, points, signals))


def _make(name: str, study: Study, chosen: Sequence[str], signals: Signals) -> int:
    """See :func:`make_study`.

    :raises KeyboardInterrupt: one of ``signals`` has come.
    """
    benchmark, store = BENCHMARKS[study.benchmark], open_store()
    needed = needed_stages(study.benchmark, benchmark, store)
    data = asset_keys(
        study.benchmark, benchmark, [stage for stage in DATA_STAGES if stage in needed]
    )
    keys = [point.key for point in study.trainings()]
    partitions = dg.StaticPartitionsDefinition(keys)
    prepare_home()
    failed = 0
    with dg.DagsterInstance.get() as instance:
        know_pools(instance)

        def succeeds(selection: Sequence[dg.AssetKey], key: str | None = None) -> bool:
            done = run_job(
                "_".join([name, selection[0].path[-1]]),
                dg.AssetSelection.assets(*selection),
                key,
                {},
                instance,
                signals,
                partitions=partitions,
            )
            print("\n".join(done.made), flush=True)
            return done.succeeded

        if data and not succeeds(data):
            return 2
        for number, key in enumerate(chosen or keys, 1):
            print(f"== {name}, training {number} of {len(chosen or keys)}: {key}", flush=True)
            failed += not succeeds([dg.AssetKey(["studies", name, "points"])], key)
        if not chosen and failed < len(keys):
            failed += not succeeds([dg.AssetKey(["studies", name, "report"])])
    if failed:
        print(f"error: {name}: {counted(failed, 'run')} failed, see above", file=sys.stderr)
    return 2 if failed else 0
