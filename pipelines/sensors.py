"""Reports follow results: the assets with an automation condition are materialized when what they
show has changed."""

import dagster as dg

REPORTS_FOLLOW = dg.AutomationConditionSensorDefinition(
    "reports_follow",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Rewrites ablation tables and the leaderboard after new scores.",
)
