"""History that is read and sent again."""

from bridge.actions.action import debug, error, info, warning

ACTIONS = (
    info("replay_begun", "A replay is read from now on.", "replay", "events_left", "goes_on"),
    info(
        "replay_reading",
        "How far the reading is; every ten seconds.",
        "replay",
        "events",
        "memberships",
        "events_left",
        "events_per_second",
        "seconds_left",
    ),
    warning(
        "replay_waits_for_table",
        "A replay of events with a partner's user ids waits until the identity table holds all of its topic.",
        "topic",
        "reason",
    ),
    info(
        "replay_translated",
        "A replay's memberships of a partner's user ids are translated: those of known users, and those of "
        "users not known yet, which are parked.",
        "replay",
        "memberships",
        "unmatched",
    ),
    info("replay_moved_on", "A replay is in another state: `read`, or `cancelled`.", "replay", "state"),
    info(
        "replay_delivering",
        "How far the delivery is; every ten seconds.",
        "replay",
        "audiences_left",
        "memberships_left",
        "files",
    ),
    info("gives_way", "A replay that delivers by itself lets a bridge do it.", "replay", "to"),
    warning(
        "replay_limited",
        "The history that judges the replay has to go: from now on the horizon limits its adds.",
        "replay",
        "reason",
    ),
    error("replay_damaged", "A run of a replay is damaged: it cannot be gone on with.", "replay", "reason"),
    info("replay_removed", "A replay and its runs are gone.", "replay"),
    debug("replay_kept", "A replay that might go is in use.", "replay", "reason"),
    debug(
        "read_error",
        "Reading a partition for a replay failed; librdkafka tries again.",
        "topic",
        "partition",
        "error",
        "reason",
    ),
)
"""What it tells."""
