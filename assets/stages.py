"""The stages of a benchmark, in the order in which they are made, and the command that makes each.
Imports nothing heavy: the command line's help lists them."""

import shlex

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

STUDY_STAGES = ("points", "report")
"""The stages of a study: its points, a partition each, and its report."""

STAGES = (*DATA_STAGES, *PARTITIONED_STAGES, *REPORT_STAGES)

SEEDS = 5
"""Of each variant there are partitions with the seeds 0, 1, … below this number, enough for an
interval; a study names any others."""

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
    "points": "assets.studies.asset",
    "report": "assets.studies.asset",
    "leakage": "assets.reports.leakage",
    "leaderboard": "assets.reports.leaderboard",
}
"""The module that does a stage's work, or that of a report over all benchmarks: what it imports is
the code of the assets."""


def making(stage: str, benchmark: str, partition: str = "VARIANT|SEED") -> str:
    """How a user makes a stage or a report over all benchmarks, on the command line and in the
    page.

    :param benchmark: or the study, of a study's stages.
    :param partition: of a stage that has partitions.
    """
    where = stage if stage in OVERALL_STAGES else f"{benchmark}/{stage}"
    if stage in STUDY_STAGES:
        return f"trm study {benchmark} (in the page: materialize studies/{where})"
    if stage in PARTITIONED_STAGES:
        verb = "train" if stage == "checkpoint" else "evaluate"
        chosen = ["--stage", stage] if stage in INSPECT_STAGES else []
        command = ["trm", verb, benchmark, "--partition", partition, *chosen]
    elif stage in DATA_STAGES:
        chosen = ["--stage", stage] if stage == "shards" else []
        command = ["trm", "data", benchmark, *chosen]
    elif stage == "leakage":
        command = ["dagster", "asset", "materialize", "-m", "pipelines.definitions"]
        command += ["--select", stage]
    else:  # The leaderboard is written with each ablation.
        command = ["trm", "materialize", benchmark, "--stage", "ablation"]
    return f"{shlex.join(command)} (in the page: materialize {where})"
