"""The authors' models: their checkpoints in and out, their numbers, their published figures."""

from trm_model.authors.checkpoints import load, save, written_by_torch

__all__ = ["load", "save", "written_by_torch"]
