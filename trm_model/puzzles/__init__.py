"""Puzzles: a folder per family, what every family does (:mod:`trm_model.puzzles.family`), and which
families there are (:mod:`trm_model.puzzles.registry`). Useful alone: ``python -m
trm_model.puzzles``."""
