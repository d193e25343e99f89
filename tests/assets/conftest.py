"""What tests of settings and of studies share."""

import sys

import pytest

from trm_model.choices import choices
from trm_model.schedules.schedule import Schedule

_MODULE = """
from dataclasses import dataclass
from trm_model.schedules.schedule import Schedule

@dataclass(frozen=True, slots=True)
class Mine(Schedule):
    final: float = 0.5

    def __post_init__(self):
        self.final + 1
"""


@pytest.fixture
def own_schedule(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a schedule of the user's own, which can be imported and is not yet. It raises a
    TypeError where its ``final`` is no number."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_schedules_of_assets.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "own_schedules_of_assets", raising=False)
    monkeypatch.setattr(Schedule, "known", choices(Schedule))
    return "own_schedules_of_assets:Mine"
