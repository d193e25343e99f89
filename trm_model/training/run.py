"""A training run as data: what is trained on what, from which a process can start, continue or be
reproduced."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, cast

from storage.atomic import write_text
from storage.examples import Header, header_from_dict
from storage.reading import json_object, reading
from storage.store import LocalStore, StoreError
from trm_model.choices import changed, check_fields, from_plain, is_foreign, to_plain
from trm_model.errors import ConfigurationError, require
from trm_model.model.evaluation import Evaluation
from trm_model.model.variant import Variant
from trm_model.names import require_name
from trm_model.trackers.tracker import Tracker
from trm_model.training.execution import Execution
from trm_model.training.folders import step_reached
from trm_model.training.recipe import Recipe
from trm_model.training.stopping import is_over
from trm_model.version import code_version

RUN_FILE = "run.json"
WEIGHTS = (
    "trm_model.training.loop",
    "trm_model.training.initial",
    "trm_model.puzzles.plans",
)
"""The modules that make a training's weights out of its description: the loop, and what reads the
initial weights and the examples that it is given. They and what they import are the code of a
training. Who starts it, records it or tests it on the way changes no weight."""


# The code that trains


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSpan:
    """The code version that trained a run from one step on.

    :param version: see :func:`training_version`.
    :param from_step: the step after which it began; 0: from the start.
    """

    version: str
    from_step: int = 0

    def __post_init__(self) -> None:
        check_fields(self, from_step=0)


def modules_of(value: Any) -> set[str]:
    """The modules that define a dataclass and those nested in its fields."""
    if isinstance(value, tuple):
        return {name for item in value for name in modules_of(item)}
    if not is_dataclass(value):
        return set()
    nested = (modules_of(getattr(value, item.name)) for item in fields(value))
    return {type(value).__module__}.union(*nested)


def choice_modules(variant: Variant, recipe: Recipe) -> list[str]:
    """The modules that define what ``variant`` and ``recipe`` choose for training; those of how the
    variant is evaluated are left out."""
    return sorted(modules_of(replace(variant, evaluation=Evaluation())) | modules_of(recipe))


def training_version(variant: Variant, recipe: Recipe, examples: Sequence[str] = ()) -> str:
    """The version of the code that trains ``variant`` by ``recipe`` on a data set: of
    :data:`WEIGHTS` and all that they import, of the modules that define their choices, and of those
    that compute the examples where they are not stored (:func:`trm_model.version.code_version`).

    :param examples: the modules that compute examples
        (:func:`trm_model.puzzles.plans.examples_modules`).
    :raises ConfigurationError: a choice of the user's own that is not in a file.
    """
    return code_version(*WEIGHTS, *choice_modules(variant, recipe), *examples)


# Runs


def config_hash(variant: Variant, recipe: Recipe, execution: Execution, initial: str = "") -> str:
    """Hash of variant, recipe and given initial weights: equal for runs that differ in their seed
    only. It covers what differs from the defaults, so that a new field with a default changes no
    hash; and of ``execution`` what decides when a training with patience ends."""
    config: dict[str, Any] = {"variant": variant.identity(), "recipe": changed(recipe)}
    if initial:
        config["initial"] = initial
    if recipe.patience is not None:
        config["validated"] = [execution.validate_steps, execution.log_steps]
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The checkpoint that a run began with. As text: ``KEY, step 300``.

    :param name: of a run, its key; of a file of the authors', the file's name.
    :param step: of the checkpoint; None: the file does not tell.
    :param checkpoint: its content hash.
    """

    name: str
    step: int | None
    checkpoint: str

    def __post_init__(self) -> None:
        check_fields(self, step=0)

    def __str__(self) -> str:
        step = "" if self.step is None else f", step {self.step}"
        return f"{self.name}{step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One training.

    :param data: key, in the store that the run lies in, of the data set: a folder with the split
        ``train.zarr`` and a manifest whose content hash is ``data_version``.
    :param header: of those data, with which the trained model can be used without them; None: to be
        read there.
    :param validation: key, in the same store, of a folder with the split ``validation.zarr``, which
        the training is tested with on the way; not part of the key; None: it is not tested.
    :param code: the code versions that have trained it, each from its step on; the first one is
        part of the key. More than one: it was continued under other code.
    :param execution: how to run; not part of the key, but for ``validate_steps`` and ``log_steps``
        where the recipe has patience.
    :param trackers: where its figures go beside its own file; not part of the key.
    :param device_locks: keys, in the same store, of the locks that every training on these devices
        holds while it runs.
    :param attempt: distinguishes repetitions of the same training; equal attempts continue one
        another.
    :param initial: hash of the initial weights in the run's folder
        (:func:`trm_model.training.initial.weights_hash`); empty: they are drawn from the seed.
    :param parent: where the first checkpoint or the initial weights are from; not part of the key,
        since the result does not depend on it beyond ``initial``.
    :raises ConfigurationError: a value that cannot be.
    """

    benchmark: str
    variant_name: str
    variant: Variant
    recipe: Recipe
    seed: int
    data: str
    data_version: str
    code: tuple[CodeSpan, ...]
    header: Header | None = None
    validation: str | None = None
    execution: Execution = Execution()
    trackers: tuple[Tracker, ...] = ()
    device_locks: tuple[str, ...] = ()
    attempt: str = ""
    initial: str = ""
    parent: Parent | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("benchmark", "variant_name"):
            require_name(name, getattr(self, name))
        _require_key("data", self.data)
        if self.validation is not None:
            _require_key("validation", self.validation)
        for key in self.device_locks:
            _require_key("device_locks", key)
        require(len(self.code) > 0, "code=(): expected the code version that trains the run")
        self.execution.require_batch(self.recipe.batch_size)

    @property
    def config_hash(self) -> str:
        """See :func:`config_hash`."""
        return config_hash(self.variant, self.recipe, self.execution, self.initial)

    @property
    def key(self) -> str:
        """Name of the run's folder: a hash of configuration, data and the code it began with. What
        is equal continues; what differs starts afresh."""
        return self._key_with(self.code[0].version)

    def _key_with(self, version: str) -> str:
        parts = [self.config_hash, self.seed, self.data_version, version, self.attempt]
        return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:16]

    def same_but_for_code(self, other: "RunSpec") -> bool:
        """Whether the keys differ, if at all, by the code versions that the runs began with."""
        return self._key_with("") == other._key_with("")

    def longer_than(self, other: "RunSpec") -> bool:
        """Whether this is the training ``other``, whichever attempt, but for its number of steps,
        or for what it does about numbers that are not finite: one that stops there has met none
        before its last checkpoint."""
        recipe = replace(other.recipe, steps=self.recipe.steps)
        if recipe.on_nonfinite == "stop":
            recipe = replace(recipe, on_nonfinite=self.recipe.on_nonfinite)
        same = replace(other, recipe=recipe, attempt=self.attempt)
        return same.key == self.key and recipe != other.recipe

    @property
    def code_version(self) -> str:
        """The code versions that trained it, joined by ``+`` where there are several."""
        return "+".join(span.version for span in self.code)

    def data_folder(self, run: Path) -> Path:
        """The data set of this run, which lies in the folder ``run``.

        :raises ConfigurationError: that folder is in no store.
        """
        return run_store(run).open(self.data)

    def taken_up(self, step: int, version: str, *, other_code: bool) -> "RunSpec":
        """This run as it goes on after ``step`` under the code ``version``, which is recorded.

        :param other_code: whether it may go on under another version than the one before.
        :raises ConfigurationError: it may not, and the version is another one.
        """
        # Versions that began later have trained nothing that is still there.
        first, *later = self.code
        kept = (first, *(span for span in later if span.from_step < step))
        before = kept[-1].version
        if before == version:
            return replace(self, code=kept)
        require(
            other_code,
            (
                f"code version {before} trained this run up to step {step}"
                if step
                else f"this run was to be trained by code version {before}"
            )
            + f", and the code here is {version}; expected the same code; make the run anew (trm "
            "train), or, to go on all the same and have both versions "
            "recorded, give --continue-other-code (in the checkpoint's configuration: "
            "checkpoint.continue_other_code=true)",
        )
        return replace(self, code=(*kept, CodeSpan(version=version, from_step=step)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in ``run.json``."""
        return {
            **asdict(self),
            "variant": to_plain(self.variant),
            "recipe": to_plain(self.recipe),
            "execution": to_plain(self.execution),
            "trackers": to_plain(self.trackers),
        }

    def write(self, run: Path) -> None:
        """Write ``run.json`` into the run's folder."""
        write_text(run / RUN_FILE, json.dumps(self.to_dict(), indent=1))

    @staticmethod
    def read(run: Path, *, every_tracker: bool = False) -> "RunSpec":
        """The inverse of :meth:`write`, without trackers of somebody's own whose classes are not
        imported here: no result depends on them.

        :param every_tracker: refuse the run for those.
        :raises ConfigurationError: missing or malformed file.
        """
        path = run / RUN_FILE
        with reading(
            ConfigurationError,
            path,
            "a run description as a training writes it; train again",
        ):
            stored = json_object(json.loads(path.read_bytes()), RUN_FILE, ("execution",))
            data = _from_older(run, stored)
            if data.get("header") is not None:
                data["header"] = header_from_dict(data["header"])
            trackers = data.get("trackers")
            if isinstance(trackers, list) and not every_tracker:
                data["trackers"] = [
                    each for each in cast("list[object]", trackers) if not is_foreign(Tracker, each)
                ]
            # Without importing: a name in a file that somebody else wrote must not run code.
            return from_plain(RunSpec, data)


def run_store(run: Path) -> LocalStore:
    """The store that the run's folder lies in.

    :raises ConfigurationError: it lies in none.
    """
    try:
        return LocalStore.containing(run)
    except StoreError as error:
        raise ConfigurationError(str(error)) from error


def _require_key(name: str, key: object) -> None:
    path = PurePosixPath(key) if isinstance(key, str) else PurePosixPath()
    require(
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts,
        f"{name}={key!r}: expected a key of the store that the run lies in, which is a path "
        "relative to the store's root such as examples/sudoku_4x4/0123456789abcdef; write that",
    )


def _from_older(run: Path, data: dict[str, Any]) -> dict[str, Any]:
    """What older versions of this project wrote, in today's form: one code version, one device's
    lock, trackers among what changes speed, and absolute paths, which must be inside the store, or
    have been before it was moved."""
    if "code_version" in data:
        data["code"] = [{"version": data.pop("code_version")}]

    def key(path: object) -> object:
        if isinstance(path, str) and path.startswith("/"):
            return _key_in(run_store(run), Path(path))
        return path

    if "data" in data:
        data["data"] = key(data["data"])
    execution = json_object(data["execution"], "execution")
    if "trackers" in execution:
        data["trackers"] = execution.pop("trackers")
    if "device_lock" in data:
        lock = data.pop("device_lock")
        data["device_locks"] = [] if lock is None else [key(lock)]
    return data


def _key_in(store: LocalStore, path: Path) -> str:
    """The key of an absolute path, which may be from before the store was moved: the longest end of
    it that is there."""
    ends = (PurePosixPath(*path.parts[start:]) for start in range(1, len(path.parts)))
    found = next((end for end in ends if store.open(str(end)).exists()), None)
    return store.key(path) if found is None else str(found)


def runs_in(folder: Path) -> Iterator[tuple[Path, RunSpec]]:
    """The runs directly below ``folder`` with their descriptions; those that cannot be read are
    passed over."""
    for path in sorted(folder.glob(f"*/{RUN_FILE}")):
        if path.parent.is_symlink():
            continue
        try:
            spec = RunSpec.read(path.parent)
        except ConfigurationError:
            continue
        yield path.parent, spec


def runs_of_other_code(folder: Path, spec: RunSpec) -> list[Path]:
    """The runs below ``folder`` that are ``spec`` but for the code they began with and that can be
    continued, those that have come furthest first.

    A finished run can be too where ``spec``'s code is the one that finished it: there is nothing
    left to do.
    """
    found: list[tuple[int, Path]] = []
    for run, other in runs_in(folder):
        step = step_reached(run)
        same = other.same_but_for_code(spec) and other.key != spec.key
        ours = other.code[-1].version == spec.code[0].version
        if same and step > 0 and (ours or not is_over(run, other.recipe, step)):
            found.append((step, run))
    return [run for _, run in sorted(found, key=lambda item: -item[0])]
