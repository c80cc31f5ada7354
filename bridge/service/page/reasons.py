"""What the reasons of dead letters say of an event (contract.md, Events)."""

from collections.abc import Mapping

from bridge.ingest.events import Reason

MEANINGS: Mapping[str, str] = {
    Reason.BAD_FRAMING: "The bytes before the record are not those of the stream's format.",
    Reason.UNKNOWN_SCHEMA: "No schema is known for it.",
    Reason.UNDECODABLE: "The bytes are no record of its schema.",
    Reason.TOO_LARGE: "It is larger than max_event_bytes.",
    Reason.INVALID_USER_ID: "Its user id is none of its namespace.",
    Reason.ZERO_DEVICE_ID: "Its device id is all zeros: tracking is limited there.",
    Reason.UNKNOWN_CLIENT: "The stream does not allow its client.",
    Reason.UNKNOWN_NAMESPACE: "The stream does not allow its namespace.",
    Reason.NO_SEGMENTS: "It has neither segments nor remove_all.",
    Reason.INVALID_SEGMENT_ID: "A segment id is out of range, or the placeholder.",
    Reason.INVALID_TIMESTAMP: "A timestamp is below -1 or past 2100: milliseconds, perhaps.",
    Reason.INVALID_EVENT_TIME: "Its event time is not positive, or too far ahead.",
    Reason.UNKNOWN_SEGMENT: "The stream's taxonomy does not hold one of its segments for sale.",
}
