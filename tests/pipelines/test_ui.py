"""What `trm ui` and `dagster dev` show."""

from pathlib import Path

from pipelines.ui import WORKSPACE


def test_a_checkout_and_the_wheel_show_the_same_code_location() -> None:
    """`dagster dev` in a checkout reads the file at its root, `trm ui` the one in the package."""
    root = Path(__file__).resolve().parents[2]
    assert (root / "workspace.yaml").read_bytes() == WORKSPACE.read_bytes()
