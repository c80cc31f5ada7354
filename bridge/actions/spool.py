"""Runs on the disk, and what lies beside them."""

from bridge.actions.action import error, info, warning

ACTIONS = (
    info(
        "run_sealed",
        "A window is durable as a run; then its offsets are committed.",
        "run",
        "replay",
        "audiences",
        "memberships",
        "bytes",
    ),
    info(
        "runs_merged",
        "Runs have become one, with the largest of their numbers.",
        "low",
        "run",
        "replay",
        "runs",
        "bytes",
    ),
    info(
        "run_rewritten",
        "Delivered audiences have left a run.",
        "run",
        "replay",
        "dropped",
        "bytes",
    ),
    info(
        "run_retired",
        "A delivered run is deleted; the horizon of its audiences rises.",
        "run",
        "replay",
        "bytes",
    ),
    warning(
        "history_given_up",
        "The spool is nearly full: the oldest history goes before its retention is over.",
        "runs",
        "remedy",
    ),
    warning(
        "spool_pressure",
        "The spool has no room for these streams: they wait in Kafka. An empty list: none waits any more.",
        "bytes",
        "paused_streams",
    ),
    warning(
        "no_room_for_upkeep",
        "The disk has no room to merge runs or to let audiences leave them; tried again.",
        "reason",
    ),
    error(
        "merging_stopped",
        "A run is damaged: no runs are merged until the next start.",
        "reason",
    ),
    info("temporary_file_removed", "What a process that died was writing is gone.", "path"),
    info(
        "merged_run_removed",
        "A run that stands in a merged one too is gone: its merge had died.",
        "run",
        "path",
    ),
)
"""What it tells."""
