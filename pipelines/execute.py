"""Materialize the stages of a benchmark in this process, without a server or daemon.

Data are made if they are missing or asked for; then each partition is trained, evaluated and
scored, and the reports are written. The Dagster runs appear in the UI. When something goes wrong,
what was finished stays.
"""

import logging
import signal
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets import keys as store_keys
from assets.benchmarks import BENCHMARKS, Benchmark
from assets.configs import CONFIGS, StageConfig, require_settings
from assets.interrupts import ENDING, Signals, noted_signals
from assets.made import require_made, require_read
from assets.partitions import unknown_partition, variant_and_seed
from assets.progress import MADE
from assets.stages import (
    DATA_STAGES,
    ON_REQUEST,
    OVERALL_STAGES,
    PARTITIONED_STAGES,
    REPORT_STAGES,
    STAGES,
    TRAIN_STAGES,
    making,
)
from assets.titles import require_benchmark
from pipelines.definitions import PARTITIONS, VARIANTS, defs
from pipelines.home import prepare_home
from pipelines.jobs import asset_keys
from pipelines.lost import end_lost, process_tags
from pipelines.pools import know_pools
from pipelines.resources import open_store, resources
from pipelines.screen import Screen, ScreenHandler
from storage.examples import open_header
from storage.manifest import CorruptDataError
from storage.reading import one_line
from storage.store import Store
from trm_model.errors import ConfigurationError, require
from trm_model.names import unknown_name
from trm_model.texts import from_yaml

Ops = Mapping[str, Mapping[str, Any]]
"""Dagster's run configuration of each op: ``BENCHMARK__STAGE`` -> ``config`` -> fields."""


def parse_partitions(
    given: Sequence[str], known: Sequence[str], broken: Mapping[str, str]
) -> list[str]:
    """Partition keys from keys and ranges ``FIRST...LAST`` (in the order of the partitions),
    without repetitions.

    :param broken: variants whose files are broken, and how.
    :raises ConfigurationError: a key that does not exist, or a range that runs backwards.
    """
    keys: list[str] = []
    for text in given:
        first, dots, last = text.partition("...")
        for key in (first, last) if dots else (first,):
            if key not in known:
                raise ConfigurationError(unknown_partition(key, known, broken))
        start, stop = known.index(first), known.index(last if dots else first)
        require(start <= stop, f"range {text!r} runs backwards: expected {last}...{first}")
        keys += [key for key in known[start : stop + 1] if key not in keys]
    return keys


def parse_settings(benchmark: str, settings: Sequence[str]) -> Ops:
    """The configuration of ops from settings ``STAGE.FIELD=VALUE``; values are YAML. A field of a
    field is ``STAGE.FIELD.FIELD``.

    :raises ConfigurationError: a setting of another form, of a stage that does not exist, or given
        twice; a field that has a value as a whole and in parts.
    """
    stages: dict[str, dict[str, Any]] = {}
    for setting in settings:
        target, equals, text = setting.partition("=")
        stage, *path = target.split(".")
        stages_are = f"expected STAGE.FIELD=VALUE with a stage of {', '.join(STAGES)}"
        require(bool(equals) and bool(path), f"--set {setting!r}: {stages_are}")
        require(
            stage in STAGES,
            f"--set {setting!r}: {unknown_name('stage', stage, STAGES, stages_are)}",
        )
        try:
            value = from_yaml(text)
        except ConfigurationError as error:
            raise ConfigurationError(f"--set {setting!r}: {error}") from error
        *outer, last = path
        fields = stages.setdefault(stage, {})
        for name in outer:
            fields = fields.setdefault(name, {})
            require(
                isinstance(fields, dict),
                f"--set {setting!r}: {name} has the value {fields!r} by another --set; expected "
                "one of the two; leave the other out",
            )
        require(
            last not in fields,
            f"--set {setting!r}: {target} is set twice, expected once; leave one of them out",
        )
        fields[last] = value
    return {f"{benchmark}__{stage}": {"config": values} for stage, values in stages.items()}


def materialize(
    benchmark: str,
    *,
    partitions: Sequence[str] = (),
    stages: Sequence[str] | None = None,
    settings: Sequence[str] = (),
) -> int:
    """Materialize stages of a benchmark, say what goes wrong on standard error and, last, what was
    made and where on standard output.

    :param partitions: keys ``VARIANT|SEED`` and ranges ``FIRST...LAST`` of them.
    :param stages: these alone; None: all that is needed.
    :param settings: ``STAGE.FIELD=VALUE``.
    :returns: the exit code: 0; 2 where something went wrong; 130 after Ctrl-C, and 143 after
        SIGTERM or "Terminate" in the page.
    :raises ConfigurationError: arguments that do not go together; nothing has been made.
    """
    return until_interrupted(
        benchmark,
        lambda signals: _materialize(benchmark, partitions, stages, settings, signals),
    )


def until_interrupted(benchmark: str, work: Callable[[Signals], int]) -> int:
    """The exit code of ``work``, or that of the signal which ended it, with a line that says so.

    :param work: raises KeyboardInterrupt where one of the signals has come.
    """
    with noted_signals() as signals, _raised_in_assets_alone():
        try:
            return work(signals)
        except KeyboardInterrupt:
            came = signals.received[0]
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)  # Nothing is left to interrupt.
    print(
        f"{benchmark}: interrupted by {came.name}; what is finished is kept, and the same command "
        "goes on from there",
        file=sys.stderr,
        flush=True,
    )
    return 128 + came


@contextmanager
def _raised_in_assets_alone() -> Generator[None]:
    """Signals that end a program are raised by Dagster where an asset is at work, and by nobody
    elsewhere: they would hit Dagster and its database in the middle of something."""
    before = {number: signal.signal(number, lambda *_: None) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _materialize(
    benchmark: str,
    partitions: Sequence[str],
    stages: Sequence[str] | None,
    settings: Sequence[str],
    signals: Signals,
) -> int:
    """See :func:`materialize`.

    :raises KeyboardInterrupt: one of ``signals`` has come.
    """
    entry = _entry(benchmark)
    ops = parse_settings(benchmark, settings)
    keys = parse_partitions(partitions, PARTITIONS.get_partition_keys(), VARIANTS.broken)
    store = open_store()
    if stages is not None:
        chosen = list(stages)
    elif any(f"{benchmark}__{stage}" in ops for stage in ("puzzles", "examples")):
        chosen = _all_stages(entry)
    else:
        chosen = needed_stages(benchmark, entry, store)
    _require_possible(benchmark, chosen, keys, ops, explicit=stages is not None)
    for key in keys or [None]:
        require_read(store, benchmark, chosen, entry.stages, key)

    def assets_of(group: Sequence[str]) -> list[dg.AssetKey]:
        return asset_keys(benchmark, entry, [stage for stage in group if stage in chosen])

    data, training, reports = map(assets_of, (DATA_STAGES, PARTITIONED_STAGES, REPORT_STAGES))
    if not keys and stages is None:
        print(f"{benchmark}: nothing is trained without --partition VARIANT|SEED")
        reports = []
    if reports:
        reports.append(dg.AssetKey("leaderboard"))
    made: list[str] = []
    failed = 0
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        know_pools(instance)

        def succeeds(selection: list[dg.AssetKey], partition: str | None = None) -> bool:
            print(
                f"== {benchmark} {partition or ''}: {', '.join(key.path[-1] for key in selection)}",
                flush=True,
            )
            done = run_job(
                "_".join([benchmark, *(key.path[-1] for key in selection)]),
                dg.AssetSelection.assets(*selection),
                partition,
                ops,
                instance,
                signals,
            )
            made.extend(done.made)
            return done.succeeded

        if data and not succeeds(data):
            failed += 1
        else:
            failures = [key for key in keys if training and not succeeds(training, key)]
            failed += len(failures)
            if reports and (not keys or len(failures) < len(keys)) and not succeeds(reports):
                failed += 1
    print("\n".join(["== made", *made]) if made else f"{benchmark}: nothing was made")
    return 2 if failed else 0


def check(
    benchmark: str, *, partitions: Sequence[str] = (), stages: Sequence[str] | None = None
) -> int:
    """Make the checks of stages of a benchmark on what is stored, and say how each came out on
    standard output.

    :param partitions: as in :func:`materialize`.
    :param stages: of these; None: of the partitioned ones where partitions are given, else of
        puzzles and examples.
    :returns: the exit code: 0; 2 where a check failed that keeps what follows from being made, or
        something went wrong; 130 and 143 as of :func:`materialize`.
    :raises ConfigurationError: arguments that do not go together.
    """
    return until_interrupted(
        benchmark, lambda signals: _check_stored(benchmark, partitions, stages, signals)
    )


def _check_stored(
    benchmark: str, partitions: Sequence[str], stages: Sequence[str] | None, signals: Signals
) -> int:
    """See :func:`check`.

    :raises KeyboardInterrupt: one of ``signals`` has come.
    """
    entry = _entry(benchmark)
    keys = parse_partitions(partitions, PARTITIONS.get_partition_keys(), VARIANTS.broken)
    chosen = list(stages or (TRAIN_STAGES if keys else ("puzzles", "examples")))
    _require_possible(benchmark, chosen, keys, {}, explicit=True)
    store = open_store()
    for stage in (one for one in chosen if one in (*entry.stages, *OVERALL_STAGES)):
        for key in keys or [None]:
            require_made(store, benchmark, stage, key)
    partitioned = asset_keys(benchmark, entry, [one for one in PARTITIONED_STAGES if one in chosen])
    others = [
        *asset_keys(benchmark, entry, [one for one in chosen if one not in PARTITIONED_STAGES]),
        *(dg.AssetKey(one) for one in OVERALL_STAGES if one in chosen),
    ]
    selections = [(others, None), *((partitioned, key) for key in keys)]
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        outcomes = [
            run_job(
                "_".join(["check", benchmark, *(key.path[-1] for key in selection)]),
                dg.AssetSelection.checks_for_assets(*selection),
                partition,
                {},
                instance,
                signals,
            )
            for selection, partition in selections
            if selection
        ]
    for line in (line for done in outcomes for line in done.checked):
        print(line)
    return 0 if all(done.succeeded for done in outcomes) else 2


def _entry(benchmark: str) -> Benchmark:
    require_benchmark(benchmark)
    return BENCHMARKS[benchmark]


def _all_stages(entry: Benchmark) -> list[str]:
    return [stage for stage in entry.stages if stage not in ON_REQUEST]


def needed_stages(benchmark: str, entry: Benchmark, store: Store) -> list[str]:
    """All stages but those on request; without those of the data where these are there already.

    :raises ConfigurationError: data from a user's file that no longer fit their benchmark.
    """
    stages = _all_stages(entry)
    key = store.follow(store_keys.current_examples(benchmark))
    if key is None:
        return stages
    current = store.open(key)
    try:
        made_from = open_header(current / "test.zarr").sources.get("entry")
    except CorruptDataError:
        made_from = None
    if made_from == entry.data_hash:
        print(f"{benchmark}: using the data in {current}; trm data {benchmark} makes them again")
        return [stage for stage in stages if stage not in DATA_STAGES]
    require(
        entry.origin.generated,
        f"{current}: made from another entry, or damaged; make the data again: "
        f"{making('examples', benchmark)}",
    )
    print(
        f"{benchmark}: making the data again, since the benchmark's entry has changed (or they are "
        "damaged)"
    )
    return stages


def _require_possible(
    benchmark: str, stages: Sequence[str], partitions: Sequence[str], ops: Ops, *, explicit: bool
) -> None:
    entry = BENCHMARKS[benchmark]
    partitioned = [stage for stage in stages if stage in PARTITIONED_STAGES]
    require(
        not (explicit and partitioned and not partitions),
        "these stages are partitioned; give --partition VARIANT|SEED",
    )
    for stage in STAGES:
        require(
            f"{benchmark}__{stage}" not in ops or stage in stages,
            f"--set {stage}.…: that stage is not run; add --stage {stage}, or leave the setting "
            "out",
        )
    names = dict.fromkeys(variant_and_seed(key)[0] for key in partitions)
    variants = [VARIANTS.known[name] for name in names]
    for stage in stages:
        kind = entry.origin.config if stage == "puzzles" else CONFIGS.get(stage, StageConfig)
        given = ops.get(f"{benchmark}__{stage}", {"config": {}})["config"]
        require_settings(stage, kind, given, entry.recipe, variants, entry.origin.family)


@dataclass(frozen=True, slots=True)
class Done:
    """How a Dagster run came out: what was made, the checks, and whether nothing went wrong."""

    made: Sequence[str] = ()
    checked: Sequence[str] = ()
    succeeded: bool = False


def run_job(
    job: str,
    selection: dg.AssetSelection,
    partition: str | None,
    ops: Ops,
    instance: dg.DagsterInstance,
    signals: Signals,
    *,
    partitions: dg.PartitionsDefinition = PARTITIONS,
) -> Done:
    """Materialize assets or make their checks in one Dagster run, which has the name ``job`` in the
    page; what goes wrong is said on standard error, a line each.

    :param partitions: that ``partition`` is one of.
    :raises KeyboardInterrupt: one of ``signals`` has come.
    """
    screen = Screen()
    graph = dg.Definitions(
        assets=defs.assets,
        resources=resources(),
        jobs=[dg.define_asset_job(job, selection)],
        loggers={"console": dg.LoggerDefinition(lambda _: _console(screen))},
    )
    resolved = graph.resolve_job_def(job)
    names = {node.name for node in resolved.nodes}
    # Dagster takes a partition's key for a job of assets alone, and its tags for all.
    tags = dict(partitions.get_tags_for_partition_key(partition)) if partition else {}
    end_lost(instance)
    try:
        with screen:
            result = resolved.execute_in_process(
                tags=tags | process_tags(instance),
                instance=instance,
                run_config={
                    "ops": {name: config for name, config in ops.items() if name in names},
                    "loggers": {"console": {}},
                },
                raise_on_error=False,
            )
    except dg.DagsterInvalidConfigError as error:
        problems = "; ".join(one_line(problem.message) for problem in error.errors)
        _say(
            f"configuration: {problems}; these are the fields of the stage's configuration: give "
            "them with --set STAGE.FIELD=VALUE; the settings of a class of your own are known once "
            "its module is imported: --import MODULE"
        )
        return Done()
    if signals.received:
        raise KeyboardInterrupt

    def called(key: dg.AssetKey) -> str:
        return f"{key.to_user_string()}{f', {partition}' if partition else ''}"

    checks = result.get_asset_check_evaluations()
    told: set[str | None] = set()
    for event in checks:
        if not event.passed and event.severity == dg.AssetCheckSeverity.ERROR:
            _say(f"{called(event.asset_key)}: check {event.check_name} failed: {_figures(event)}")
            # Their step has failed too, for that reason.
            told.add("__".join(event.asset_key.path))
    for event in result.all_events:
        if event.is_step_failure and event.step_key not in told:
            _say(f"{(event.step_key or '').replace('__', '/')}: {_message(event)}")
    return Done(
        [
            f"{called(key)}: {event.materialization.metadata[MADE].value}"
            for event in result.get_asset_materialization_events()
            if (key := event.asset_key) is not None
        ],
        [
            f"{called(event.asset_key)}: {event.check_name} "
            f"{'passed' if event.passed else 'failed'} ({_figures(event)})"
            for event in checks
        ],
        result.success,
    )


def _say(problem: str) -> None:
    print(f"error: {problem}", file=sys.stderr, flush=True)


def _figures(event: dg.AssetCheckEvaluation) -> str:
    return ", ".join(f"{name} {value.value}" for name, value in event.metadata.items())


def _console(screen: Screen) -> logging.Logger:
    """What assets say, without what Dagster says of its events: a failure is told in one line when
    its run has ended, not in a hundred before. The page shows all."""
    logger = logging.Logger("console", logging.INFO)
    handler = ScreenHandler(screen)
    said = "{asctime} {dagster_meta[step_key]}: {dagster_meta[orig_message]}"
    handler.setFormatter(logging.Formatter(said, "%H:%M:%S", style="{"))
    handler.addFilter(lambda record: record.__dict__["dagster_meta"]["dagster_event"] is None)
    logger.addHandler(handler)
    return logger


def _message(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    if error is not None and error.cause is not None:
        # The outermost error is Dagster's own, "error occurred while executing"; its cause is ours.
        error = error.cause
    message = one_line(error.message) if error is not None else "failed"
    return f"{message}; the run's page shows where it happened: trm ui"
