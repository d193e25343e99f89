"""The demonstration."""

import pytest

from pipelines import demo


def test_it_does_not_go_on_after_a_training_that_was_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "materialize", lambda *_, **__: 130)
    assert demo.demonstrate() == 130
    assert capsys.readouterr().out == ""
