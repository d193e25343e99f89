"""The check of a training."""

import polars as pl

from assets.training.checkpoint import finite_loss


def test_only_finite_losses_pass() -> None:
    assert finite_loss(pl.DataFrame({"loss": [1.0, 0.5]})).passed
    assert not finite_loss(pl.DataFrame({"loss": [1.0, float("nan")]})).passed
    assert not finite_loss(pl.DataFrame({"loss": []}, schema={"loss": pl.Float64})).passed
