"""User sync: the endpoint's own process."""

from bridge.actions.action import error, info, warning

ACTIONS = (
    info("sync_started", "Browsers are answered."),
    info("sync_stopped", "It ends in order: what was handed over is given a few seconds."),
    warning(
        "sync_store_failed",
        "Mappings are not stored from now on, and counted as that; browsers are answered, and it is tried "
        "again by itself.",
        "reason",
    ),
    info("sync_store_recovered", "Mappings are stored again."),
    error(
        "sync_topic_unfit",
        "Kafka answers at last, and the topic is missing or not compacted: nothing is stored. Told every "
        "minute.",
        "topic",
        "remedy",
    ),
)
"""What it tells."""
