"""Names in the store that depend on more than their arguments."""

import pytest

from assets import keys


@pytest.mark.parametrize(
    ("visible", "device", "name"),
    [
        (None, "cpu", "cpu"),
        (None, "cuda:1", "cuda-1"),
        ("", "cuda:1", "cuda-1"),
        ("3", "cuda:0", "cuda-3"),
        ("3, 5", "cuda:1", "cuda-5"),
        ("3", "cuda:1", "cuda-1"),
        ("GPU-8932f937", "cuda:0", "cuda-GPU-8932f937"),
        ("3", "xpu:0", "xpu-0"),
        ("3", "cpu", "cpu"),
    ],
)
def test_a_gpu_has_one_lock_whatever_number_it_is_seen_by(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, device: str, name: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert keys.device_lock(device) == f"locks/{name}.lock"
    assert keys.evaluation_lock(device) == f"locks/{name}-evaluation.lock"
