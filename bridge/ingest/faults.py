"""What Kafka's errors mean for the run: to be waited out, to be ignored, or to end it."""

from confluent_kafka import KafkaError, KafkaException

from bridge.errors import BridgeError

NOT_OURS = frozenset(
    {
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001  # librdkafka's own codes begin so
        KafkaError._STATE,  # noqa: SLF001  # as above
    }
)
"""A commit came too late: the partitions are, or will be, another member's; the run holds the offsets."""

GONE = frozenset(
    {
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001  # as above
    }
)
"""What we want to read next is not there."""

MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID})
"""There is no such topic (now)."""

FATAL = frozenset({KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL})  # noqa: SLF001  # as above
"""The consumer is of no use any more."""

LEADERLESS = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError._NOENT,  # noqa: SLF001  # as above: of none of the partitions asked for
    }
)
"""No broker leads a partition (now)."""

DENIED = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED})
"""The brokers know us and refuse one topic."""

FORBIDDEN = frozenset({KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED})
"""The brokers know us and refuse everything."""

PASSING = LEADERLESS | frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001  # as above
        KafkaError._TIMED_OUT,  # noqa: SLF001  # as above
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001  # as above
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  # as above
        KafkaError._RESOLVE,  # noqa: SLF001  # as above
        KafkaError._WAIT_COORD,  # noqa: SLF001  # as above
        KafkaError._PARTIAL,  # noqa: SLF001  # a broker that comes back, and knows of no broker yet
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
    }
)
"""Worth another try; a topic just made, or a leader just chosen, is not known to every broker at once."""


_FENCED = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()


def error_of(exception: BaseException) -> KafkaError | None:
    """The error that a KafkaException carries."""
    if not isinstance(exception, KafkaException) or not exception.args:
        return None
    error = exception.args[0]
    return error if isinstance(error, KafkaError) else None


def is_passing(exception: BaseException) -> bool:
    """Whether the same call may succeed soon."""
    error = error_of(exception)
    return error is not None and (error.code() in PASSING or error.retriable())


def fenced(group: str) -> BridgeError:
    """Another process has our identity (design.md, invariant 3)."""
    return BridgeError(
        f"group {group}: another bridge with this spool's identity runs: the spool was cloned, or two "
        f"processes use it: stop one of them, and give a copy a new directory"
    )


def told(exception: KafkaException, group: str, where: str) -> BridgeError:
    """What is said where Kafka was asked once, and no call will try again."""
    error = error_of(exception)
    if error is None:
        return BridgeError(f"{where}: Kafka client failed: {exception}")
    if is_passing(exception):
        return BridgeError(f"{where}: no broker answers ({error.str()}): see that Kafka runs")
    return explained(error, group, where)


def explained(error: KafkaError, group: str, where: str) -> BridgeError:
    """A Kafka error that ends the run, in one line."""
    # A fatal error reaches us under a code of its own; only its text says which it was.
    if error.code() == KafkaError.FENCED_INSTANCE_ID or _FENCED in error.str():
        return fenced(group)
    if error.code() in FORBIDDEN | DENIED:
        return BridgeError(f"{where}: Kafka refuses group {group}: {error.str()}: check the user's ACLs")
    if error.code() in GONE:
        return BridgeError(
            f"{where}: the next offset is not there any more: retention has passed it while it waited, or "
            f"the topic was made anew: start again; the start tells the gap and the ways out"
        )
    return BridgeError(f"{where}: Kafka client failed: {error.str()}: check kafka.* in the configuration")
