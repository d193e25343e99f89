"""Reports follow results: an asset with an automation condition is materialized when what it shows
has changed."""

import dagster as dg

REPORTS_FOLLOW = dg.AutomationConditionSensorDefinition(
    "reports_follow",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Rewrites ablation tables and the leaderboard after new scores.",
)
