"""A training run as data: what is trained on what, from which a process can start, continue or be
reproduced."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from storage.atomic import write_text
from storage.examples import Header, header_from_dict
from storage.reading import reading
from trm_model.choices import changed, from_plain, to_plain
from trm_model.errors import ConfigurationError, require
from trm_model.model.variant import Variant
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe
from trm_model.version import code_version

RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One training.

    :param data: folder with the split ``train.zarr`` and a manifest whose content hash is
        ``data_version``.
    :param header: of those data, with which the trained model can be used without them; None: to be
        read there.
    :param execution: how to run; not part of the key.
    :param device_lock: file that every training on the device locks while it runs.
    :param attempt: distinguishes repetitions of the same training; equal attempts continue one
        another.
    """

    benchmark: str
    variant_name: str
    variant: Variant
    recipe: Recipe
    seed: int
    data: str
    data_version: str
    header: Header | None = None
    code_version: str = field(default_factory=code_version)
    execution: Execution = Execution()
    device_lock: str | None = None
    attempt: str = ""

    def __post_init__(self) -> None:
        require(type(self.seed) is int, f"seed={self.seed!r}: expected a whole number")
        for name in (
            "benchmark",
            "variant_name",
            "data",
            "data_version",
            "code_version",
            "attempt",
        ):
            require(
                isinstance(getattr(self, name), str),
                f"{name}={getattr(self, name)!r}: expected text",
            )
        require(
            self.device_lock is None or isinstance(self.device_lock, str),
            f"device_lock={self.device_lock!r}: expected text or none",
        )

    @property
    def config_hash(self) -> str:
        """Hash of variant and recipe: equal for runs that differ in their seed only."""
        config = {"variant": self.variant.identity(), "recipe": changed(self.recipe)}
        return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def key(self) -> str:
        """Name of the run's folder: a hash of configuration, data and code. What is equal
        continues; what differs starts afresh."""
        return hashlib.sha256(
            f"{self.config_hash}/{self.seed}/{self.data_version}/{self.code_version}/{self.attempt}".encode()
        ).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in ``run.json``."""
        return {
            **asdict(self),
            "variant": to_plain(self.variant),
            "recipe": to_plain(self.recipe),
        }

    def write(self, run: Path) -> None:
        """Write ``run.json`` into the run's folder."""
        write_text(run / RUN_FILE, json.dumps(self.to_dict(), indent=1))

    @staticmethod
    def read(run: Path) -> "RunSpec":
        """The inverse of :meth:`write`.

        :raises ConfigurationError: missing or malformed file.
        """
        path = run / RUN_FILE
        with reading(
            ConfigurationError,
            path,
            "a run description as the checkpoint asset writes it; materialize the checkpoint again",
        ):
            data: dict[str, Any] = json.loads(path.read_bytes())
            data["variant"] = from_plain(Variant, data["variant"])
            data["recipe"] = from_plain(Recipe, data["recipe"])
            data["execution"] = Execution(**data["execution"])
            if data.get("header") is not None:
                data["header"] = header_from_dict(data["header"])
            return RunSpec(**data)
