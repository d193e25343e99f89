"""Ours against the authors' recorded numbers, and proof that the comparison can fail."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trm_model import conformance, layers, losses, reasoner
from trm_model.authors import size_of, variant_of
from trm_model.variant import ConfigurationError, Variant

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
CONFIGS: dict[str, dict[str, Any]] = json.loads((REFERENCE / "configs.json").read_text())
MODELS = ("trm_att", "trm_mlp", "trm_single", "trm_multi")


def recording(name: str) -> conformance.Recording:
    with np.load(REFERENCE / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


@pytest.mark.parametrize("name", MODELS)
def test_agrees_with_the_authors(name: str) -> None:
    compared = list(conformance.check(recording(name), CONFIGS[name]))
    assert len(compared) >= 70
    assert [item for item in compared if not item.agrees] == []


@pytest.mark.parametrize("name", MODELS)
def test_first_step_agrees_closely(name: str) -> None:
    """Before the recursion has magnified rounding, errors are a few float32 units."""
    values, data = conformance.ours(recording(name), CONFIGS[name]), recording(name)
    for key in ("eval/0/logits", "eval/0/q_halt_logits", "eval/0/loss", "train/0/loss"):
        np.testing.assert_allclose(values[key].numpy(), data[key], rtol=1e-4, atol=2e-4, err_msg=key)


def _wrong_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasoner.math, "sqrt", lambda value: value**0.5 * 1.001)


def _wrong_epsilon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "NORM_EPSILON", 1e-3)


def _wrong_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "ROPE_BASE", 1_000.0)


def _wrong_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "log_stablemax", lambda logits: logits.double().log_softmax(-1))


def _wrong_gradient_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Variant, "graded_calls", property(lambda variant: variant.calls))


@pytest.mark.parametrize("mistake", [_wrong_scale, _wrong_epsilon, _wrong_rotation, _wrong_loss, _wrong_gradient_depth])
def test_a_mistake_is_found(mistake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake(monkeypatch)
    assert not all(item.agrees for item in conformance.check(recording("trm_att"), CONFIGS["trm_att"]))


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main([str(REFERENCE)]) == 0
    printed = capsys.readouterr().out
    assert "trm_mlp grad/inner.lm_head.weight" in printed
    assert "0 mismatches" in printed
    (tmp_path / "configs.json").write_text(json.dumps({"trm_att": CONFIGS["trm_att"], "hrm": CONFIGS["hrm"]}))
    changed: dict[str, Any] = dict(recording("trm_att"))
    changed["eval/0/logits"] = changed["eval/0/logits"] + 0.01
    np.savez(tmp_path / "trm_att.npz", **changed)
    np.savez(tmp_path / "hrm.npz", x=np.zeros(1))
    assert conformance.main([str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "trm_att eval/0/logits" in printed
    assert "MISMATCH" in printed
    assert "hrm: skipped" in printed
    (tmp_path / "trm_att.npz").write_bytes(b"no archive")
    assert conformance.main([str(tmp_path)]) == 2
    assert conformance.main([str(tmp_path / "nowhere")]) == 2


def test_configurations_in_general() -> None:
    base = CONFIGS["trm_mlp"]
    names = ["inner.H_init", "inner.L_init"]
    learned = {**base, "mlp_t": False, "pos_encodings": "learned", "puzzle_emb_ndim": 0, "puzzle_emb_len": 0, "L_layers": 3}
    variant, size = variant_of(learned, names), size_of(learned)
    assert variant.mixer.positions == "learned"
    assert (variant.layers, size.prefix) == (3, 0)
    assert size_of({**base, "puzzle_emb_ndim": 70, "puzzle_emb_len": 0}).prefix == 3
    with pytest.raises(ConfigurationError, match="not built yet"):
        variant_of(CONFIGS["hrm"], names)
