"""The stages of a benchmark, in the order in which they are made. Imports nothing: the command
line's help lists them."""

DATA_STAGES = ("puzzles", "examples", "shards")
"""The data set; ``shards`` is a copy for buckets, which is made on request only."""

EVALUATE_STAGES = ("predictions", "votes", "scores")
"""The evaluation of what is trained; ``votes`` is ARC's alone."""

TRAIN_STAGES = ("checkpoint", *EVALUATE_STAGES)
"""Training and its evaluation, a partition for each variant and seed."""

INSPECT_STAGES = ("inspection",)
"""Looking into what is trained, a partition for each variant and seed; made on request only."""

PARTITIONED_STAGES = (*TRAIN_STAGES, *INSPECT_STAGES)

REPORT_STAGES = ("ablation",)

ON_REQUEST = ("shards", *INSPECT_STAGES)
"""Stages that nothing else reads and that are made only where they are asked for."""

OVERALL_STAGES = ("leakage", "leaderboard")
"""The reports over all benchmarks."""

STAGES = (*DATA_STAGES, *PARTITIONED_STAGES, *REPORT_STAGES)

ACCELERATOR_POOL = "accelerator"
"""Dagster's name for the queue of everything that computes on a device: the checkpoint, the
predictions and the inspection."""

STAGE_MODULES = {
    "puzzles": "assets.data.datasets",
    "examples": "assets.data.datasets",
    "shards": "assets.data.datasets",
    "checkpoint": "assets.training.checkpoint",
    "predictions": "assets.evaluation.predictions",
    "votes": "assets.evaluation.votes",
    "scores": "assets.evaluation.scores",
    "inspection": "assets.reports.inspection",
    "ablation": "assets.reports.ablation",
    "leakage": "assets.reports.leakage",
    "leaderboard": "assets.reports.leaderboard",
}
"""The module that does a stage's work, or that of a report over all benchmarks: what it imports is
the code of the assets."""
