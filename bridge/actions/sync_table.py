"""The identity table: from the topic of mappings to the disk."""

from bridge.actions.action import error, info, warning

ACTIONS = (
    warning(
        "identity_topic_waited_for",
        "The topic of mappings is not to be had, for the reason told; tried again by itself.",
        "topic",
        "reason",
    ),
    info(
        "identity_table_restarted",
        "The table is made anew: it is of another topic than before, or was damaged.",
        "topic",
        "remedy",
    ),
    error(
        "identity_table_damaged",
        "A file of the table is not what was written: all of it is read again from the topic.",
        "reason",
    ),
    warning(
        "identity_messages_skipped",
        "Messages of the topic that no endpoint writes; they are not in the table.",
        "topic",
        "messages",
    ),
    warning(
        "identity_table_waits",
        "The disk has no room for the table: the topic waits.",
        "reason",
        "failures",
    ),
    info(
        "identity_table_caught_up",
        "The table holds all that was in the topic at the start.",
        "topic",
        "bytes",
    ),
)
"""What it tells."""
