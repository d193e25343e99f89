"""Pretrained models: each is a folder of this one, and has its name. It holds a run's description,
one checkpoint that can be evaluated but not trained on, and a card for people (``README.md``).

``trm publish`` makes them (:mod:`pipelines.publishing`).
"""

from pathlib import Path

HERE = Path(__file__).parent
CARD = "README.md"


def names() -> list[str]:
    """The pretrained models there are."""
    return sorted(path.parent.name for path in HERE.glob(f"*/{CARD}"))


def find(checkpoint: str | Path) -> Path:
    """The path of a checkpoint: the one given, or where nothing is there, the folder of the
    pretrained model of that name."""
    path = Path(checkpoint)
    return HERE / path if not path.exists() and str(path) in names() else path


def expected() -> str:
    """What may be given as a checkpoint, in words."""
    return (
        "a run's folder, a checkpoint's folder, a file of the authors' or a pretrained model's "
        f"name ({', '.join(names())})"
    )
