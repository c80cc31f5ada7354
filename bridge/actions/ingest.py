"""From Kafka to a sealed window."""

from bridge.actions.action import debug, error, info, warning

ACTIONS = (
    warning(
        "source_unavailable",
        "No broker answers at the start; tried again by itself.",
        "reason",
        "failures",
    ),
    info("partitions_assigned", "Partitions are ours and are read.", "partitions", "assigned"),
    info("partitions_revoked", "The group gives partitions to another member.", "partitions", "assigned"),
    warning(
        "partition_resumed",
        "A partition is not read from the committed offset, for the reason told.",
        "topic",
        "partition",
        "offset",
        "note",
    ),
    info(
        "partitions_lost",
        "The group went on without us: what was read of these partitions is sealed and not committed.",
        "partitions",
        "assigned",
    ),
    warning("topic_forbidden", "Kafka does not let us read a topic; told every minute.", "topic", "remedy"),
    warning("topic_missing", "A topic is not there; told every minute.", "topic", "remedy"),
    warning("broker_unreachable", "No broker answers; told once.", "error", "reason"),
    warning(
        "consumer_error",
        "Reading a partition failed; librdkafka tries again.",
        "topic",
        "partition",
        "error",
        "reason",
    ),
    info("schema_fetched", "The registry has told a schema.", "schema_id"),
    warning(
        "registry_unreachable",
        "The registry does not answer: events of the stream wait, nothing is skipped.",
        "stream",
        "reason",
    ),
    info("taxonomy_read", "A taxonomy is known by which segments are judged.", "taxonomy", "segments"),
    warning(
        "taxonomy_kept",
        "A taxonomy cannot be read, or lost most codes: what was known of it judges on, if there is any.",
        "taxonomy",
        "reason",
    ),
    warning(
        "segments_not_written",
        "What was seen of a stream's segments could not be written; it is tried again.",
        "stream",
        "reason",
    ),
    warning(
        "segments_forgotten",
        "What was seen of a stream's segments cannot be read: they are watched anew.",
        "stream",
        "reason",
    ),
    warning(
        "seal_failed",
        "The window could not be made durable: nothing is committed, it is tried again.",
        "reason",
        "failures",
    ),
    warning(
        "commit_failed",
        "Kafka has refused a commit. What was sealed stays ours: a start resumes behind it.",
        "partitions",
        "error",
    ),
    warning(
        "commit_unanswered",
        "At the end some commits are not answered: a start resumes behind what is sealed.",
        "partitions",
    ),
    warning("consumer_abandoned", "At the end no broker has answered.", "remedy"),
    warning("stopped_unsealed", "There was no time to seal the last window.", "remedy"),
    error("librdkafka_failed", "The Kafka client says that it cannot go on.", "text"),
    debug("librdkafka", "A line of the Kafka client's own log.", "text"),
)
"""What it tells."""
