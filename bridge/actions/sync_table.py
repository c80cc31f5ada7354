"""The identity table: from the topic of mappings to the disk."""

from bridge.actions.action import error, info, warning

ACTIONS = (
    warning(
        "identity_topic_waited_for",
        "The topic of mappings is not to be had, for the reason told; tried again by itself. No opt-out is "
        "heard meanwhile.",
        "topic",
        "reason",
        "remedy",
    ),
    info(
        "identity_table_awaited",
        "Another process writes the table, as a replay does that runs without a bridge; it is waited for.",
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
    info(
        "translated",
        "What was read up to a run is translated: memberships of known users, of users not known yet, those "
        "found for browsers that became known since, and browsers taken back for opt-outs.",
        "run",
        "memberships",
        "unmatched",
        "found_later",
        "taken_back",
        "browsers_left_out",
    ),
    warning(
        "translation_waits",
        "The disk has no room, or the table is made anew; nothing is lost, and it is tried again by itself.",
        "reason",
    ),
    warning(
        "nobody_translates",
        "The spool holds memberships by partner ids that wait to be translated, and no stream has `identify` "
        "any more: they stay.",
        "memberships",
        "remedy",
    ),
)
"""What it tells."""
