"""The plain transcription that ours is timed against computes the same numbers."""

import torch

from tests.benchmarks.__main__ import ours, plain


def test_plain_and_ours_make_the_same_steps() -> None:
    model, step = ours("trm_mlp")
    reference = plain(model)
    first = [(step().item(), reference().item()) for _ in range(2)]
    for mine, theirs in first:
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)
