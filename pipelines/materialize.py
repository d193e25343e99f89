"""Materialize a benchmark from the command line, several partitions one after another, without a
server or daemon.

``python -m pipelines.materialize sudoku_4x4 --partition 'trm_mlp|0' --partition 'trm|0'``

Data are made if they are missing or asked for; then each partition is trained, evaluated and
scored, and the reports are written. Runs appear in the Dagster UI. Exit code 2, with one line that
says why, when something is wrong; what was finished stays.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import dagster as dg
import yaml

from assets.benchmarks import BENCHMARKS
from assets.common import STAGES, Store, stages_of
from pipelines.home import prepare_home
from pipelines.jobs import DATA_STAGES, TRAIN_STAGES, asset_keys


def parse_partitions(given: Sequence[str], known: Sequence[str]) -> list[str]:
    """Partition keys from keys and ranges ``FIRST...LAST`` (in the order of the partitions),
    without repetitions.

    :raises ValueError: a key that does not exist.
    """
    keys: list[str] = []
    for text in given:
        first, dots, last = text.partition("...")
        for key in (first, last) if dots else (first,):
            if key not in known:
                variants = ", ".join(dict.fromkeys(name.rpartition("|")[0] for name in known))
                raise ValueError(
                    f"partition {key!r} does not exist: expected VARIANT|SEED such as "
                    f"{known[0]!r}; variants: {variants}"
                )
        start, stop = known.index(first), known.index(last if dots else first)
        if start > stop:
            raise ValueError(f"range {text!r} runs backwards: expected {last}...{first}")
        keys += [key for key in known[start : stop + 1] if key not in keys]
    return keys


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.materialize", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("benchmark", choices=list(BENCHMARKS))
    parser.add_argument(
        "--partition",
        action="append",
        default=[],
        metavar="VARIANT|SEED",
        help="repeat, or give a range FIRST...LAST",
    )
    parser.add_argument(
        "--stage",
        action="append",
        choices=STAGES,
        help="only these stages (repeat); default: all that is needed",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STAGE.FIELD=VALUE",
        help="configuration, e.g. puzzles.path=my.csv.gz or checkpoint.steps=100",
    )
    return parser.parse_args(arguments)


def _config(benchmark: str, settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    config: dict[str, dict[str, Any]] = {}
    for setting in settings:
        target, equals, value = setting.partition("=")
        stage, dot, field = target.partition(".")
        if not equals or not dot or stage not in STAGES:
            raise ValueError(
                f"--set {setting!r}: expected STAGE.FIELD=VALUE with a stage of {', '.join(STAGES)}"
            )
        config.setdefault(stage, {})[field] = yaml.safe_load(value)
    return {f"{benchmark}__{stage}": {"config": fields} for stage, fields in config.items()}


def _message(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    # The outermost error is Dagster's own, "error occurred while executing"; its cause is ours.
    error = (
        data.error.cause if data.error is not None and data.error.cause is not None else data.error
    )
    return " ".join(error.message.split()) if error is not None else "failed"


def run(
    defs: dg.Definitions,
    keys: Sequence[dg.AssetKey],
    partition: str | None,
    ops: dict[str, dict[str, Any]],
    instance: dg.DagsterInstance,
) -> list[str]:
    """Materialize assets in one run, and return what went wrong, a line each."""
    names = {"__".join(key.path) for key in keys}
    result = dg.materialize(
        list(defs.assets or []),  # type: ignore[arg-type]  # only asset definitions are given there
        selection=list(keys),
        partition_key=partition,
        instance=instance,
        resources=dict(defs.resources or {}),
        run_config={
            "ops": {name: config for name, config in ops.items() if name in names},
            "loggers": {"console": {"config": {"log_level": "INFO"}}},
        },
        raise_on_error=False,
    )
    problems = [
        f"{event.asset_key.to_user_string()}: check {event.check_name} failed: "
        + ", ".join(f"{name} {value.value}" for name, value in event.metadata.items())
        for event in result.get_asset_check_evaluations()
        if not event.passed and event.severity == dg.AssetCheckSeverity.ERROR
    ]
    problems += [
        f"{(event.step_key or '').replace('__', '/')}: {_message(event)}"
        for event in result.all_events
        if event.is_step_failure
    ]
    return problems if problems or result.success else ["the run failed; see its log above"]


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    options = _arguments(arguments)
    benchmark: str = options.benchmark
    try:
        # Reads the user's own variants, which may be wrong.
        from pipelines.definitions import PARTITIONS, defs

        ops = _config(benchmark, options.set)
        partitions = parse_partitions(options.partition, PARTITIONS.get_partition_keys())
    except (ValueError, yaml.YAMLError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    store = (defs.resources or {})["store"]
    assert isinstance(store, Store)
    entry = BENCHMARKS[benchmark]
    stages = options.stage or [stage for stage in stages_of(entry) if stage != "shards"]
    if (
        options.stage is None
        and f"{benchmark}__puzzles" not in ops
        and (current := store.layout.current_examples(benchmark)).exists()
    ):
        from storage.examples import open_header
        from storage.manifest import CorruptDataError

        try:
            entry_hash = open_header(current / "test.zarr").sources.get("entry")
        except CorruptDataError:
            entry_hash = None
        if entry_hash == entry.data_hash:
            print(
                f"{benchmark}: using the data in {current}; --stage puzzles --stage examples "
                "makes them again"
            )
            stages = [stage for stage in stages if stage not in DATA_STAGES]
        elif entry.origin.generated:
            print(
                f"{benchmark}: making the data again, since the benchmark's entry has changed (or "
                "they are damaged)"
            )
        else:
            print(
                f"error: {current}: made from another entry, or damaged; materialize puzzles and "
                "examples again",
                file=sys.stderr,
            )
            return 2

    def keys(group: Sequence[str]) -> list[dg.AssetKey]:
        return asset_keys(benchmark, entry, [stage for stage in group if stage in stages])

    if any(stage in stages for stage in TRAIN_STAGES) and options.stage and not partitions:
        print("error: these stages are partitioned; give --partition VARIANT|SEED", file=sys.stderr)
        return 2
    if not partitions and not options.stage:
        print(f"{benchmark}: nothing is trained without --partition VARIANT|SEED")
    unused = [stage for stage in STAGES if f"{benchmark}__{stage}" in ops and stage not in stages]
    if unused:
        print(
            f"error: --set {unused[0]}.…: that stage is not run; add --stage {unused[0]}, or "
            "leave the setting out",
            file=sys.stderr,
        )
        return 2
    parts: list[tuple[list[dg.AssetKey], str | None]] = [(keys(DATA_STAGES), None)]
    parts += [(keys(TRAIN_STAGES), partition) for partition in partitions]
    if partitions or options.stage:
        reports = keys(("ablation",))
        parts.append((reports + [dg.AssetKey("leaderboard")] * bool(reports), None))
    failures = 0
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        for number, (selection, partition) in enumerate(parts):
            if not selection or (partition is None and failures == len(partitions) > 0):
                continue
            title = f"{benchmark} {partition or ''}: {', '.join(key.path[-1] for key in selection)}"
            print(f"== {title}", flush=True)
            try:
                problems = run(defs, selection, partition, ops, instance)
            except dg.DagsterInvalidConfigError as error:
                problems = [
                    "configuration: "
                    + "; ".join(" ".join(problem.message.split()) for problem in error.errors)
                ]
                problems[0] += (
                    "; these are the fields of the stage's configuration: give them with --set "
                    "STAGE.FIELD=VALUE"
                )
            for problem in problems:
                print(f"error: {problem}", file=sys.stderr, flush=True)
            failures += bool(problems)
            if problems and number == 0:
                break
    return 2 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
