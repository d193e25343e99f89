"""Ours against the authors' recorded numbers, and proof that the comparison can fail."""

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trm_model.authors import conformance
from trm_model.evaluation.evaluate import answers
from trm_model.model import layers, reasoner
from trm_model.model.batch import Batch
from trm_model.model.evaluation import Evaluation
from trm_model.model.haltings.q_learning import QLearning
from trm_model.model.positions import rope
from trm_model.model.recursion import Recursion
from trm_model.model.selections.last_step import LastStep
from trm_model.model.starts import noisy
from trm_model.model.starts.noisy import NoisyStart
from trm_model.model.variant import Variant
from trm_model.noise import Noise
from trm_model.training import losses

REFERENCE = Path(__file__).resolve().parents[2] / "reference"
CONFIGS: dict[str, dict[str, Any]] = {
    **json.loads((REFERENCE / "configs.json").read_text()),
    "drm": json.loads((REFERENCE / "drm.json").read_text()),
}
MODELS = ("trm_att", "trm_mlp", "trm_single", "trm_multi", "hrm", "transformer", "drm")


def recording(name: str) -> conformance.Recording:
    with np.load(REFERENCE / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


@pytest.mark.parametrize("name", MODELS)
def test_agrees_with_the_authors(name: str) -> None:
    compared = list(conformance.check(recording(name), CONFIGS[name]))
    assert len(compared) >= 60
    assert [item for item in compared if not item.agrees] == []


@pytest.mark.parametrize("name", MODELS)
def test_first_step_agrees_closely(name: str) -> None:
    """Before the recursion has magnified rounding, errors are a few float32 units."""
    values, data = conformance.ours(recording(name), CONFIGS[name]), recording(name)
    drm = (
        "noise/corrupted",
        "train/logits",
        "train/loss",
        "test/as_published/0/logits",
        "test/scaled/0/logits",
    )
    for key in (
        drm
        if name == "drm"
        else ("eval/0/logits", "eval/0/q_halt_logits", "eval/0/loss", "train/0/loss")
    ):
        np.testing.assert_allclose(
            values[key].numpy(), data[key], rtol=1e-4, atol=2e-4, err_msg=key
        )


@pytest.mark.parametrize("name", ["trm_mlp", "hrm"])
def test_an_evaluation_of_depth_3_answers_what_was_recorded(name: str) -> None:
    """Its outputs are to the bit those that are compared with the recording, whatever chooses
    among one rollout without noise."""
    values = conformance.ours(recording(name), CONFIGS[name])
    model = conformance.model(recording(name), CONFIGS[name])
    batch = Batch(
        *(
            torch.from_numpy(recording(name)[f"batch/{key}"]).long()
            for key in ("inputs", "labels", "puzzle_identifiers")
        )
    )
    noise = Noise(0, torch.arange(len(batch.inputs)))
    for evaluation in (Evaluation(), Evaluation(selection=LastStep(), noise_at="call")):
        found = list(answers(model, batch, 3, evaluation, noise))
        assert len(found) == 3
        for step, answer in enumerate(found):
            assert torch.equal(answer.prediction, values[f"eval/{step}/preds"])
            assert torch.equal(answer.halt_logits, values[f"eval/{step}/q_halt_logits"])


def _wrong_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasoner.math, "sqrt", lambda value: value**0.5 * 1.001)


def _wrong_epsilon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "NORM_EPSILON", 1e-3)


def _wrong_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    right = rope.turned
    monkeypatch.setattr(rope, "turned", lambda places, channels, _: right(places, channels, 1e3))


def _wrong_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(losses.LOG_SHARES, "stablemax", losses.log_softmax)


def _wrong_gradient_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_graded(variant: Variant) -> Recursion:
        calls = variant.cycles * (variant.latent_updates + 1)
        return Recursion(variant.cycles, variant.latent_updates, calls)

    monkeypatch.setattr(Variant, "recursion", property(all_graded))


def _wrong_target(monkeypatch: pytest.MonkeyPatch) -> None:
    def halt_only(_rule: QLearning, now: Any, following: Any, last: Any) -> Any:
        del last
        target = following.halt_logits.sigmoid()
        return F.binary_cross_entropy_with_logits(now.continue_logits, target, reduction="none")

    monkeypatch.setattr(QLearning, "going_on_loss", halt_only)


def _wrong_halting(monkeypatch: pytest.MonkeyPatch) -> None:
    def positive(_rule: QLearning, halt_logits: Any, continue_logits: Any, solved: Any) -> Any:
        del continue_logits, solved
        return halt_logits > 0

    monkeypatch.setattr(QLearning, "wants", positive)


def _wrong_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noisy, "COSINE_OFFSET", 0.02)


def _fresh_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    original = conformance.model

    def fresh(*given: Any) -> Any:
        reasoner = original(*given)
        start = reasoner.variant.start
        assert isinstance(start, NoisyStart)
        reasoner.variant = replace(reasoner.variant, start=replace(start, carried_latents=False))
        return reasoner

    monkeypatch.setattr(conformance, "model", fresh)


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        *(
            ("trm_att", mistake)
            for mistake in (
                _wrong_scale,
                _wrong_epsilon,
                _wrong_rotation,
                _wrong_loss,
                _wrong_gradient_depth,
            )
        ),
        ("hrm", _wrong_target),
        ("hrm", _wrong_halting),
        ("hrm", _wrong_gradient_depth),
        ("transformer", _wrong_epsilon),
        ("drm", _wrong_schedule),
        ("drm", _fresh_latents),
    ],
)
def test_a_mistake_is_found(name: str, mistake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake(monkeypatch)
    assert not all(item.agrees for item in conformance.check(recording(name), CONFIGS[name]))


class Pipe(io.StringIO):
    """What a reader has of a stream: the lines up to its last flush."""

    came = ""

    def flush(self) -> None:
        self.came = self.getvalue()


def test_lines_come_while_a_recording_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs.json").write_text(json.dumps({"one": {}}))
    np.savez(tmp_path / "one.npz", x=np.zeros(1))
    pipe, seen = Pipe(), list[str]()

    def check(*_: object) -> Iterator[conformance.Comparison]:
        for key in ("first", "second"):
            seen.append(pipe.came)
            yield conformance.Comparison(key, 0.0, 0.0, agrees=True)

    monkeypatch.setattr(conformance, "check", check)
    monkeypatch.setattr(sys, "stdout", pipe)
    assert conformance.main([str(tmp_path)]) == 0
    first = "one: comparing\n"
    assert seen == [first, f"{first}one first 0 (tolerance 0) ok\n"]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main([str(REFERENCE)]) == 0
    printed = capsys.readouterr().out
    assert "drm grad/embed_tokens_labels" in printed
    assert "0 mismatches" in printed
    (tmp_path / "configs.json").write_text(
        json.dumps({"trm_att": CONFIGS["trm_att"], "other": {**CONFIGS["hrm"], "class": "Other"}})
    )
    changed: dict[str, Any] = dict(recording("trm_att"))
    changed["eval/0/logits"] = changed["eval/0/logits"] + 0.01
    np.savez(tmp_path / "trm_att.npz", **changed)
    np.savez(tmp_path / "other.npz", x=np.zeros(1))
    assert conformance.main([str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "trm_att eval/0/logits" in printed
    assert "MISMATCH" in printed
    assert "other: skipped (model class 'Other' is not built here" in printed
    (tmp_path / "trm_att.npz").write_bytes(b"no archive")
    assert conformance.main([str(tmp_path)]) == 2
    assert conformance.main([str(tmp_path / "nowhere")]) == 2
