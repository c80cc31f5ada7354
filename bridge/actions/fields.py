"""The fields of log lines: one word for one thing, whichever action has it (docs/glossary.md)."""

from collections.abc import Mapping

IDS: Mapping[str, str] = {
    "file": "name of an audience file: the id of what is delivered, from its reservation on",
    "attempt": "number of the try to upload the file, from 1 on",
    "account": "name of an account of the configuration",
    "audience": "label of an audience within its account, such as `Acme/mm/ep/display`",
    "run": "number of a run; of a file, the run up to which it holds what waited; of several, the largest",
    "low": "the smallest number of several runs: of those that a file is made of, or that were merged",
    "replay": "id of a replay; null: it is about live data",
    "stream": "name of a stream of the configuration",
    "topic": "name of a Kafka topic; it belongs to one stream",
    "partition": "number of a partition",
    "offset": "offset of a message",
    "spool": "id of the spool",
    "schema_id": "id of a schema in the registry",
}
"""What joins lines."""

OTHERS: Mapping[str, str] = {
    "assigned": "how many partitions are ours now",
    "audiences": "how many audiences",
    "audiences_left": "how many audiences of the replay wait",
    "bytes": "size on our disk",
    "bytes_left": "bytes that the file might have",
    "detail": "the reason, for people: what, where",
    "dropped": "how many audiences have left",
    "error": "Kafka's name of an error",
    "events": "how many events were read",
    "events_left": "how many offsets are yet to be read; null: not known",
    "events_per_second": "since the reading began",
    "failures": "how often it has failed in a row",
    "files": "how many files have arrived",
    "folders": "paths of folders",
    "found": "whether the file was there already",
    "goes_on": "whether it goes on where an earlier call was",
    "held_by": "the process that has the lock",
    "kind": "kind of an exception",
    "kinds": "kinds of an exception and its causes, the cause last",
    "lock": "file of a lock",
    "memberships": "how many memberships",
    "memberships_left": "how many memberships wait, at most",
    "note": "why, for people",
    "noted": "whether the ledger knows it",
    "outcome": "what an attempt cost: `given_back`, `spent`, or `unknown`, which counts as spent",
    "partitions": "how many partitions it is about",
    "path": "path of a file of the spool, or of a page",
    "paused_streams": "names of streams that wait",
    "places": "file, line and function, the innermost last",
    "reason": "why; of `upload_failed` one of a closed list, the label of `s2s_bridge_upload_failures_total`",
    "remedy": "what to do",
    "removals_only": "whether it holds removals alone, which went ahead",
    "runs": "how many runs",
    "seconds": "a duration",
    "seconds_left": "how long the reading still takes; null: not known",
    "segments": "how many segments can be bought",
    "stage": "how far an upload has come",
    "state": "of a replay",
    "taxonomy": "path of a taxonomy's file, or its id at the platform",
    "text": "a line of the Kafka client's",
    "text_bytes": "bytes of the user's lines, not compressed",
    "thread": "name of a thread",
    "to": "who goes on with it",
    "until_end": "whether it stops at the topics' ends",
    "waited_for": "what it waited for: the lock, and who holds it",
    "what": "what failed",
    "windows_counted_as_spent": "names of accounts",
}
"""What else lines tell."""

FIELDS: Mapping[str, str] = {**IDS, **OTHERS}
"""Name to meaning, of every field but `timestamp`, `level` and `action`."""
