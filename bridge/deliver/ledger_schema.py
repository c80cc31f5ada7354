"""The ledger's tables, as the steps that lead from each version (SQLite's user_version) to the next."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE ledger (spool_id TEXT NOT NULL)",
        # the newest stamp of each series of names
        "CREATE TABLE series (series TEXT PRIMARY KEY, stamp INTEGER NOT NULL)",
        """CREATE TABLE accounts (
            account TEXT PRIMARY KEY,
            skew INTEGER NOT NULL DEFAULT 0,
            closed_until INTEGER NOT NULL DEFAULT 0
        )""",
        """CREATE TABLE audiences (
            audience TEXT PRIMARY KEY,
            account TEXT NOT NULL,
            fields TEXT NOT NULL,
            frontier TEXT NOT NULL,
            removals TEXT NOT NULL,
            newest_delivered INTEGER,
            horizon INTEGER,
            served_at INTEGER,
            bytes_per_membership REAL NOT NULL
        )""",
        """CREATE TABLE files (
            file INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            account TEXT NOT NULL,
            audience TEXT NOT NULL REFERENCES audiences,
            state TEXT NOT NULL,
            path TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            lines INTEGER NOT NULL,
            memberships INTEGER NOT NULL,
            sha256 TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            uploaded_at INTEGER,
            detail TEXT NOT NULL,
            replay INTEGER NOT NULL,
            start TEXT NOT NULL,
            stop TEXT,
            run INTEGER NOT NULL,
            newest_event_time INTEGER,
            removals_only INTEGER NOT NULL
        )""",
        "CREATE INDEX files_by_account ON files (account, state)",
        # one delivery of an audience is under way at a time (design.md, invariant 7)
        "CREATE UNIQUE INDEX files_under_way ON files (audience) WHERE state IN ('built', 'uploading')",
        """CREATE TABLE attempts (
            attempt INTEGER PRIMARY KEY,
            file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
            account TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            replay INTEGER NOT NULL,
            started_at INTEGER NOT NULL,
            ended_at INTEGER,
            outcome TEXT,
            skew INTEGER NOT NULL
        )""",
        "CREATE INDEX attempts_by_account ON attempts (account, started_at)",
        "CREATE INDEX attempts_by_file ON attempts (file)",
        "CREATE UNIQUE INDEX attempts_open ON attempts (file) WHERE ended_at IS NULL",
    ),
    (
        # the id of the replay, where there was a flag that was never set
        "ALTER TABLE files DROP COLUMN replay",
        "ALTER TABLE files ADD COLUMN replay TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE audiences ADD COLUMN replayed TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE audiences ADD COLUMN foreign_horizon INTEGER",
    ),
    (
        # what `status --file` tells of a file, and no other place keeps
        "ALTER TABLE files ADD COLUMN reserved_at INTEGER",
        "ALTER TABLE files ADD COLUMN runs TEXT",
        "ALTER TABLE attempts ADD COLUMN reason TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE attempts ADD COLUMN detail TEXT NOT NULL DEFAULT ''",
    ),
    (
        # what the platform's processing log said of a file, and whether it is to be sent again
        "ALTER TABLE files ADD COLUMN processed_at INTEGER",
        "ALTER TABLE files ADD COLUMN lines_accepted INTEGER",
        "ALTER TABLE files ADD COLUMN lines_refused INTEGER",
        "ALTER TABLE files ADD COLUMN resend_asked_at INTEGER",
        "ALTER TABLE files ADD COLUMN resent_at INTEGER",
        "ALTER TABLE files ADD COLUMN settled_at INTEGER",
        # how far replays are delivered again of which files are sent again
        "ALTER TABLE audiences ADD COLUMN replayed_again TEXT NOT NULL DEFAULT '{}'",
        # the newest run that left each lane's history, by replay ('': the live one); what older versions
        # let go is not known, so that where they did none of their files is sent again
        "ALTER TABLE audiences ADD COLUMN retired TEXT NOT NULL DEFAULT '{}'",
        """UPDATE audiences SET retired = COALESCE((
            SELECT '{"": ' || MAX(run) || '}' FROM files
            WHERE files.audience = audiences.audience AND replay = ''
        ), '{}') WHERE horizon IS NOT NULL""",
        # how often a frontier was set back: who decided by where it stood before has to look again
        "ALTER TABLE ledger ADD COLUMN rewinds INTEGER NOT NULL DEFAULT 0",
        """CREATE INDEX files_to_resend ON files (account)
            WHERE resend_asked_at IS NOT NULL AND resent_at IS NULL""",
    ),
)

VERSION = len(MIGRATIONS)
"""The version that this program reads and writes."""
