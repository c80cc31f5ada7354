"""What the dashboard shows: rows of panels, each a title, what is normal and what is not, and its queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

BRIDGE = 'namespace=~"$namespace",job=~"$job"'
"""Narrows a query to the bridges that are chosen."""

ACCOUNT = f'{BRIDGE},account=~"$account"'

SYNC = 'namespace=~"$namespace",job=~"$sync"'
"""Narrows a query to the user sync's endpoints that are chosen."""

Steps = Sequence[tuple[float | None, str]]
"""From which value on (None: from below) which colour holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """What one panel shows."""

    title: str
    text: str
    """Its description."""
    queries: tuple[tuple[str, str], ...]
    """Pairs of a query and its legend."""
    unit: str
    """As Grafana names it."""
    kind: str = "timeseries"
    """`timeseries`, `stat` or `bargauge`, as Grafana names them."""
    width: int = 8
    height: int = 8
    steps: Steps = ((None, "green"),)
    most: float | None = None
    """The top of its scale; None: Grafana's choice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Panels under a title, from left to right."""

    title: str
    panels: tuple[Panel, ...]


def _panel(title: str, text: str, unit: str, *queries: tuple[str, str], **more: object) -> Panel:
    return Panel(title=title, text=text, unit=unit, queries=queries, **more)  # type: ignore[arg-type]  # its fields


_number = partial(_panel, kind="stat", width=4, height=4)


def _of(metric: str, narrowed: str = BRIDGE) -> str:
    return f"s2s_bridge_{metric}{{{narrowed}}}"


def _sum(labels: str, query: str) -> tuple[str, str]:
    """The sum by some labels, which are its legend."""
    return f"sum by ({labels}) ({query})", " ".join(f"{{{{{label}}}}}" for label in labels.split(", "))


def _rate(labels: str, metric: str) -> tuple[str, str]:
    return _sum(labels, f"rate({_of(metric)}[$__rate_interval])")


def _hourly(labels: str, metric: str, narrowed: str = BRIDGE) -> tuple[str, str]:
    """What came in the last hour, where anything did."""
    query, legend = _sum(labels, f"increase({_of(metric, narrowed)}[1h])")
    return f"{query} > 0", legend


def _part(metric: str, limit: str) -> str:
    return f"{_of(metric, ACCOUNT)} / {_of(limit, ACCOUNT)}"


def _quantile(share: float) -> tuple[str, str]:
    buckets = f"rate({_of('upload_seconds_bucket')}[1h])"
    return f"histogram_quantile({share}, sum by (le) ({buckets}))", f"{share:.0%}"


def _visit_quantile(share: float) -> tuple[str, str]:
    buckets = f"rate({_of('sync_seconds_bucket', SYNC)}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le) ({buckets}))", f"{share:.0%}"


def _syncs(narrowed: str) -> str:
    return f"sum(rate({_of('syncs_total', narrowed)}[$__rate_interval]))"


_NOT_STORED = f'{SYNC},outcome="not_stored"'
_TO_THE_STORE = f'{SYNC},outcome=~"stored|not_stored"'
_OF_ENDPOINTS = f"and on (namespace, job, instance) {_of('sync_store_works', SYNC)}"
"""Behind a metric that processes of any kind have."""
_BYTES_LEFT = _part("quota_bytes_remaining", "quota_bytes_limit")
_USED: Steps = ((None, "green"), (0.8, "orange"), (0.95, "red"))
_AGE: Steps = ((None, "green"), (3600, "orange"), (7200, "red"))

OVERVIEW = Row(
    title="Overview",
    panels=(
        _number(
            "Bridges that work",
            "Those that have partitions. 0: nothing is read (S2sBridgeDown, S2sBridgeNotReading).",
            "none",
            (f"sum({_of('assigned')}) or vector(0)", ""),
            steps=((None, "red"), (1, "green")),
        ),
        _number(
            "Running for",
            "Since the last start. A rollout is one; many are S2sBridgeRestartsOften.",
            "s",
            (f"time() - max({_of('start_time_seconds')})", ""),
        ),
        _number(
            "Events not read yet",
            "Of all topics. It stands still while Kafka does not answer (S2sBridgeKafkaSilent).",
            "short",
            (f"sum({_of('consumer_lag')})", ""),
        ),
        _number(
            "Oldest that waits",
            "Of all audiences. Up to roll.max_age it is not due; then it waits for a slot, an hour at most.",
            "s",
            (f"max({_of('oldest_pending_seconds', ACCOUNT)})", ""),
            steps=_AGE,
        ),
        _number(
            "Bytes of the day used",
            "Of the account that has used most. Late in the day all may be used.",
            "percentunit",
            (f"max(1 - {_BYTES_LEFT})", ""),
            steps=_USED,
        ),
        _number(
            "Since the last upload",
            "Of the account whose last one is longest ago.",
            "s",
            (f"time() - min({_of('last_upload_timestamp_seconds', ACCOUNT)})", ""),
        ),
    ),
)

INTAKE = Row(
    title="Intake",
    panels=(
        _panel("Events read", "A second, by stream.", "ops", _rate("stream", "events_consumed_total")),
        _panel(
            "Lag",
            "Events not read yet, by topic. A burst is read in seconds (S2sBridgeLagGrows).",
            "short",
            _sum("topic", _of("consumer_lag")),
        ),
        _panel(
            "Events refused",
            "An hour, by stream and reason (S2sBridgeDeadLetters). zero_device_id is no fault.",
            "short",
            _hourly("stream, reason", "dead_letters_total"),
        ),
        _panel(
            "Memberships sealed",
            "A second, by stream: durable, and their offsets committed.",
            "ops",
            _rate("stream", "memberships_sealed_total"),
        ),
        _panel(
            "Late memberships",
            "An hour: left out, as something newer was delivered; or set aside, as history does not reach "
            "them (S2sBridgeMembershipsSetAside).",
            "short",
            (_hourly("audience", "memberships_superseded_total")[0], "left out {{audience}}"),
            (_hourly("audience", "memberships_beyond_horizon_total")[0], "set aside {{audience}}"),
        ),
        _panel(
            "Segments that nobody can buy",
            "Memberships of them an hour, by stream; s2s-bridge segments unknown has the codes.",
            "short",
            _hourly("stream", "unknown_segment_memberships_total"),
        ),
        _panel("Tombstones", "Null values a second; skipped.", "ops", _rate("stream", "tombstones_total")),
    ),
)

SPOOL = Row(
    title="Windows, runs, spool",
    panels=(
        _panel(
            "Window",
            "Memory of what is not on disk yet. At its bound reading waits for the disk "
            "(S2sBridgeSealStalled).",
            "bytes",
            (_of("window_bytes"), "used {{instance}}"),
            (_of("window_max_bytes"), "window.max_bytes {{instance}}"),
        ),
        _panel(
            "Runs sealed",
            "A minute: one for each window.max_age, more under load.",
            "short",
            (f"60 * rate({_of('runs_sealed_total')}[$__rate_interval])", "{{instance}}"),
        ),
        _panel(
            "Spool",
            "Disk of runs, history, built files and dead letters. From 90 % of spool.max_bytes on history "
            "goes; where that does not help, streams are paused (S2sBridgeSpoolFills).",
            "bytes",
            (_of("spool_bytes"), "used {{instance}}"),
            (_of("spool_max_bytes"), "spool.max_bytes {{instance}}"),
            (_of("spool_free_bytes"), "free on the disk {{instance}}"),
        ),
        _panel(
            "Streams paused",
            "1: the spool has no room for the stream, and it is not read (S2sBridgeStreamPaused).",
            "none",
            (_of("stream_paused"), "{{stream}}"),
            most=1,
        ),
        _panel(
            "History reaches back",
            "How far late events are judged exactly, by audience; no line: without bound.",
            "s",
            (f"time() - {_of('horizon_timestamp_seconds', ACCOUNT)}", "{{audience}}"),
        ),
        _panel(
            "Memory",
            "Of the process.",
            "bytes",
            (f"process_resident_memory_bytes{{{BRIDGE}}}", "{{instance}}"),
            width=4,
        ),
        _panel(
            "Silence of threads",
            "Since the last beat. From 300 s on /healthz fails (S2sBridgeThreadSilent).",
            "s",
            (f"time() - {_of('thread_beat_timestamp_seconds')}", "{{thread}}"),
            width=4,
        ),
    ),
)

_MEMBERSHIPS = "identify_memberships_total"
_MATCHED, _COME = 'result="matched"', 'result=~"matched|unmatched"'


def _of_streams(narrowed: str) -> str:
    """What became of memberships by partner ids in the last three hours, by stream."""
    return f"sum by (stream) (increase({_of(_MEMBERSHIPS, f'{BRIDGE},{narrowed}')}[3h]))"


IDENTITIES = Row(
    title="Partner ids",
    panels=(
        _panel(
            "Match rate",
            "Of the memberships translated in three hours, how many were of users with a mapping, by stream "
            "(S2sBridgeMatchRateFalls).",
            "percentunit",
            (f"{_of_streams(_MATCHED)} / {_of_streams(_COME)}", "{{stream}}"),
            most=1,
        ),
        _panel(
            "Memberships translated",
            "An hour, by stream: of known users, of users not known yet, and found later for browsers that "
            "became known.",
            "short",
            _hourly("stream, result", _MEMBERSHIPS),
        ),
        _panel(
            "Taken back",
            "Browsers an hour that opt-outs took out of an audience, by stream.",
            "short",
            _hourly("stream", "identify_taken_back_total"),
        ),
        _panel(
            "Memberships kept",
            "Rows by partner ids, by stream: those that wait for the next turn, and those that are kept for "
            "identify.park, as their users may become known.",
            "short",
            _sum("stream", _of("identify_kept_memberships")),
        ),
        _panel(
            "Identity table",
            "Its disk, which spool.max_bytes does not count: 40 to 65 bytes a mapping.",
            "bytes",
            (_of("identity_table_bytes"), "{{instance}}"),
            width=4,
        ),
        _panel(
            "Identity table caught up",
            "0: it has not read all of its topic, and nothing is translated (S2sBridgeIdentityTableBehind), "
            "or is older than two minutes; always 0 where no stream has identify.",
            "none",
            (_of("identity_table_caught_up"), "{{instance}}"),
            width=4,
            most=1,
        ),
        _panel(
            "Identity table's age",
            "Since when opt-outs and new browsers are not in it; half a minute is normal, and minutes while "
            "many mappings come at once (S2sBridgeIdentityTableOld).",
            "s",
            (f"time() - ({_of('identity_table_complete_timestamp_seconds')} > 0)", "{{instance}}"),
            width=4,
        ),
        _panel(
            "Mappings not taken",
            "Messages of the topic of mappings since the start that no endpoint writes, by reason.",
            "short",
            _sum("reason", _of("identity_table_skipped_messages")),
            width=4,
        ),
    ),
)

DELIVERIES = Row(
    title="Deliveries",
    panels=(
        _panel(
            "Memberships waiting",
            "By audience: live ones; those of replays, at most.",
            "short",
            _sum("audience", _of("pending_memberships", ACCOUNT)),
            (f"{_of('replay_pending_memberships', ACCOUNT)} > 0", "replay {{audience}}"),
        ),
        _panel(
            "Age of the oldest",
            "By audience: a saw up to roll.max_age, and up to an hour more where slots are few.",
            "s",
            (f"max by (audience) ({_of('oldest_pending_seconds', ACCOUNT)})", "{{audience}}"),
            (f"max({_of('roll_max_age_seconds')})", "roll.max_age"),
        ),
        _panel("Files uploaded", "An hour.", "short", _hourly("account", "files_uploaded_total", ACCOUNT)),
        _panel(
            "Uploads failed",
            "An hour, by reason. Single ones heal by themselves (S2sBridgeUploadsFail).",
            "short",
            _hourly("account, reason", "upload_failures_total", ACCOUNT),
        ),
        _panel(
            "Seconds of an upload",
            "From log-in to the final name: half of them, and nine of ten, take no longer.",
            "s",
            _quantile(0.5),
            _quantile(0.9),
        ),
        _panel(
            "Files by state",
            "Of 30 days. built, uploading: unfinished; failed: delivered anew under another name; rejected: "
            "refused by the platform (S2sBridgeFileRejected).",
            "short",
            _sum("state", _of("files", ACCOUNT)),
            kind="bargauge",
        ),
        _panel(
            "What the platform says",
            "Files an hour that it has processed, and refused (S2sBridgeFileRejected).",
            "short",
            (_hourly("account", "files_confirmed_total", ACCOUNT)[0], "confirmed {{account}}"),
            (_hourly("account", "files_rejected_total", ACCOUNT)[0], "rejected {{account}}"),
        ),
        _panel(
            "Open at the platform",
            "Uploaded files of which it has not said the end, those of them that are overdue "
            "(S2sBridgeFileOverdue), and rejected ones that are not sent again.",
            "short",
            (_of("files_unconfirmed", ACCOUNT), "unconfirmed {{account}}"),
            (_of("files_overdue", ACCOUNT), "overdue {{account}}"),
            (_of("files_not_resent", ACCOUNT), "not sent again {{account}}"),
        ),
        _panel(
            "Lines refused",
            "An hour, of files that the platform processed or refused.",
            "short",
            _hourly("account", "lines_refused_total", ACCOUNT),
        ),
    ),
)

QUOTAS = Row(
    title="Quotas",
    panels=(
        _panel(
            "Bytes of the UTC day used",
            "By account, and what of them went to replays (S2sBridgeQuotaWillNotLast).",
            "percentunit",
            (f"1 - {_BYTES_LEFT}", "{{account}}"),
            (_part("quota_replay_bytes_used", "quota_bytes_limit"), "replays {{account}}"),
            width=12,
            steps=_USED,
            most=1,
        ),
        _panel(
            "Files of the hour used",
            "By account.",
            "percentunit",
            (f"1 - {_part('quota_files_remaining', 'quota_files_limit')}", "{{account}}"),
            width=12,
            most=1,
        ),
        _panel(
            "Bytes uploaded",
            "A second, over an hour; 5 GB a day are 58 kB/s.",
            "Bps",
            _sum("account", f"rate({_of('bytes_uploaded_total', ACCOUNT)}[1h])"),
        ),
        _panel(
            "Until the reset",
            "Of the hour's files, and of the day's bytes.",
            "s",
            (f"min({_of('quota_files_reset_timestamp_seconds', ACCOUNT)}) - time()", "files"),
            (f"min({_of('quota_bytes_reset_timestamp_seconds', ACCOUNT)}) - time()", "bytes"),
            kind="stat",
        ),
        _panel(
            "Clock of the server",
            "Ahead of ours, as last measured. Beyond the guard it costs slots (S2sBridgeServerClockDiffers).",
            "s",
            (_of("server_clock_skew_seconds", ACCOUNT), "{{account}}"),
            (_of("quota_guard_seconds", ACCOUNT), "quota.guard {{account}}"),
        ),
    ),
)

USER_SYNC = Row(
    title="User sync",
    panels=(
        _number(
            "Endpoints",
            "Processes that answer browsers (S2sBridgeSyncDown).",
            "none",
            (f"count({_of('sync_store_works', SYNC)}) or vector(0)", ""),
        ),
        _number(
            "Endpoints that store",
            "Where it is fewer, Kafka does not acknowledge (S2sBridgeSyncStoreFails).",
            "none",
            (f"sum({_of('sync_store_works', SYNC)}) or vector(0)", ""),
        ),
        _panel(
            "Visits",
            "A second, by what came of them. stored and cookie_set are what is wanted; what of the others "
            "somebody has to mend is in S2sBridgeSyncsRefused.",
            "ops",
            _sum("outcome", f"rate({_of('syncs_total', SYNC)}[$__rate_interval])"),
        ),
        _panel(
            "Mappings stored",
            "A second, by the platform's data centre (S2sBridgeSyncsFewer).",
            "ops",
            _sum("data_centre", f"rate({_of('syncs_stored_total', SYNC)}[$__rate_interval])"),
        ),
        _panel(
            "Mappings not stored",
            "Of those that came as far as the store (S2sBridgeSyncsNotStored).",
            "percentunit",
            (f"{_syncs(_NOT_STORED)} / {_syncs(_TO_THE_STORE)}", "not stored"),
            most=1,
        ),
        _panel(
            "Seconds of a visit",
            "Half of the visits, and 99 of a hundred, take no longer (S2sBridgeSyncSlow).",
            "s",
            _visit_quantile(0.5),
            _visit_quantile(0.99),
        ),
        _panel(
            "Opt-outs",
            "An hour, by what came of them.",
            "short",
            _hourly("outcome", "opt_outs_total", SYNC),
        ),
        _panel(
            "Visits under way",
            "By process; user_sync.max_connections is their bound.",
            "short",
            (_of("syncs_in_flight", SYNC), "{{instance}}"),
        ),
        _panel(
            "Processor of the endpoint",
            "Cores, by process. One process uses one at most.",
            "none",
            (f"rate(process_cpu_seconds_total{{{SYNC}}}[$__rate_interval]) {_OF_ENDPOINTS}", "{{instance}}"),
        ),
        _panel(
            "Memory of the endpoint",
            "By process.",
            "bytes",
            (f"process_resident_memory_bytes{{{SYNC}}} {_OF_ENDPOINTS}", "{{instance}}"),
        ),
    ),
)

ROWS = (OVERVIEW, INTAKE, SPOOL, IDENTITIES, DELIVERIES, QUOTAS, USER_SYNC)
