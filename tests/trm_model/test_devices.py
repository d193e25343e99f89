"""Devices by their names, whatever this machine has."""

import pytest
import torch

from trm_model.devices import open_device, resolve_device
from trm_model.errors import ConfigurationError
from trm_model.training.execution import Execution


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("auto", "cuda:0"),
        ("cuda", "cuda:0"),
        ("cuda:1", "cuda:1"),
        ("cpu:0", "cpu"),
    ],
)
def test_one_device_has_one_name(name: str, full: str) -> None:
    assert resolve_device(name) == full


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cpu:1", "mps", "gpu", "", "cuda:", "cuda:x"])
def test_what_is_not_here_is_refused_in_one_line(name: str) -> None:
    assert resolve_device("auto") == "cpu"
    for resolve in (resolve_device, open_device):
        with pytest.raises(ConfigurationError, match="expected auto, cpu, cuda or") as caught:
            resolve(name)
        assert f"device={name!r}" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_gpu_that_is_opened_is_computed_on_and_is_the_current_one(
    monkeypatch: pytest.MonkeyPatch, two_gpus: None
) -> None:
    made: list[object] = []
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.accelerator, "set_device_index", made.append)
    monkeypatch.setattr(torch, "zeros", lambda *size, device, **_: made.append((size, device)))
    device = open_device("cuda:1")
    assert made == [1, ((1,), device)]
    assert not torch.backends.cudnn.allow_tf32


def test_a_gpu_that_has_no_kernels_here_is_refused(
    monkeypatch: pytest.MonkeyPatch, two_gpus: None
) -> None:
    def fill(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nfor execution")

    monkeypatch.setattr(torch.accelerator, "set_device_index", lambda _: None)
    monkeypatch.setattr(torch, "zeros", fill)
    with pytest.raises(ConfigurationError, match=r"device='cuda:1': CUDA error: no .* execution;"):
        open_device("cuda:1")


def test_a_gpu_without_memory_is_not_a_wrong_name(
    monkeypatch: pytest.MonkeyPatch, two_gpus: None
) -> None:
    def fill(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB")

    monkeypatch.setattr(torch.accelerator, "set_device_index", lambda _: None)
    monkeypatch.setattr(torch, "zeros", fill)
    with pytest.raises(torch.OutOfMemoryError):
        open_device("cuda")


@pytest.mark.parametrize("name", ["mps", "gpu", "cuda:", "cuda:x", 3, None])
def test_a_training_can_be_meant_for_another_machine_but_not_for_no_device(name: object) -> None:
    assert Execution(device="cuda:7").device == "cuda:7"
    with pytest.raises(ConfigurationError, match="device="):
        Execution(device=name)  # type: ignore[arg-type]


def test_mps_is_refused_with_its_reason() -> None:
    with pytest.raises(ConfigurationError, match="mps has no float64"):
        resolve_device("mps")
